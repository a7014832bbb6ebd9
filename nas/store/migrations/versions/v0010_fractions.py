"""Recipes shift images and blank squares of them by parts of their sides, not by pixels."""

from typing import Any

import sqlalchemy as sa

from nas.recipes import in_fractions
from nas.store.migrations.rewriting import rewrite

revision = "0010"
down_revision = "0009"

USUAL_PIXELS = 32  # a side, where a run does not say
RUN = sa.table("run", sa.column("serial"), sa.column("spec"))
TRIAL = sa.table("trial", sa.column("run"), sa.column("number"), sa.column("job"))

Json = dict[str, Any]


def upgrade() -> None:
    rewrite(RUN, ["serial"], ["spec"], _spec)
    rewrite(TRIAL, ["run", "number"], ["job"], _job)


def _spec(spec: Json) -> list[Json]:
    architecture, contents = spec.get("architecture") or {}, spec.get("contents") or {}
    pixels = architecture.get("images", {}).get("resolution") or spec.get("resolution") or contents.get("resolution")
    return [spec | {name: in_fractions(spec[name], pixels or USUAL_PIXELS) for name in _recipes(spec)}]


def _job(job: Json) -> list[Json]:
    pixels = job["architecture"]["images"]["resolution"]
    return [job | {name: in_fractions(job[name], pixels) for name in _recipes(job)}]


def _recipes(record: Json) -> list[str]:
    return [name for name in ("recipe", "cheap", "dear") if record.get(name)]
