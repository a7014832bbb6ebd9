"""A Gaussian process over rows of choices and one number each: the logarithm of the cost.

Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning", chapters 2 and 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.networks.architecture import Choice

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
"""Rows of choices: each knob's choice by its place among the knob's choices."""

LEVEL = 4.0  # prior variance of the mean of standardised values
APART = 25.0  # prior variance of another kind's level: wherever it may lie
JITTER = 1e-8
BESIDE = 0.3  # weight of all knobs together beside features, which have 2
QUICK = np.float32  # what many candidates are looked at in: as exact as their ranking needs, in half the time
PLAIN = 8  # hyperparameters before those of knobs
FIT_ROWS = 160  # hyperparameters change little beyond so many


def distances(choices: Sequence[Choice]) -> Floats:
    """Between every two choices of a knob, in [0, 1]: by rank where they are numbers, else 1 for any two."""
    count = len(choices)
    if all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices):
        rank = np.argsort(np.argsort(np.array(choices, dtype=float))) / max(1, count - 1)
        return np.abs(rank[:, None] - rank)
    return 1.0 - np.eye(count)


@dataclass(frozen=True)
class Rows:
    """What was measured, a row each: values `y` with their standard `errors` at `codes` and log-costs `z`.

    `kinds` say of what kind a value is, in the complement (~kind) where it was there before. Asked for are those of
    kind 0; those of each other kind have a level that is not known, and what they have in common with these is learnt.
    """

    codes: Codes
    z: Floats
    y: Floats
    errors: Floats
    kinds: NDArray[np.intp]

    def of(self, which: NDArray[Any] | slice) -> "Rows":
        return Rows(*(getattr(self, field.name)[which] for field in fields(self)))

    def and_then(self, more: "Rows") -> "Rows":
        return Rows(*(np.concatenate([getattr(rows, field.name) for rows in (self, more)]) for field in fields(self)))

    @property
    def grouped(self) -> NDArray[np.intp]:
        """The kind of each, whether it was there before or not."""
        return np.where(self.kinds < 0, ~self.kinds, self.kinds)

    @property
    def others(self) -> NDArray[np.bool_]:
        """Which of them are of another kind."""
        return self.grouped > 0

    @property
    def alike(self) -> NDArray[np.bool_]:
        """Which two of them are of one kind."""
        return np.asarray(self.grouped[:, None] == self.grouped)

    def levels(self) -> Floats:
        """What the levels of other kinds have in common."""
        return np.asarray(APART * (self.others[:, None] & self.alike))


def plain(codes: Codes, z: Floats, y: Floats, errors: Floats) -> Rows:
    """Rows of one kind."""
    return Rows(codes, z, y, errors, np.zeros(len(y), dtype=np.intp))


@dataclass(frozen=True)
class _Terms:
    """The kernel's parts on pairs of rows, for hyperparameters given as logarithms."""

    trend: float  # a line in the log-cost
    additive: float  # each knob's effect on its own
    product: float  # interactions
    noise: float
    length: float  # of the log-cost
    strange: float  # errors of other kinds
    common: float  # correlation of two kinds
    stretch: float  # how much wider the values of another kind are spread
    weights: Floats  # how much each knob matters

    @classmethod
    def of(cls, logs: Floats) -> "_Terms":
        values = np.exp(logs)
        trend, additive, product, noise, length, strange, common, stretch = values[:PLAIN].tolist()
        return cls(trend, additive, product, noise, length, strange, min(1.0, common), stretch, values[PLAIN:])

    @property
    def variance(self) -> float:
        return LEVEL + self.additive + self.product

    def shared(self, rows: Rows) -> Floats:
        """The factor on the covariance of each two of them: an intrinsic model of coregionalisation (Bonilla et al.
        2008; for searches Swersky et al. 2013)."""
        if not rows.others.any():
            return np.ones((1, 1))
        stretch = np.where(rows.others, self.stretch, 1.0)
        return np.asarray(stretch[:, None] * stretch * np.where(rows.alike, 1.0, self.common))


