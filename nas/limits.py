"""Hard caps on a candidate, and the memory that there is for any: what breaks one, in words, and by how much."""

import os
from pathlib import Path

from nas.networks.counts import Counts
from nas.records import Latency, Measurement
from nas.specs import Limits

CONTAINER = Path("/sys/fs/cgroup/memory.max")
MARGIN = 3  # mean errors, some 2.4 standard deviations: few networks at the limit are taken for ones over it


def over_limit(limits: Limits, counted: Counts | Measurement, latency: Latency | None = None) -> str | None:
    """Which of `limits` is broken, the value and the cap; None if none is. `latency` counts once measured."""
    values = {"params": counted.params, "mult_adds": counted.mult_adds}
    for name, value in values.items():
        limit = getattr(limits, name)
        if limit is not None and value > limit:
            return f"{name} {value:,} over the limit of {limit:,}"
    if latency is not None and limits.latency_ms is not None and latency.median_ms > limits.latency_ms:
        return f"latency_ms {latency.median_ms:.3g} over the limit of {limits.latency_ms:g}"
    return None


def far_over(limits: Limits, predicted_ms: float, error: float) -> str | None:
    """In words, that a latency predicted with that mean relative error is over the limit by more than the error."""
    if limits.latency_ms is None or predicted_ms <= limits.latency_ms * (1 + MARGIN * error):
        return None
    return f"latency_ms {predicted_ms:.3g} predicted, far over the limit of {limits.latency_ms:g}"


def excess(limits: Limits, counted: Counts, predicted_ms: float = 0.0, error: float = 0.0) -> float:
    """By what share of each of `limits` a candidate is over it, all together; 0 where `over_limit` and `far_over` have
    nothing to say."""
    values: list[tuple[float, float | None]] = [(counted.params, limits.params), (counted.mult_adds, limits.mult_adds)]
    if limits.latency_ms is not None:
        values.append((predicted_ms, limits.latency_ms * (1 + MARGIN * error)))
    return sum(max(0.0, value / limit - 1) for value, limit in values if limit is not None)


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
