"""Latency predicted from measured networks: what their layers cost on a device, learnt by least squares.

A network's time is nearly the sum of its layers' times, and a layer's time nearly linear in the work and the memory
traffic that layers of its kind do (Dudziak et al. 2020, BRP-NAS, compare such predictors). So features are sums over
layers, by kind; their weights are fitted to relative errors, shrunk as cross-validation finds best, and outliers pull
little. Few networks are enough on a new device where others are known: what these would take are features as well,
which say most (Lee et al. 2021, HELP, know a device by ten networks), and what layers cost only corrects them.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.correlation import spearman
from nas.measurements import Latency
from nas.metering.earlier import NOISY
from nas.networks.layers import Activate, Branches, Conv, GlobalPool, Graph, Layer, Linear, Node, Pool, pair
from nas.networks.layers import Sequence as Chain
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.network import walk
from nas.networks.shapes import Shape, after, joined

FOLDS = 5
LEAST = 20  # measured networks
LEAST_BORROWING = 10  # where other devices are known
FREE = 1e-4  # shrinkage at most of what another device is worth
VECTOR = 16  # single-precision numbers in 512 bits
LARGE = 1.5  # times the median error
TINY = 1e-9  # an error that is none
REWEIGHTINGS = 6
SURE = 0.02  # a relative error of measuring that is no more than the predictor's own
SHRINKAGES = tuple(10.0**power for power in range(-7, 2))

Measured = tuple[AnyArchitecture, float]


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """Milliseconds of networks that were not measured. `error` is the mean relative error on measured networks that it
    had not seen, found by cross-validation, `rank` their rank correlation (Spearman),
    None where all took the same time; both say what it is worth. It has `borrowed` where it learnt from other devices
    as well. `fingerprint` says on what it holds."""

    error: float
    rank: float | None
    networks: int
    weights: dict[str, float]
    borrowed: bool = False
    fingerprint: dict[str, str] = field(default_factory=dict)

    def __call__(self, architecture: AnyArchitecture) -> float:
        return self.of(features(architecture))

    def of(self, tally: Counter[str]) -> float:
        """The same, of what a network's layers amount to."""
        total = sum(self.weights.get(name, 0.0) * value for name, value in tally.items())
        return max(total, self.weights["least"])


def learnt(latencies: Sequence[tuple[AnyArchitecture, Latency]], others: Sequence[Predictor] = ()) -> Predictor:
    """Learn from latencies on one device, newest first: each network's best known one of those that were taken on the
    same machine and runtime as the newest. `others` are predictors of other devices. Raises as `predictor` does."""
    fingerprint = latencies[0][1].fingerprint if latencies else {}
    surest: dict[str, tuple[AnyArchitecture, Latency]] = {}
    for architecture, latency in latencies:
        before = surest.get(architecture.digest())
        if latency.fingerprint == fingerprint and (before is None or _error(latency) < _error(before[1])):
            surest[architecture.digest()] = architecture, latency
    measured = [(architecture, latency.median_ms) for architecture, latency in surest.values()]
    told = any(latency.error_ms is not None for _, latency in surest.values())  # else all are known alike
    errors = [_error(latency) for _, latency in surest.values()] if told else None
    model = predictor(measured, errors, others)
    return dataclasses.replace(model, fingerprint=fingerprint)


def _error(latency: Latency) -> float:
    """What is not known, as of a latency from before there were errors, is not small."""
    return NOISY if latency.error_ms is None else latency.error


def predictor(
    measured: Sequence[Measured], errors: Sequence[float] | None = None, others: Sequence[Predictor] = ()
) -> Predictor:
    """Learn from networks and the milliseconds they took on one device; from those with a large relative error less.
    From `others`, of other devices, as well, where cross-validation finds that better or the networks are few.
    Raises ValueError for too few of them, and ModuleNotFoundError without numpy."""
    least = LEAST_BORROWING if others else LEAST
    if len(measured) < least:
        fewer = "" if others else f", or {LEAST_BORROWING} where other devices are known"
        raise ValueError(
            f"{len(measured)} measured networks are too few to learn latency from: give {least} or more{fewer}"
        )
    for architecture, milliseconds in measured:
        if not (math.isfinite(milliseconds) and milliseconds > 0):
            raise ValueError(f"latency {milliseconds} ms of network {architecture.digest()} is not a positive number")
    import numpy as np

    tables = [features(architecture) for architecture, _ in measured]
    names = sorted({name for table in tables for name in table})
    layers = np.array([[table[name] for name in names] for table in tables])
    elsewhere = np.array([[other.of(table) for other in others] for table in tables])
    times = np.array([milliseconds for _, milliseconds in measured])
    sure = SURE**2 / (SURE**2 + np.array(errors or [0.0] * len(times)) ** 2)
    fits = [_Fit.of(layers, times, sure)] if len(measured) >= LEAST or not others else []
    if others:
        fits.append(_Fit.of(np.hstack([layers, elsewhere]), times, sure, len(others)))
    fit = min(fits, key=lambda fit: fit.error)
    weights = dict(zip(names, fit.weights))
    for other, share in zip(others, fit.weights[len(names) :]):
        for name, weight in other.weights.items():
            weights[name] = weights.get(name, 0.0) + share * weight
    return Predictor(
        error=fit.error,
        rank=spearman(fit.guesses, times.tolist()),
        networks=len(times),
        borrowed=len(fit.weights) > len(names),
        weights=weights | {"least": float(times.min()) / 2},
    )


