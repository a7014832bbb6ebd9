"""What this host is worth for latency: `python -m nas.steadiness > report.json`

For two seconds the yardstick runs, which shows the phases in which everything takes longer, then for three the meter
measures one of its networks again and again, which shows what a latency is worth. Exit status 1: ONNX Runtime, on whose
device that is, is missing.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from nas.codec import encode
from nas.devices import cpu
from nas.metering import DeviceError
from nas.metering.host import Load
from nas.metering.meter import ROUND_SECONDS, Yardstick, meter

WATCHED_SECONDS, MEASURED_SECONDS = 2.0, 3.0
MOMENTS = 40  # of the picture
SLOW = 1.1  # times as long as at best
ROUGH = 0.01  # relative error
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, kw_only=True)
class Steadiness:
    """What a host is worth for latency now."""

    moments: tuple[float, ...]
    """How many times as long as at best the yardstick took, a moment after another."""
    slow: float
    """The part of the time in which it took more than 1.1 times as long."""
    error: float
    """The relative standard error of a latency, in the median."""
    seconds: float
    """Seconds that a latency takes, in the median."""
    processors: float | None
    """Processors that other programs kept busy meanwhile; null where the system does not say."""
    advice: tuple[str, ...]
    """What may help."""


def steadiness(yardstick: Yardstick) -> Steadiness:
    """Of this host, in five seconds, by what the yardstick takes. Raises DeviceError."""
    load, start = Load(), time.perf_counter()
    times: list[float] = []
    while time.perf_counter() - start < WATCHED_SECONDS:
        times.append(yardstick.round_ms(ROUND_SECONDS))
    best_ms = min(yardstick.quiet_ms, min(times))
    slowdowns = [each / best_ms for each in times]
    errors, seconds = [], []
    start = before = time.perf_counter()
    while before - start < MEASURED_SECONDS:
        measured = meter(yardstick.runs[0], yardstick)
        errors.append(measured.error_ms / measured.median_ms)
        now = time.perf_counter()
        seconds.append(now - before)
        before = now
    error, others = statistics.median(errors), load.others()
    return Steadiness(
        moments=_moments(slowdowns),
        slow=sum(each > SLOW for each in slowdowns) / len(slowdowns),
        error=error,
        seconds=statistics.median(seconds),
        processors=others,
        advice=advice(error, others),
    )


def advice(error: float, others: float | None) -> tuple[str, ...]:
    """What may help where a latency has that relative error, and other programs keep so many processors busy."""
    said = []
    if others is not None and others > Load.QUIET:
        said.append(f"other programs keep {others:.1f} processors busy: end them, or measure when they have ended")
    governor = _text(GOVERNOR).strip()
    if governor not in ("", "performance"):
        said.append(f"the governor is {governor!r}: set it to performance (cpupower frequency-set -g performance)")
    if error > ROUGH:
        said.append("a processor for the meter alone helps: pin it with taskset to one that isolcpus keeps free")
        if "hypervisor" in _text(CPUINFO):
            said.append("this is a virtual machine, whose neighbours nobody can see: another host may be quieter")
    return tuple(said)


def _moments(slowdowns: Sequence[float]) -> tuple[float, ...]:
    """The medians of as many parts."""
    number = min(MOMENTS, len(slowdowns))
    edges = [len(slowdowns) * place // number for place in range(number + 1)]
    return tuple(statistics.median(slowdowns[start:end]) for start, end in pairwise(edges))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def main() -> int:
    try:
        report = steadiness(cpu.yardstick())
    except DeviceError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(encode(report)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
