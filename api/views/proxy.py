"""What is shown of a proxy, computed from its rows when it is read."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.views.run import Shown, common
from nas.outlines import summed
from nas.proxy_report import Report, report
from nas.records import Run, Trial
from nas.specs import ProxySpec


@dataclass(frozen=True, kw_only=True)
class Proxy(Shown):
    """A proxy, and its report."""

    spec: ProxySpec
    """What was asked for, as stored."""
    report: Report | None
    """What the cheap recipe is worth so far; null in lists."""


def view(run: Run, trials: Sequence[Trial], *, whole: bool = True) -> Proxy:
    """The run with its report, unless it is to stand in a list."""
    assert isinstance(run.spec, ProxySpec)
    ended = [(row.job, row.measurement or row.error or row.state) for row in trials if row.ended_at is not None]
    return Proxy(
        **common(run, summed(trials), f"/v1/proxies/{run.id}"),
        spec=run.spec,
        report=report(run.spec, ended) if whole else None,
    )
