"""What the outcomes that were told say of every network's accuracy, and of costs that only measuring tells."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nas.searchers import Costed, Outcome
from nas.searchers._acquisition import normal_cdf, unwarp, warp, warped_error
from nas.searchers._candidates import Code
from nas.searchers._features import Features
from nas.searchers._gaussian_process import Codes, Floats, GaussianProcess, Rows, plain
from nas.searchers._views import SMALLEST_SPREAD, Views

log = logging.getLogger(__name__)

MOST_ROWS = 500  # outcomes that the process is conditioned on; with more, the best half and the latest half


class Known(NamedTuple):
    """An outcome as it is learnt from; `kind` as in Outcome."""

    code: Code
    costs: tuple[float, ...]
    accuracy: float
    error: float
    kind: int = 0


class Belief:
    """Told one outcome at a time; `condition`ed before it is asked. Accuracies are warped, see `_acquisition`.

    `tables` are the distances between each knob's choices. `log_costs` has for each cost those of networks all over the
    space, or None where it is not known before it is measured: then a process of its own models it. So does one what is
    told of the load, a network's share of a limit. `earlier` is what is known before anything is told, `features` what
    describes networks beside their knobs.
    """

    def __init__(
        self,
        tables: list[Floats],
        log_costs: Sequence[Floats | None],
        earlier: Sequence[Known] = (),
        features: Features | None = None,
    ) -> None:
        costed = any(known is not None for known in log_costs)
        self._process = Views(tables, features.tables if features else (), costed)
        self._models = [CostModel(tables) if known is None else None for known in log_costs]
        self._tables, self._features = tables, features
        self._load: CostModel | None = None
        self._basis = next((place for place, known in enumerate(log_costs) if known is not None), None)
        basis = np.zeros(1) if self._basis is None else np.asarray(log_costs[self._basis])
        self._pivot, self._spread = float(basis.max()), max(float(basis.std()), 1e-3)
        self._earlier, self._told = list(earlier), list[Known]()
        self._fitted = self._asked = 0
        self._fit()

    def __len__(self) -> int:
        return len(self._told)

    def tell(self, code: Code, outcome: Costed) -> None:
        for model, cost in zip(self._models, outcome.costs):
            if model:
                model.tell(code, cost, outcome.cost_error)
        if outcome.load is not None:
            self._load = self._load or CostModel(self._tables)
            self._load.tell(code, outcome.load, outcome.cost_error)
        if not isinstance(outcome, Outcome):
            return
        self._told.append(Known(code, outcome.costs, outcome.accuracy, outcome.error, outcome.kind))
        # What was found before of the same network may be the same training.
        again = code, outcome.kind
        self._earlier = [known for known in self._earlier if (known.code, known.kind) != again]
        self._fit()
        if len(self) == MOST_ROWS:
            log.info("after %d outcomes the model sees the best half and the latest half of so many", len(self))

    def knows(self, code: Code) -> bool:
        """Whether an outcome of that network was told."""
        return any(known.code == code for known in self._told)

    @property
    def known(self) -> int:
        """How many outcomes the model sees, the earlier ones too."""
        return min(len(self._earlier) + len(self._told), MOST_ROWS)

    def told(self) -> tuple[Codes, Floats, Floats]:
        """Codes, costs (a row each) and measured accuracies, in the order told."""
        return _arrays(self._told)

    def everything(self) -> tuple[Codes, Floats, Floats]:
        """The same, and after it what was known earlier."""
        return _arrays([*self._told, *self._earlier])

    def condition(self, supposed: Codes, supposed_costs: Floats, short: Floats, rewards: Floats) -> None:
        """Take in all that was told, the best by `rewards` if it is too much.

        Networks that are `supposed`, since none of them has been measured, are believed to fall `short` of what is
        expected of them by so many standard deviations.
        """
        told, most = self._told, MOST_ROWS - len(self._earlier)
        if len(told) > most:
            older = np.argsort(-rewards[: -most // 2], kind="stable")[: most // 2]
            told = [*(told[row] for row in np.sort(older)), *told[len(told) - most // 2 :]]
        rows = self._rows(told)
        self.condition_costs()
        self._process.condition(rows)
        if len(supposed):
            z = self._z(self.costs(supposed, supposed_costs))
            described = self._described(supposed)
            mean, deviation = self._process.predict(described, z)
            likely = plain(described, z, mean - short * deviation, np.zeros(len(supposed)))
            self._process.condition(rows.and_then(likely))

    def condition_costs(self) -> None:
        """Take in the costs that were told, also where nothing was trained."""
        for model in (*self._models, self._load):
            if model:
                model.condition()

    def costs(self, codes: Codes, known: Floats) -> Floats:
        """`known`, and in columns of costs that are not known before measuring, what is expected."""
        if not any(self._models):
            return known
        columns = [model.expected(codes) if model else own for model, own in zip(self._models, known.T)]
        return np.column_stack(columns)

    @property
    def limited(self) -> bool:
        """Whether anything was told of the load."""
        return self._load is not None

    def within(self, codes: Codes) -> Floats:
        """The probability that a network's load, once measured, is within its limit."""
        return self._load.below_one(codes) if self._load else np.ones(len(codes))

    def mean(self, codes: Codes, costs: Floats) -> Floats:
        return self._process.mean(self._described(codes), self._z(costs))

    def predict(self, codes: Codes, costs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the warped accuracy without the noise of one training."""
        return self._process.predict(self._described(codes), self._z(costs))

    def accuracy(self, codes: Codes, costs: Floats) -> Floats:
        """What is expected without the luck of one training."""
        return unwarp(self.mean(codes, costs))

    @property
    def uncertainty(self) -> float:
        """Standard deviation of the warped accuracy of a network far from all that was told."""
        return self._process.uncertainty

    def _described(self, codes: Codes) -> Codes:
        return self._features.beside(codes) if self._features and len(codes) else codes

    def _z(self, costs: Floats) -> Floats:
        if self._basis is None:
            return np.zeros(len(costs))
        return np.asarray((np.log(costs[:, self._basis]) - self._pivot) / self._spread)

    def _fit(self) -> None:
        count = len(self._earlier) + len(self._told)
        asked = self._dearest
        if steps := _steps(count, self._fitted if asked == self._asked else 0):
            self._fitted, self._asked = count, asked
            self._process.fit(self._rows(self._told), steps)

    @property
    def _dearest(self) -> int:
        """The kind that is asked for."""
        return min((known.kind for known in (*self._earlier, *self._told)), default=0)

    def _rows(self, told: Sequence[Known]) -> Rows:
        """What is known earlier, and what was `told`."""
        known = [*self._earlier, *told]
        codes, costs, accuracies = _arrays(known)
        errors = warped_error(accuracies, np.array([one.error for one in known]))
        kinds = np.array([one.kind for one in known], dtype=np.intp) - self._dearest
        kinds[: len(self._earlier)] = ~kinds[: len(self._earlier)]
        return Rows(self._described(codes), self._z(costs), warp(accuracies), errors, kinds)


class CostModel:
    """The logarithm of a cost that only measuring tells, by a process of its own."""

    def __init__(self, tables: list[Floats]) -> None:
        self._process = GaussianProcess(tables)
        self._codes: list[Code] = []
        self._costs: list[float] = []
        self._errors: list[float] = []
        self._fitted = 0
        self._centre, self._scale = 0.0, 1.0

    def tell(self, code: Code, cost: float, error: float = 0.0) -> None:
        """`error` is the relative standard error of `cost`."""
        self._codes.append(code)
        self._costs.append(cost)
        self._errors.append(error)
        if steps := _steps(len(self._codes), self._fitted):
            self._fitted = len(self._codes)
            self._process.fit(self._rows(), steps)

    def condition(self) -> None:
        self._process.condition(self._rows())

    def expected(self, codes: Codes) -> Floats:
        return np.exp(self._centre + self._scale * self._process.mean(codes, np.zeros(len(codes))))

    def below_one(self, codes: Codes) -> Floats:
        """The probability that it is measured as 1 at most."""
        mean, deviation = self._process.predict(codes, np.zeros(len(codes)))
        return normal_cdf(-(self._centre / self._scale + mean) / np.sqrt(deviation**2 + self._process.noise))

    def _rows(self) -> Rows:
        """The latest costs that were told, and their errors, standardised."""
        codes, values = np.array(self._codes[-MOST_ROWS:], dtype=np.intp), np.log(self._costs[-MOST_ROWS:])
        self._centre, self._scale = float(values.mean()), max(float(values.std()), SMALLEST_SPREAD)
        errors = np.array(self._errors[-MOST_ROWS:]) / self._scale
        return plain(codes, np.zeros(len(codes)), np.asarray((values - self._centre) / self._scale), errors)


def _arrays(known: Sequence[Known]) -> tuple[Codes, Floats, Floats]:
    """Codes, costs and accuracies, a row each."""
    codes = np.array([one.code for one in known], dtype=np.intp)
    costs = np.array([one.costs for one in known])
    return codes, costs if len(known) else np.zeros((0, 1)), np.array([one.accuracy for one in known])


def _steps(count: int, fitted: int) -> int:
    """For how long to fit a process to so many outcomes, of which it was fitted to so many; 0: not yet again."""
    if count < 4 or count < fitted + max(1, count // 20):
        return 0
    return 30 if count < 20 else 10
