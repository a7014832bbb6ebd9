"""The host that a latency is measured on: its processors, and who else works on it."""

import os
import platform
import time
from pathlib import Path


class Load:
    """What other programs than this one use of the processors, from when it is made; by Linux's own accounts."""

    QUIET = 0.25  # processors; below that nobody was there, as far as ticks of 10 ms can tell

    def __init__(self) -> None:
        self._start = time.perf_counter(), _busy_seconds(), time.process_time()

    def others(self) -> float | None:
        """The processors that they kept busy on average; None where the system does not say."""
        start, busy, own = self._start
        now = _busy_seconds()
        if busy is None or now is None:
            return None
        used = now - busy - (time.process_time() - own)
        return max(0.0, used) / max(1e-9, time.perf_counter() - start)


def _busy_seconds() -> float | None:
    """Of all processors since the system started; what a hypervisor took away counts as busy."""
    try:
        names = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    except OSError:
        return None
    user, nice, system, _, _, interrupts, soft_interrupts, stolen = map(int, names)
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


def processors() -> int:
    """How many this process may use; where the system does not say, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Its model, such as "AMD EPYC 7763 64-Core Processor" or "Raspberry Pi 4 Model B Rev 1.4"."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    table = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return table.get("Model") or table.get("model name") or platform.processor() or platform.machine()
