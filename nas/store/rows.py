"""Rows to records."""

from typing import Any

from sqlalchemy import Row

from nas.records import Job, Measurement, Progress, Run, Trial
from nas.specs import SPECS
from nas.store.text import restored


def run_of(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        kind=row.kind,
        spec=restored(SPECS[row.kind], row.spec),
        state=row.state,
        wish=row.wish,
        trials=row.trials,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        worked_seconds=row.worked_seconds,
        reason=row.reason,
    )


def trial_of(row: Row[Any]) -> Trial:
    return Trial(
        run=row.run,
        number=row.number,
        state=row.state,
        job=restored(Job, row.job),
        measurement=row.measurement and restored(Measurement, row.measurement),
        error=row.error,
        progress=row.progress and restored(Progress, row.progress),
        finished=row.finished,
        started_at=row.started_at,
        ended_at=row.ended_at,
        compute_seconds=row.compute_seconds,
    )
