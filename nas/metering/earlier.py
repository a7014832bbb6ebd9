"""Latencies as earlier versions wrote them down: those that they could not trust were called noisy, in words."""

import re
from typing import Any

Json = dict[str, Any]

NOISY = 0.15  # what noisy latencies varied by, where they do not say it


def with_errors(latencies: dict[str, Json]) -> dict[str, Json]:
    """Those of a measurement, by device, as this version writes them: a noisy one with the error that its words say,
    any other with none, as nobody knows it."""
    return {device: _with_error(latency) for device, latency in latencies.items()}


def _with_error(latency: Json) -> Json:
    rest = {name: value for name, value in latency.items() if name != "noisy"}
    words = latency.get("noisy")
    return rest | {"error_ms": _error(words) * latency["median_ms"]} if words else rest


def _error(words: str) -> float:
    if agree := re.search(r"agree to ([\d.]+)% only", words):
        return float(agree[1]) / 100
    if slower := re.search(r"took ([\d.]+) times", words):
        return float(slower[1]) - 1
    return NOISY
