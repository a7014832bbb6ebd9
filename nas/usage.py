"""Who uses what, uploads included, and whether they may use more."""

import dataclasses
from collections import Counter

from nas import uploads
from nas.quotas import OverQuota, Usage
from nas.store import Store


def usages(store: Store) -> list[Usage]:
    """Of each owner who has or had runs, uploads or a quota; who uses most at this moment first."""
    sent = _sent()
    known = {one.owner: one for one in store.owners.usages()}
    known |= {owner: Usage(owner=owner) for owner in sent if owner not in known}
    each = (_with(one, sent[one.owner]) for one in known.values())
    return sorted(
        each, key=lambda one: (-one.running_trials, -one.runs, -one.queued, -one.compute_hours, one.owner or "")
    )


def usage(store: Store, owner: str) -> Usage:
    """Of one owner, whether known or not."""
    return _with(store.owners.usage(owner), _sent()[owner])


def exceeded(store: Store, owner: str | None, more_bytes: int = 0) -> str | None:
    """Why that owner may begin nothing new, or may not have so many bytes more, in words; None: they may."""
    if owner is None or store.owners.quota(owner).unlimited:
        return None
    return usage(store, owner).exceeded(more_bytes)


def require(store: Store, owner: str | None, more_bytes: int = 0) -> None:
    """Raise OverQuota where there is such a reason."""
    if why := exceeded(store, owner, more_bytes):
        raise OverQuota(why)


def _with(known: Usage, sent_bytes: int) -> Usage:
    return dataclasses.replace(known, disk_bytes=known.disk_bytes + sent_bytes)


def _sent() -> Counter[str | None]:
    """Bytes of uploads by who began them."""
    sent = Counter[str | None]()
    for one in uploads.every():
        sent[one.owner] += one.bytes
    return sent