def features(architecture: AnyArchitecture) -> Counter[str]:
    """What a network's layers amount to, by kind: how many there are, multiply-adds, and values read and written."""
    tally: Counter[str] = Counter({"network": 1})
    for _ in walk(lowered(architecture), architecture.images, lambda part, *entering: _part(tally, part, entering)):
        pass
    return tally


def _part(tally: Counter[str], part: Any, entering: tuple[Shape, ...]) -> Shape:
    scratch: Counter[str] = Counter() if part.auxiliary else tally  # an auxiliary classifier works in training only
    for block in part.blocks:
        entering = (_add(scratch, block, *entering),)
    return entering[0]


def _add(tally: Counter[str], layer: Layer, *entering: Shape) -> Shape:
    shape = entering[0]
    match layer:
        case Chain():
            for inner in layer.layers:
                shape = _add(tally, inner, shape)
            return shape
        case Branches():
            leaving = joined([_add(tally, branch, shape) for branch in layer.branches], layer.join)
            _note(tally, layer.join, 0, _size(leaving))
            return leaving
        case Graph():
            states = [_add(tally, adapter, state) for adapter, state in zip(layer.adapters, entering)]
            for node in layer.nodes:
                states.append(_made(tally, node, states))
            return _made(tally, layer.output, states)
    leaving = after(layer, shape)
    match layer:
        case Conv():
            tall, wide = pair(layer.kernel)
            work = shape.channels // layer.groups * tall * wide * _size(leaving)
            kind = "depthwise" if layer.groups == shape.channels > 1 else "grouped" if layer.groups > 1 else "dense"
            where = "gate" if leaving.height == leaving.width == 1 else f"{tall}x{wide}"
            _note(tally, f"{kind} {where} by {layer.stride}", work, _size(shape) + _size(leaving))
            read = 1 if kind == "depthwise" else _padded(shape.channels) // layer.groups
            tally[f"{kind} {where}, padded multiply-adds"] += (
                work * read * _padded(layer.out) // max(1, (shape.channels // layer.groups) * layer.out)
            )
            if layer.activation:
                _note(tally, layer.activation, 0, _size(leaving))
        case Linear():
            _note(tally, "linear", _size(shape) * layer.out, layer.out)
        case Pool() | GlobalPool():
            _note(tally, layer.layer, 0, _size(shape))
        case Activate():
            _note(tally, layer.activation, 0, _size(shape))
    return leaving


def _made(tally: Counter[str], node: Node, states: list[Shape]) -> Shape:
    leaving = joined([_add(tally, step.applied, states[step.state]) for step in node.steps], node.join)
    _note(tally, node.join, 0, _size(leaving) * max(0, len(node.steps) - 1))
    return leaving


def _note(tally: Counter[str], kind: str, work: int, values: int) -> None:
    tally[f"{kind}, layers"] += 1
    tally[f"{kind}, values"] += values
    if work:
        tally[f"{kind}, multiply-adds"] += work


def _padded(channels: int) -> int:
    """As many as a processor works on, which takes whole vectors."""
    return -(-channels // VECTOR) * VECTOR


def _size(shape: Shape) -> int:
    return shape.channels * shape.height * shape.width


@dataclass(frozen=True)
class _Fit:
    """Weights of features, and the mean relative error of `guesses`, each of a fold that was left out."""

    weights: list[float]
    error: float
    guesses: list[float]

    @classmethod
    def of(cls, rows: Any, times: Any, sure: Any, free: int = 0) -> "_Fit":
        """Of features a row for each network, of which the last `free` are hardly shrunk."""
        import numpy as np

        scale = rows.max(axis=0)
        rows, folds = rows / scale, np.arange(len(times)) % FOLDS
        found = []
        for shrinkage in SHRINKAGES:
            shrinkages = np.full(rows.shape[1], shrinkage)
            shrinkages[rows.shape[1] - free :] = min(shrinkage, FREE)
            guesses = np.empty_like(times)
            for fold in range(FOLDS):
                held = folds == fold
                guesses[held] = rows[held] @ _fitted(rows[~held], times[~held], sure[~held], shrinkages)
            found.append((float(np.average(np.abs(guesses - times) / times, weights=sure)), shrinkages, guesses))
        error, shrinkages, guesses = min(found, key=lambda one: one[0])
        return cls((_fitted(rows, times, sure, shrinkages) / scale).tolist(), error, guesses.tolist())


def _fitted(rows: Any, times: Any, sure: Any, shrinkages: Any) -> Any:
    """Ridge regression of relative errors, in which those that are large beside the others count by their size and not
    by its square (Huber 1964, by reweighting): a host that was busy shows in single measurements."""
    import numpy as np

    weighted, trust = rows / times[:, None], sure
    for _ in range(REWEIGHTINGS):
        trusted = weighted * trust[:, None]
        normal = trusted.T @ weighted + len(times) * np.diag(shrinkages)
        weights = np.linalg.solve(normal, trusted.sum(0))
        errors = np.maximum(np.abs(weighted @ weights - 1), TINY)
        trust = sure * np.minimum(1, LARGE * np.median(errors) / errors)
    return weights
