"""Several Gaussian processes, of which the one is asked that best foretells an outcome from all the others.

In some spaces the cost says most of what there is to know of accuracy, in others it misleads: one process sees it, one
does not. And some outcomes are of another kind: a cell that computes nothing says little of those that do, and yet sets
the scale for all. So there are two more, without what lies under the widest gap in the lower half. No trial tells which
space it is; leave-one-out does (Rasmussen & Williams 2006, section 5.4.2), here of the better half of what was told, as
a search goes on among these. It compares errors, not densities: without its lower half any space looks less noisy.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.searchers._gaussian_process import FIT_ROWS, Codes, Floats, GaussianProcess

POSITIVE = 1.0  # evidence, in nats, without which the first view is asked: Kass & Raftery 1995, section 3.2
SMALLEST_SPREAD = 0.02  # of warped accuracies: less is noise, not signal
FEW = 20  # outcomes, of which none is left out: ten at least are judged by


class Views:
    """Are asked as a GaussianProcess is, of values that are not standardised."""

    def __init__(self, tables: Sequence[Floats], costed: bool) -> None:
        seen = (True, False) if costed else (False,)
        self._all = [_View(tables, costed, whole) for whole in (True, False) for costed in seen]
        self._asked = self._all[0]

    def fit(self, codes: Codes, z: Floats, y: Floats, errors: Floats, steps: int) -> None:
        """Better hyperparameters for each, and by these the one that is asked from now on."""
        last = slice(-FIT_ROWS, None)
        evidence = [view.fit(codes[last], z[last], y[last], errors[last], steps) for view in self._all]
        evidence[0] += POSITIVE
        self._asked = self._all[int(np.argmax(evidence))]

    def condition(self, codes: Codes, z: Floats, y: Floats, errors: Floats) -> None:
        self._asked.condition(codes, z, y, errors)

    @property
    def uncertainty(self) -> float:
        return self._asked.uncertainty

    def mean(self, codes: Codes, z: Floats) -> Floats:
        return self._asked.mean(codes, z)

    def predict(self, codes: Codes, z: Floats) -> tuple[Floats, Floats]:
        return self._asked.predict(codes, z)


class _View:
    """A process of what it sees, standardised: with or without the cost, of the `whole` or of most of it."""

    def __init__(self, tables: Sequence[Floats], costed: bool, whole: bool) -> None:
        self._process = GaussianProcess(tables)
        self._costed, self._whole = costed, whole
        self._centre, self._scale = 0.0, 1.0

    def fit(self, codes: Codes, z: Floats, y: Floats, errors: Floats, steps: int) -> float:
        """The logarithm of how likely its errors are on the better half of `y`, at the variance that makes them most
        likely; each is foretold from all the others that it sees."""
        rows = self._rows(y)
        if rows.all() and not self._whole:
            return -np.inf
        seen = self._standard(rows, codes, z, y, errors)
        self._process.fit(*seen, steps)
        self._process.condition(*seen)
        missed = self._scale * self._process.left_out()[(y >= np.median(y))[rows]]
        return -len(missed) / 2 * float(np.log(np.mean(missed**2) + 1e-12))

    def condition(self, codes: Codes, z: Floats, y: Floats, errors: Floats) -> None:
        self._process.condition(*self._standard(self._rows(y), codes, z, y, errors))

    def mean(self, codes: Codes, z: Floats) -> Floats:
        return self._centre + self._scale * self._process.mean(codes, self._seen(z))

    def predict(self, codes: Codes, z: Floats) -> tuple[Floats, Floats]:
        mean, deviation = self._process.predict(codes, self._seen(z))
        return self._centre + self._scale * mean, self._scale * deviation

    @property
    def uncertainty(self) -> float:
        return self._scale * self._process.uncertainty

    def _rows(self, y: Floats) -> NDArray[np.bool_]:
        """Where `y` is over the widest gap in its lower half."""
        if self._whole or len(y) < FEW:
            return np.ones(len(y), dtype=bool)
        lower = np.sort(y)[: len(y) // 2 + 1]
        return np.asarray(y >= lower[1 + int(np.argmax(np.diff(lower)))])

    def _seen(self, z: Floats) -> Floats:
        return z if self._costed else np.zeros(len(z))

    def _standard(
        self, rows: NDArray[np.bool_], codes: Codes, z: Floats, y: Floats, errors: Floats
    ) -> tuple[Codes, Floats, Floats, Floats]:
        y = y[rows]
        self._centre, self._scale = float(y.mean()), max(float(y.std()), SMALLEST_SPREAD)
        return codes[rows], self._seen(z[rows]), (y - self._centre) / self._scale, errors[rows] / self._scale
