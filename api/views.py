"""What is shown of searches and growths, computed from their rows when it is read; nothing here is stored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from api.candidates import Candidate, among, standing
from api.family import Member, family
from api.shown import Shown, common
from nas.records import Run, Trial
from nas.specs import GrowthSpec, SearchSpec


@dataclass(frozen=True, kw_only=True)
class Search(Shown):
    """A search: its specification as stored, and its best candidate so far. `expected_gain` is what its searcher
    expected of the last network that it proposed, where it says so: of reward, or of a front, as a share of its area.
    `saved_seconds` of training were not spent on candidates that were refused for their latency, at the mean of those
    that were trained; null before there is one of each."""

    spec: SearchSpec
    expected_gain: float | None
    saved_seconds: float | None
    best: Candidate | None


@dataclass(frozen=True, kw_only=True)
class Growth(Shown):
    """A growth: its specification as stored, and its family, smallest member first."""

    spec: GrowthSpec
    family: tuple[Member, ...]


def search(run: Run, trials: Sequence[Trial]) -> Search:
    assert isinstance(run.spec, SearchSpec)
    return Search(
        **common(run, trials, f"/v1/searches/{run.id}", "pareto"),
        spec=run.spec,
        expected_gain=next((gain for trial in reversed(trials) if (gain := trial.job.expected_gain) is not None), None),
        saved_seconds=saved_seconds(trials),
        best=standing(among(trials, run.spec.objective))[1],
    )


def growth(run: Run, trials: Sequence[Trial]) -> Growth:
    assert isinstance(run.spec, GrowthSpec)
    return Growth(**common(run, trials, f"/v1/growths/{run.id}"), spec=run.spec, family=family(run.spec, trials))


def saved_seconds(trials: Iterable[Trial]) -> float | None:
    """What training the refused candidates would have taken, at the mean of the others; None without one of each."""
    measured = [trial.measurement for trial in trials if trial.measurement]
    refused = sum(row.refused is not None for row in measured)
    trained = [row.train_seconds for row in measured if row.train_seconds > 0]
    return refused * sum(trained) / len(trained) if refused and trained else None
