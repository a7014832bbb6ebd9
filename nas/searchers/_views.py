"""Several Gaussian processes, of which the one is asked that best foretells an outcome from all the others.

In some spaces the cost says most of what there is to know of accuracy, in others it misleads: one process sees it, one
does not. And some outcomes are of another kind: a cell that computes nothing says little of those that do, and yet sets
the scale for all. So there are two more, without what lies under the widest gap in the lower half. No trial tells which
space it is; leave-one-out does (Rasmussen & Williams 2006, section 5.4.2), here of the better half of what was told, as
a search goes on among these. It compares errors, not densities: without its lower half any space looks less noisy.
Where outcomes of earlier searches are known, or such of shorter trainings, there is each of these models with them and
without, and where cells are described by more than their knobs, with that and without; and the same judge.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.searchers._gaussian_process import FIT_ROWS, Codes, Floats, GaussianProcess, Rows

POSITIVE = 1.0  # evidence, in nats, without which the first view is asked: Kass & Raftery 1995, section 3.2
SMALLEST_SPREAD = 0.02  # of warped accuracies: less is noise, not signal
FEW = 20  # outcomes, of which none is left out: ten at least are judged by
FEWEST = 10  # of a search's own and of what is asked for, before it can tell that it is better off without all others


class Views:
    """Are asked as a GaussianProcess is, of values that are not standardised."""

    def __init__(self, tables: Sequence[Floats], features: Sequence[Floats], costed: bool) -> None:
        self._all = [
            _View(tables, beside, cost, whole, taught)
            for beside in ([(), features] if features else [()])
            for taught in (True, False)
            for whole in (True, False)
            for cost in ((True, False) if costed else (False,))
        ]
        self._asked = self._all[0]

    def fit(self, rows: Rows, steps: int) -> None:
        """Better hyperparameters for each, and by these the one that is asked from now on."""
        rows = rows.of(slice(-FIT_ROWS, None))
        evidence = [view.fit(rows, steps) for view in self._all]
        evidence[0] += POSITIVE
        self._asked = self._all[int(np.argmax(evidence))]

    def condition(self, rows: Rows) -> None:
        self._asked.condition(rows)

    @property
    def uncertainty(self) -> float:
        return self._asked.uncertainty

    def mean(self, codes: Codes, z: Floats) -> Floats:
        return self._asked.mean(codes, z)

    def predict(self, codes: Codes, z: Floats) -> tuple[Floats, Floats]:
        return self._asked.predict(codes, z)


class _View:
    """A process of what it sees, standardised: with `features` or none, with or without the cost, of the `whole` or of
    most of it, `taught` by what is earlier and by other kinds or not."""

    def __init__(
        self, tables: Sequence[Floats], features: Sequence[Floats], costed: bool, whole: bool, taught: bool
    ) -> None:
        self._process = GaussianProcess(tables, features)
        self._columns = len(tables) + len(features)
        self._costed, self._whole, self._taught = costed, whole, taught
        self._centre, self._scale = 0.0, 1.0

    def fit(self, rows: Rows, steps: int) -> float:
        """The logarithm of how likely its errors are on the better half of what is asked for, at the variance that
        makes them most likely; each is foretold from all the others that it sees."""
        own = rows.kinds == 0
        seen, judged = self._seen(rows), _better(rows)
        if not self._taught and not FEWEST <= np.sum(own) < len(own):
            return -np.inf
        if not self._whole and seen[own | self._taught].all():
            return -np.inf
        standard = self._standard(rows.of(seen))
        self._process.fit(standard, steps)
        self._process.condition(standard)
        missed = self._scale * self._process.left_out()[judged[seen]]
        if not len(missed):
            return -np.inf
        return -len(missed) / 2 * float(np.log(np.mean(missed**2) + 1e-12))

    def condition(self, rows: Rows) -> None:
        self._process.condition(self._standard(rows.of(self._seen(rows))))

    def mean(self, codes: Codes, z: Floats) -> Floats:
        return self._centre + self._scale * self._process.mean(codes[:, : self._columns], self._z(z))

    def predict(self, codes: Codes, z: Floats) -> tuple[Floats, Floats]:
        mean, deviation = self._process.predict(codes[:, : self._columns], self._z(z))
        return self._centre + self._scale * mean, self._scale * deviation

    @property
    def uncertainty(self) -> float:
        return self._scale * self._process.uncertainty

    def _seen(self, rows: Rows) -> NDArray[np.bool_]:
        """Of each kind that counts, what is over the widest gap in its lower half; and all that is judged by."""
        seen, levels = _better(rows), rows.grouped
        for level in np.unique(levels):
            of_kind = np.flatnonzero((levels == level) & (self._taught | (rows.kinds == 0)))
            y = rows.y[of_kind]
            if self._whole or len(y) < FEW:
                seen[of_kind] = True
                continue
            lower = np.sort(y)[: len(y) // 2 + 1]
            seen[of_kind] |= y >= lower[1 + int(np.argmax(np.diff(lower)))]
        return seen

    def _z(self, z: Floats) -> Floats:
        return z if self._costed else np.zeros(len(z))

    def _standard(self, rows: Rows) -> Rows:
        """Around the mean of what is asked for, where there is any; as widely spread as each kind is on its own."""
        levels = rows.grouped
        means = {level: float(rows.y[levels == level].mean()) for level in np.unique(levels)}
        away = rows.y - np.array([means[level] for level in levels])
        self._centre = means.get(0, float(rows.y.mean()))
        self._scale = max(float(np.sqrt(np.mean(away**2))), SMALLEST_SPREAD)
        y, errors = (rows.y - self._centre) / self._scale, rows.errors / self._scale
        return Rows(rows.codes[:, : self._columns], self._z(rows.z), y, errors, rows.kinds)


def _better(rows: Rows) -> NDArray[np.bool_]:
    """The better half of what this search was told; where there is little of what is asked for, of other kinds too."""
    better = np.zeros(len(rows.y), dtype=np.bool_)
    for kind in [0] if np.sum(rows.kinds == 0) >= FEWEST else np.unique(rows.kinds[rows.kinds >= 0]):
        its = rows.kinds == kind
        if its.any():
            better |= its & (rows.y >= np.median(rows.y[its]))
    return better
