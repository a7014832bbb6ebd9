"""Where a network's time goes, as ONNX Runtime tells of each of its operations."""

import json
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nas.metering.onnx import session

if TYPE_CHECKING:
    from numpy import ndarray

SECONDS = 0.01  # of runs, of which for each operation the fastest counts
LEAST_RUNS, MOST_RUNS = 4, 50
DIGITS = 4
_PART = re.compile(r"/(?:parts\.)?(\d+)/")  # of the network's modules, with which the exporter begins its names
_TIMED = "_kernel_time"


def shares(graph: bytes, images: "ndarray", threads: int) -> tuple[float, ...] | None:
    """What each part of a network has of its time, from the stem to the classifier; together they are one. None where
    no operation says of which part it is, or the disk has no room for what they say.

    What the runtime puts between operations, such as another order of the values in memory, counts with the part
    before it. Raises DeviceError where the runtime does not take the network.
    """
    fastest: dict[str, int] = {}  # microseconds of each operation, in the order in which they run
    for name, microseconds in _operations(graph, images, threads):
        fastest[name] = min(microseconds, fastest.get(name, microseconds))
    times: dict[int, int] = {}
    part = 0
    for name, microseconds in fastest.items():
        found = _PART.match(name)
        part = int(found[1]) if found else part
        times[part] = times.get(part, 0) + microseconds
    whole = sum(times.values())
    if not whole or not any(map(_PART.match, fastest)):
        return None
    return tuple(round(times.get(each, 0) / whole, DIGITS) for each in range(max(times) + 1))


def _operations(graph: bytes, images: "ndarray", threads: int) -> list[tuple[str, int]]:
    """The name and the microseconds of each operation of some runs."""
    with tempfile.TemporaryDirectory(prefix="nas-profile-") as folder:
        opened = session(graph, threads, record=str(Path(folder) / "run"))
        feeds = {opened.get_inputs()[0].name: images}
        runs, start = 0, time.perf_counter()
        while runs < LEAST_RUNS or (runs < MOST_RUNS and time.perf_counter() - start < SECONDS):
            opened.run(None, feeds)
            runs += 1
        record = Path(opened.end_profiling())
        try:
            events = json.loads(record.read_bytes())
        except (OSError, ValueError):  # the disk is full, of which the runtime says nothing
            return []
    return [
        (event["name"].removesuffix(_TIMED), event["dur"])
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith(_TIMED)
    ]
