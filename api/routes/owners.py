"""Owners of tokens: what each uses of the service, and what an admin lets them use."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body

from api import examples
from api.access import Asker
from api.bodies import JSONRoute, strictly
from api.history import Rows
from api.journal import audit
from api.problems import TAKES_BODY, documented
from nas import usage
from nas.quotas import QuotaRequest, Usage

router = APIRouter(prefix="/usage", tags=["usage"], route_class=JSONRoute)
quotas = APIRouter(prefix="/quotas", tags=["quotas"], route_class=JSONRoute)


@dataclass(frozen=True, kw_only=True)
class Usages:
    """Who uses what."""

    owners: tuple[Usage, ...]
    """Each owner who has or had runs, uploads or a quota; who has most trials running first."""


@router.get("", summary="Who uses what", responses=documented())
def get_usage(store: Rows) -> Usages:
    """With what each may use, where an admin has limited it."""
    return Usages(owners=tuple(usage.usages(store)))


@quotas.put("", summary="Limit what an owner may use", responses=documented(**TAKES_BODY))
def set_quota(
    wanted: Annotated[QuotaRequest, strictly(QuotaRequest), Body(openapi_examples=examples.QUOTAS)],
    store: Rows,
    asker: Asker,
) -> Usage:
    """From now on, in place of the quota that there was; what is left out is not limited. Trials beyond a number that
    may run wait for their turn. Whoever has no hours or room left gets 403 for what they submit, resume or upload, and
    their runs are paused when their running trials have ended."""
    store.owners.limit(wanted.owner, wanted.quota)
    audit(f"quota of {wanted.owner} is {wanted.quota.words}", asker)
    return usage.usage(store, wanted.owner)
