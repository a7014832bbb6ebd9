"""Hard caps on a candidate, and the memory that there is for any: what breaks one, in words, and by how much."""

import os
from collections.abc import Iterator
from pathlib import Path

from nas import boards
from nas.measurements import Latency
from nas.networks.counts import Counts
from nas.rounding import Precision, Rounding
from nas.specs import Limits

CONTAINER = Path("/sys/fs/cgroup/memory.max")
LEAST_LOAD = 0.1  # a network that loses nothing, or gains, is no further from the limit than that
ERRORS = 2  # standard errors, within which a network on the limit is found nearly always
MARGIN = 3  # mean errors, some 2.4 standard deviations: few networks at the limit are taken for ones over it


def over_limit(limits: Limits, counted: Counts, precision: Precision = "float32") -> str | None:
    """Which of `limits` is broken before anything is measured, the value and the cap; None if none is."""
    for name, value, limit, place in _counted(limits, counted, precision):
        if value > limit:
            return f"{name} {value:,} over the limit of {limit:,}{place}"
    return None


def over_latency(limits: Limits, latency: Latency) -> str | None:
    """In words, that a measured latency is over the limit by more than two standard errors; None if it is not."""
    error_ms = latency.error_ms or 0.0
    if limits.latency_ms is None or latency.median_ms - ERRORS * error_ms <= limits.latency_ms:
        return None
    known = f" ± {error_ms:.2g}" if error_ms else ""
    return f"latency_ms {latency.median_ms:.3g}{known} over the limit of {limits.latency_ms:g}"


def near_limit(limits: Limits, latency: Latency) -> bool:
    """Whether the latency's error leaves open on which side of its limit it is."""
    if limits.latency_ms is None:
        return False
    return abs(latency.median_ms - limits.latency_ms) <= ERRORS * (latency.error_ms or 0.0)


def _counted(limits: Limits, counted: Counts, precision: Precision) -> Iterator[tuple[str, int, int, str]]:
    """Of each limit in force what it caps, the value, the cap, and where that holds."""
    if limits.params is not None:
        yield "params", counted.params, limits.params, ""
    if limits.mult_adds is not None:
        yield "mult_adds", counted.mult_adds, limits.mult_adds, ""
    if limits.peak_memory is not None:
        yield "peak_memory", counted.peak_memory(precision), limits.peak_memory, ""
    if limits.model_bytes is not None:
        yield "model_bytes", counted.model_bytes(precision), limits.model_bytes, ""
    if limits.board is not None:
        board, place = boards.named(limits.board), f" for int8 on {limits.board}"
        yield "arena", counted.arena("int8"), board.for_values, place
        yield "model_bytes", counted.model_bytes("int8"), board.for_weights, place


def load(limits: Limits, rounding: Rounding | None, latency_ms: float | None) -> float | None:
    """The largest share that a network has of those limits that only measuring tells; None where there are none."""
    shares = [latency_ms / limits.latency_ms] if latency_ms and limits.latency_ms else []
    if rounding and limits.most_drop:
        shares.append(max(LEAST_LOAD, rounding.drop / limits.most_drop))
    return max(shares, default=None)


def far_over(limits: Limits, predicted_ms: float, error: float) -> str | None:
    """In words, that a latency predicted with that mean relative error is over the limit by more than the error."""
    if limits.latency_ms is None or predicted_ms <= limits.latency_ms * (1 + MARGIN * error):
        return None
    return f"latency_ms {predicted_ms:.3g} predicted, far over the limit of {limits.latency_ms:g}"


def excess(
    limits: Limits,
    counted: Counts,
    predicted_ms: float = 0.0,
    error: float = 0.0,
    precision: Precision = "float32",
) -> float:
    """By what share of each of `limits` a candidate is over it, all together; 0 where `over_limit` and `far_over` have
    nothing to say."""
    values: list[tuple[float, float]] = [(value, limit) for _, value, limit, _ in _counted(limits, counted, precision)]
    if limits.latency_ms is not None:
        values.append((predicted_ms, limits.latency_ms * (1 + MARGIN * error)))
    return sum(max(0.0, value / limit - 1) for value, limit in values)


def over_memory(counted: Counts, memory_bytes: int) -> str | None:
    """In words, that in single precision the weights alone, with what the widest block gives, take more than that."""
    widest = max(row.activations // max(1, row.repeats) for row in counted.rows)
    needed = 4 * (counted.params + counted.statistics + widest)
    if needed <= memory_bytes:
        return None
    return f"{counted.params:,} parameters and more take {needed:,} bytes, and there are {memory_bytes:,}"


def memory_bytes() -> int:
    """Of this machine, or of the container that this process is in."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(CONTAINER.read_text()))
    except (OSError, ValueError):  # none, or without a limit
        return machine