class GaussianProcess:
    """Line in the log-cost + additive effects of knobs + interactions of all of them + noise.

    `features` are further columns of the codes, with what describes a network: knobs then are believed to matter less,
    and what matters is less sure. Hyperparameters maximise the marginal likelihood times log-normal priors, by
    sign-based gradient steps (Rprop).
    """

    def __init__(self, tables: Sequence[Floats], features: Sequence[Floats] = ()) -> None:
        weights = [2.0 / len(tables)] * len(tables)
        if features:
            weights = [BESIDE / len(tables)] * len(tables) + [2.0 / len(features)] * len(features)
        self._tables = tables = [*tables, *features]
        self._starts = np.concatenate([[0], np.cumsum([len(table) for table in tables])[:-1]]).astype(np.intp)
        columns = len(tables)
        self._prior = np.log(np.array([1.0, 0.3, 0.5, 0.01, 0.5, 0.1, 0.8, 1.0, *weights]))
        self._spread = np.array([1.0, 1.0, 1.0, 1.0, 0.7, 1.0, 1.0, 0.5] + [1.0 if features else 0.5] * columns)
        self._logs = self._prior.copy()
        self._codes: Codes = np.zeros((0, columns), dtype=np.intp)
        self._z: Floats = np.zeros(0)
        self._shared: Floats = np.zeros(0)
        self._root: Floats = np.zeros((0, 0))
        self._alpha: Floats = np.zeros(0)

    @property
    def uncertainty(self) -> float:
        """Standard deviation that interactions and additive effects leave far from all measurements."""
        return float(np.sqrt(np.exp(self._logs[1]) + np.exp(self._logs[2])))

    @property
    def noise(self) -> float:
        """Variance of one measurement around what is modelled, on top of its own error."""
        return float(np.exp(self._logs[3]))

    def fit(self, rows: Rows, steps: int) -> None:
        """Better hyperparameters for rows whose values are standardised, from those of the last fit."""
        rows = rows.of(slice(-FIT_ROWS, None))
        codes, z, y, others = rows.codes, rows.z, rows.y, rows.others
        apart = np.stack([table[codes[:, knob]][:, codes[:, knob]] for knob, table in enumerate(self._tables)])
        squares, products, count = (z[:, None] - z) ** 2, z[:, None] * z, len(y)
        levels, strangers = rows.levels(), ~rows.alike
        stretched = others[:, None].astype(float) + others
        flat = apart.reshape(len(apart), -1)
        logs, best = self._logs.copy(), (-np.inf, self._logs)
        step, last = np.full(len(logs), 0.2), np.zeros(len(logs))
        for attempt in range(steps + 1):
            terms = _Terms.of(logs)
            far = (terms.weights @ flat).reshape(count, count)
            total = terms.weights.sum()
            additive = 1 - far / total
            product = terms.product * np.exp(-far - squares / (2 * terms.length**2))
            shared = terms.shared(rows)
            effects = shared * (terms.trend * products + terms.additive * additive + product + LEVEL)
            matrix = effects + levels
            matrix.flat[:: count + 1] += terms.noise + rows.errors**2 + terms.strange * others + JITTER
            root = np.linalg.cholesky(matrix)
            inverse = np.linalg.inv(matrix)
            alpha = inverse @ y
            off = (logs - self._prior) / self._spread
            likelihood = float(-0.5 * (y @ alpha) - np.log(np.diag(root)).sum() - 0.5 * (off @ off))
            if likelihood > best[0]:
                best = (likelihood, logs.copy())
            if attempt == steps:
                break
            gradient = 0.5 * (np.outer(alpha, alpha) - inverse)
            slope = np.zeros(len(logs))
            slope[3] = terms.noise * np.trace(gradient)
            if others.any():
                slope[5] = terms.strange * np.diag(gradient)[others].sum()
                slope[6] = (gradient * effects)[strangers].sum()
                slope[7] = (gradient * effects * stretched).sum()
                gradient *= shared
            through = gradient * product
            slope[0] = terms.trend * (gradient * products).sum()
            slope[1] = terms.additive * (gradient * additive).sum()
            slope[2] = through.sum()
            slope[4] = (through * squares).sum() / terms.length**2
            share = terms.additive / total * (gradient.sum() - (gradient * additive).sum())
            slope[PLAIN:] = terms.weights * (share - flat @ (through + terms.additive / total * gradient).ravel())
            slope -= off / self._spread
            sign = np.sign(slope)
            turned = sign * last
            step = np.clip(np.where(turned > 0, step * 1.3, np.where(turned < 0, step * 0.5, step)), 1e-3, 0.5)
            logs = logs + sign * step
            logs[6] = min(logs[6], 0.0)  # it is a correlation
            last = np.where(turned < 0, 0.0, sign)
        self._logs = best[1]

    def condition(self, rows: Rows) -> None:
        """Take rows whose values are standardised as what was measured."""
        self._codes, self._z = rows.codes, rows.z
        terms = _Terms.of(self._logs)
        matrix = terms.shared(rows) * self._kernel(rows.codes, rows.z) + rows.levels()
        matrix.flat[:: len(rows.y) + 1] += terms.noise + rows.errors**2 + terms.strange * rows.others + JITTER
        self._shared = np.where(rows.others, terms.common * terms.stretch, 1.0)
        self._root = np.linalg.inv(np.linalg.cholesky(matrix))
        self._alpha = self._root.T @ (self._root @ rows.y)

    def left_out(self) -> Floats:
        """By how much each value that it is conditioned on is missed by what all the others foretell."""
        return np.asarray(self._alpha / (self._root**2).sum(axis=0))

    def mean(self, codes: Codes, z: Floats) -> Floats:
        return np.asarray(self._kernel(codes, z, QUICK) @ (self._shared * self._alpha))

    def predict(self, codes: Codes, z: Floats) -> tuple[Floats, Floats]:
        """Posterior mean and standard deviation of the value without noise."""
        terms = _Terms.of(self._logs)
        across = self._kernel(codes, z, QUICK)
        across *= self._shared.astype(QUICK)
        explained = across @ self._root.T.astype(QUICK)
        variance = terms.trend * z**2 + terms.variance - np.einsum("ij,ij->i", explained, explained)
        return across @ self._alpha, np.sqrt(np.maximum(variance, 1e-6))

    def _kernel(self, codes: Codes, z: Floats, kind: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
        """Between given rows and the rows of the measurements, in numbers of that kind."""
        terms = _Terms.of(self._logs)
        columns = self._starts + codes
        hot = np.zeros((len(codes), int(self._starts[-1]) + len(self._tables[-1])), kind)
        z, own = z.astype(kind), self._z.astype(kind)
        hot[np.arange(len(codes))[:, None], columns] = 1.0
        near = np.concatenate(
            [
                weight * table[self._codes[:, knob]]
                for knob, (weight, table) in enumerate(zip(terms.weights, self._tables))
            ],
            axis=1,
        )
        far = hot @ near.T.astype(kind)
        # In place, as these are by far the largest arrays of a proposal.
        product = np.subtract.outer(z, own)
        product *= product
        product /= -2 * terms.length**2
        product -= far
        np.exp(product, out=product)
        product *= terms.product
        far *= -terms.additive / terms.weights.sum()
        far += product
        np.multiply.outer(terms.trend * z, own, out=product)
        far += product
        far += terms.additive + LEVEL
        return far
