"""What the outcomes that were told say of every network's accuracy, and of its cost where only measuring tells it."""

import logging

import numpy as np

from nas.searchers._acquisition import unwarp, warp
from nas.searchers._candidates import Code
from nas.searchers._gaussian_process import Codes, Floats, GaussianProcess

log = logging.getLogger(__name__)

MOST_ROWS = 500  # outcomes that the process is conditioned on; with more, the best half and the latest half
SMALLEST_SPREAD = 0.02  # of warped accuracies: less is noise, not signal


class Belief:
    """Told one outcome at a time; `condition`ed before it is asked. Accuracies are warped, see `_acquisition`.

    `tables` are the distances between each knob's choices, `log_costs` those of networks all over the space, or None
    where a cost is not known before it is measured: then a second process models it.
    """

    def __init__(self, tables: list[Floats], log_costs: Floats | None) -> None:
        self._process = GaussianProcess(tables)
        self._cost_process = GaussianProcess(tables) if log_costs is None else None
        self._pivot = 0.0 if log_costs is None else float(log_costs.max())
        self._spread = 1.0 if log_costs is None else max(float(log_costs.std()), 1e-3)
        self._codes: list[Code] = []
        self._accuracies: list[float] = []
        self._costs: list[float] = []
        self._fitted = 0
        self._centre, self._scale = 0.0, 1.0
        self._cost_centre, self._cost_scale = 0.0, 1.0

    def __len__(self) -> int:
        return len(self._codes)

    def tell(self, code: Code, accuracy: float, cost: float) -> None:
        self._codes.append(code)
        self._accuracies.append(accuracy)
        self._costs.append(cost)
        count = len(self)
        if count < 4 or count < self._fitted + max(1, count // 20):
            return
        self._fitted = count
        codes, costs, accuracies = self.told()
        steps = 30 if count < 20 else 10
        self._process.fit(codes, self._z(costs), self._standard(accuracies), steps)
        if self._cost_process:
            self._cost_process.fit(codes, np.zeros(count), self._cost_standard(costs), steps)
        if count == MOST_ROWS:
            log.info("after %d outcomes the model sees the best half and the latest half of so many", count)

    def told(self) -> tuple[Codes, Floats, Floats]:
        """Codes, costs and measured accuracies, in the order told."""
        return np.array(self._codes, dtype=np.intp), np.array(self._costs), np.array(self._accuracies)

    def condition(self, supposed: Codes, supposed_costs: Floats, short: Floats, rewards: Floats) -> None:
        """Take in all that was told, the best by `rewards` if it is too much.

        Networks that are `supposed`, since none of them has been measured, are believed to fall `short` of what is
        expected of them by so many standard deviations.
        """
        codes, costs, accuracies = self.told()
        if len(self) > MOST_ROWS:
            older = np.argsort(-rewards[: -MOST_ROWS // 2], kind="stable")[: MOST_ROWS // 2]
            chosen = np.concatenate([np.sort(older), np.arange(len(self) - MOST_ROWS // 2, len(self))])
            codes, costs, accuracies = codes[chosen], costs[chosen], accuracies[chosen]
        y = self._standard(accuracies)
        if self._cost_process:
            self._cost_process.condition(codes, np.zeros(len(codes)), self._cost_standard(costs))
        self._process.condition(codes, self._z(costs), y)
        if len(supposed):
            supposed_costs = self.costs(supposed, supposed_costs)
            mean, deviation = self._process.predict(supposed, self._z(supposed_costs))
            codes, costs = np.concatenate([codes, supposed]), np.concatenate([costs, supposed_costs])
            self._process.condition(codes, self._z(costs), np.concatenate([y, mean - short * deviation]))

    def costs(self, codes: Codes, known: Floats) -> Floats:
        """`known`, or where cost is not known before measuring, what is expected."""
        if not self._cost_process:
            return known
        return np.asarray(
            np.exp(self._cost_centre + self._cost_scale * self._cost_process.mean(codes, np.zeros(len(codes))))
        )

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
        return np.zeros(len(costs)) if self._cost_process else (np.log(costs) - self._pivot) / self._spread

    def _standard(self, accuracies: Floats) -> Floats:
        values = warp(accuracies)
        self._centre, self._scale = float(values.mean()), max(float(values.std()), SMALLEST_SPREAD)
        return (values - self._centre) / self._scale

    def _cost_standard(self, costs: Floats) -> Floats:
        values = np.log(costs)
        self._cost_centre, self._cost_scale = float(values.mean()), max(float(values.std()), SMALLEST_SPREAD)
        return (values - self._cost_centre) / self._cost_scale
