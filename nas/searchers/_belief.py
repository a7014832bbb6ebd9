"""What the outcomes that were told say of every network's accuracy, and of costs that only measuring tells."""

import logging
from collections.abc import Sequence

import numpy as np

from nas.searchers._acquisition import unwarp, warp
from nas.searchers._candidates import Code
from nas.searchers._gaussian_process import Codes, Floats, GaussianProcess

log = logging.getLogger(__name__)

MOST_ROWS = 500  # outcomes that the process is conditioned on; with more, the best half and the latest half
SMALLEST_SPREAD = 0.02  # of warped accuracies: less is noise, not signal


class Belief:
    """Told one outcome at a time; `condition`ed before it is asked. Accuracies are warped, see `_acquisition`.

    `tables` are the distances between each knob's choices. `log_costs` has for each cost those of networks all over the
    space, or None where it is not known before it is measured: then a process of its own models it.
    """

    def __init__(self, tables: list[Floats], log_costs: Sequence[Floats | None]) -> None:
        self._process = GaussianProcess(tables)
        self._models = [CostModel(tables) if known is None else None for known in log_costs]
        self._basis = next((place for place, known in enumerate(log_costs) if known is not None), None)
        basis = np.zeros(1) if self._basis is None else np.asarray(log_costs[self._basis])
        self._pivot, self._spread = float(basis.max()), max(float(basis.std()), 1e-3)
        self._codes: list[Code] = []
        self._accuracies: list[float] = []
        self._costs: list[tuple[float, ...]] = []
        self._fitted = 0
        self._centre, self._scale = 0.0, 1.0

    def __len__(self) -> int:
        return len(self._codes)

    def tell(self, code: Code, accuracy: float, costs: tuple[float, ...]) -> None:
        self._codes.append(code)
        self._accuracies.append(accuracy)
        self._costs.append(costs)
        count = len(self)
        if count < 4 or count < self._fitted + max(1, count // 20):
            return
        self._fitted = count
        rows, its, accuracies = self.told()
        steps = 30 if count < 20 else 10
        self._process.fit(rows, self._z(its), self._standard(accuracies), steps)
        for model, own in zip(self._models, its.T):
            if model:
                model.fit(rows, own, steps)
        if count == MOST_ROWS:
            log.info("after %d outcomes the model sees the best half and the latest half of so many", count)

    def knows(self, code: Code) -> bool:
        """Whether an outcome of that network was told."""
        return code in self._codes

    def told(self) -> tuple[Codes, Floats, Floats]:
        """Codes, costs (a row each) and measured accuracies, in the order told."""
        return np.array(self._codes, dtype=np.intp), np.array(self._costs), np.array(self._accuracies)

    def condition(self, supposed: Codes, supposed_costs: Floats, short: Floats, rewards: Floats) -> None:
        """Take in all that was told, the best by `rewards` if it is too much.

        Networks that are `supposed`, since none of them has been measured, are believed to fall `short` of what is
        expected of them by so many standard deviations.
        """
        codes, costs, accuracies = self.told()
        if len(self) > MOST_ROWS:
            older = np.argsort(-rewards[: -MOST_ROWS // 2], kind="stable")[: MOST_ROWS // 2]
            rows = np.concatenate([np.sort(older), np.arange(len(self) - MOST_ROWS // 2, len(self))])
            codes, costs, accuracies = codes[rows], costs[rows], accuracies[rows]
        y = self._standard(accuracies)
        for model, own in zip(self._models, costs.T):
            if model:
                model.condition(codes, own)
        self._process.condition(codes, self._z(costs), y)
        if len(supposed):
            supposed_costs = self.costs(supposed, supposed_costs)
            mean, deviation = self._process.predict(supposed, self._z(supposed_costs))
            codes, costs = np.concatenate([codes, supposed]), np.concatenate([costs, supposed_costs])
            self._process.condition(codes, self._z(costs), np.concatenate([y, mean - short * deviation]))

    def costs(self, codes: Codes, known: Floats) -> Floats:
        """`known`, and in columns of costs that are not known before measuring, what is expected."""
        if not any(self._models):
            return known
        columns = [model.expected(codes) if model else own for model, own in zip(self._models, known.T)]
        return np.column_stack(columns)

    def mean(self, codes: Codes, costs: Floats) -> Floats:
        return self._centre + self._scale * self._process.mean(codes, self._z(costs))

    def predict(self, codes: Codes, costs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the warped accuracy without the noise of one training."""
        mean, deviation = self._process.predict(codes, self._z(costs))
        return self._centre + self._scale * mean, self._scale * deviation

    def accuracy(self, codes: Codes, costs: Floats) -> Floats:
        """What is expected without the luck of one training."""
        return unwarp(self.mean(codes, costs))

    @property
    def uncertainty(self) -> float:
        """Standard deviation of the warped accuracy of a network far from all that was told."""
        return self._scale * self._process.uncertainty

    def _z(self, costs: Floats) -> Floats:
        if self._basis is None:
            return np.zeros(len(costs))
        return np.asarray((np.log(costs[:, self._basis]) - self._pivot) / self._spread)

    def _standard(self, accuracies: Floats) -> Floats:
        values = warp(accuracies)
        self._centre, self._scale = float(values.mean()), max(float(values.std()), SMALLEST_SPREAD)
        return (values - self._centre) / self._scale


class CostModel:
    """The logarithm of a cost that only measuring tells, by a process of its own."""

    def __init__(self, tables: list[Floats]) -> None:
        self._process = GaussianProcess(tables)
        self._centre, self._scale = 0.0, 1.0

    def fit(self, codes: Codes, costs: Floats, steps: int) -> None:
        self._process.fit(codes, np.zeros(len(codes)), self._standard(costs), steps)

    def condition(self, codes: Codes, costs: Floats) -> None:
        self._process.condition(codes, np.zeros(len(codes)), self._standard(costs))

    def expected(self, codes: Codes) -> Floats:
        return np.exp(self._centre + self._scale * self._process.mean(codes, np.zeros(len(codes))))

    def _standard(self, costs: Floats) -> Floats:
        values = np.log(costs)
        self._centre, self._scale = float(values.mean()), max(float(values.std()), SMALLEST_SPREAD)
        return np.asarray((values - self._centre) / self._scale)
