"""Which candidates of a fit are trained: of the grid those that cost twice as much, and of these, where that is asked
for, as many as a model expects something of."""

import statistics
from collections.abc import Iterable, Sequence

from nas.measurements import Measurement
from nas.networks.architecture import Choice, Choices
from nas.networks.counts import counts
from nas.networks.fit import Fit
from nas.networks.lowering import AnyArchitecture
from nas.networks.members import factors, member
from nas.networks.scaling import DOUBLED
from nas.objective import Metric, Objective
from nas.searchers import Outcome, Problem

WHOLE = "B0"  # the network that is grown


class Grid:
    """Proposes to measure the network itself, then each candidate, to find those of twice its latency."""

    def __init__(self, architecture: AnyArchitecture, fit: Fit) -> None:
        self._architecture, self._fit = architecture, fit
        self._names = [WHOLE, *fit.candidates(architecture)]
        self._latencies_ms: dict[str, float | None] = {}

    @property
    def member(self) -> str | None:
        """What is measured next; None where all that is to be is, or there is nothing to compare it with."""
        if WHOLE in self._latencies_ms and self._latencies_ms[WHOLE] is None:
            return None
        return next((name for name in self._names if name not in self._latencies_ms), None)

    def proposal(self) -> AnyArchitecture | None:
        return member(self._architecture, self.member) if self.member else None

    def tell(self, latency_ms: float | None) -> None:
        """Of the network that was proposed; None: it could not be measured."""
        assert self.member, "nothing was proposed"
        self._latencies_ms[self.member] = latency_ms

    def answer(self) -> list[str]:
        """The candidates to train: the published factors whatever they cost, and of the grid what is near enough."""
        return [self._names[1], *(name for name, times in self._times().items() if self._fit.near(times))]

    def nearest(self) -> str:
        """How near the grid came, in words."""
        times = sorted(self._times().values(), key=lambda each: abs(each - DOUBLED))
        return (
            f"the nearest have {', '.join(f'{each:.2f}' for each in times[:3])} times" if times else "none was measured"
        )

    def _times(self) -> dict[str, float]:
        """The latencies of the grid, as multiples of the network's own."""
        whole = self._latencies_ms[WHOLE]
        known = {name: self._latencies_ms.get(name) for name in self._names[2:]}
        return {name: latency / whole for name, latency in known.items() if whole and latency}


class Expectations:
    """Proposes the candidate that most is expected of, by the default searcher's model of those that were scored."""

    def __init__(self, names: Sequence[str], architecture: AnyArchitecture, least_gain: float, seed: int) -> None:
        from nas.searchers.surrogate import Searcher  # numpy, which nobody else needs who asks for a plan

        self._choices = {name: _choices(name) for name in names}
        self._costs = {name: float(counts(member(architecture, name)).mult_adds) for name in names}
        self._names = {tuple(choices.values()): name for name, choices in self._choices.items()}
        self._first: Sequence[str] = names[:1]  # the published factors, which the others are compared with
        self._least_gain, self.expected = least_gain, 0.0
        self._searcher = Searcher(
            Problem(
                knobs={knob: _column(knob, self._choices.values()) for knob in ("alpha", "beta", "gamma")},
                objective=Objective(target=max(self._costs.values()), w_under=0.0, w_over=0.0),  # accuracy alone
                cost=lambda choices: self._costs.get(self._named(choices) or "", 1.0),
                allowed=lambda choices: float(self._named(choices) is None),
            ),
            seed=seed,
        )

    def next(self, pending: Sequence[str]) -> str | None:
        """A candidate that nothing was told of and that is not `pending`; None where none is worth its training, of
        the best of which `expected` then says how little that is."""
        if self._first:
            first, self._first = self._first[0], ()
            return first
        choices = self._searcher.ask(0, [self._choices[name] for name in pending])
        gain = self._searcher.expected_gain
        if choices is None or (gain is not None and gain < self._least_gain):
            self.expected = gain or 0.0
            return None
        return self._named(choices)

    def tell(self, name: str, measured: Sequence[Measurement], metric: Metric) -> None:
        """What came of the trainings of a candidate, one for each seed that did not fail."""
        values = [value for row in measured if (value := row.value(metric)) is not None]
        outcome = None
        if values:
            error = measured[0].value_error(metric) or 0.0  # all seeds were scored on the same images
            outcome = Outcome(cost=self._costs[name], accuracy=statistics.fmean(values), error=error)
        self._searcher.tell(self._choices[name], outcome)

    def _named(self, choices: Choices) -> str | None:
        return self._names.get(tuple(choices.values()))


def _choices(name: str) -> Choices:
    own = factors(name)
    assert own is not None, name
    return {"alpha": own.alpha, "beta": own.beta, "gamma": own.gamma}


def _column(knob: str, rows: Iterable[Choices]) -> tuple[Choice, ...]:
    return tuple(sorted({row[knob] for row in rows}))
