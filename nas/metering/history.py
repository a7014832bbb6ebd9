"""What the yardstick took at best on this kind of machine, day by day, kept in the home and in the database: a host
that is slow already when a process begins is found by it, and all machines of one kind measure on one scale."""

import dataclasses
import hashlib
import json
import logging
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas import home
from nas.measurements import Latency

REACHED = 1.05  # times the best: so near it the host is still what it was
LOST_DAYS = 7  # in which it was not reached: a machine may be throttled, or moved, for good
MOST_DAYS = 400
DAY_SECONDS = 24 * 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Day:
    """The best of one day."""

    day: int
    """The day, counted from 1970."""
    best_ms: float
    """Milliseconds that the yardstick took at best on it."""


@dataclass(frozen=True, kw_only=True)
class History:
    """How fast a kind of machine was, day by day."""

    way: dict[str, str]
    """What the yardstick ran on: the device, and its fingerprint."""
    days: tuple[Day, ...]
    """The days on which it ran, in their order."""


def ran(fingerprint: dict[str, str], device: str, yardstick: str) -> dict[str, str]:
    """The way in which a yardstick runs; times of one way compare."""
    return fingerprint | {"device": device, "yardstick": yardstick}


def way(latency: Latency) -> dict[str, str] | None:
    """That in which the yardstick of a latency ran; None where the latency does not say."""
    return ran(latency.fingerprint, latency.device, latency.yardstick) if latency.yardstick else None


def best(days: Sequence[Day]) -> float:
    """The milliseconds that the yardstick takes on a quiet machine; infinite where nothing is known.

    That is the best of `days`, which are in their order, or where it was not reached again in a week's measuring, the
    best of those since: the history starts anew.
    """
    if not days:
        return math.inf
    fastest = min(each.best_ms for each in days)
    reached = max(place for place, each in enumerate(days) if each.best_ms <= REACHED * fastest)
    since = days[reached + 1 :]
    return best(since) if since and since[-1].day - since[0].day >= LOST_DAYS else fastest


def noted(days: Sequence[Day], day: int, milliseconds: float) -> tuple[Day, ...]:
    """`days` with what the yardstick took on that `day`. Days to come, of a clock that was ahead, are forgotten."""
    return together([each for each in days if each.day <= day], [Day(day=day, best_ms=milliseconds)])


def together(*several: Iterable[Day]) -> tuple[Day, ...]:
    """The days of all, each with its best."""
    kept: dict[int, Day] = {}
    for each in (day for days in several for day in days):
        if each.day not in kept or each.best_ms < kept[each.day].best_ms:
            kept[each.day] = each
    return tuple(kept[day] for day in sorted(kept))[-MOST_DAYS:]


def today(now: float) -> int:
    """The day of a moment in seconds since 1970."""
    return int(now // DAY_SECONDS)


def known(way: dict[str, str]) -> float:
    """Milliseconds; infinite where nothing is known of a yardstick that runs so."""
    return best(_read(way))


def keep(way: dict[str, str], milliseconds: float) -> None:
    """What the yardstick took now, to be `known` from now on if it is the best; a measurement goes on without where it
    cannot be kept."""
    before = _read(way)
    after = noted(before, today(time.time()), milliseconds)
    if best(after) > best(before):
        log.warning(
            "the yardstick has taken %.2f times what it took at best for a week, on %s: its history starts anew",
            best(after) / best(before),
            ", ".join(f"{name} {value}" for name, value in sorted(way.items())),
        )
    _write(way, before, after)


def learn(histories: Iterable[History]) -> None:
    """What was seen of these kinds of machines elsewhere, to be `known` here from now on."""
    for history in histories:
        before, last = _read(history.way), today(time.time())
        _write(history.way, before, together(before, [each for each in history.days if each.day <= last]))


def text(days: Sequence[Day]) -> str:
    """In JSON."""
    return json.dumps([dataclasses.astuple(each) for each in days])


def days_of(text: str) -> tuple[Day, ...]:
    """Those that `text` gave; none where it is damaged."""
    try:
        days = [Day(day=int(day), best_ms=float(best_ms)) for day, best_ms in json.loads(text)]
    except (ValueError, TypeError, OverflowError):
        return ()
    return tuple(sorted((each for each in days if 0 < each.best_ms < math.inf), key=lambda each: each.day))


def digest(way: dict[str, str]) -> str:
    """By which it is found."""
    return hashlib.sha256(json.dumps(way, sort_keys=True).encode()).hexdigest()[:16]


def _read(way: dict[str, str]) -> tuple[Day, ...]:
    try:
        return days_of(_path(way).read_text())
    except (OSError, ValueError):  # not there, or no text
        return ()


def _write(way: dict[str, str], before: Sequence[Day], after: Sequence[Day]) -> None:
    if after == before:
        return
    try:
        home.write(_path(way), text(after).encode())
    except OSError as error:
        log.warning("what the yardstick takes at best on this machine cannot be kept: %s", error)


def _path(way: dict[str, str]) -> Path:
    return home.folder("yardsticks") / f"{digest(way)}.json"
