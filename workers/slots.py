"""Who is next, where evaluations of several runs wait for a processor or a part of a GPU."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

_ROUNDING = 1e-9  # three thirds of a GPU are one
GRACE_SECONDS = 1.0  # in which a run whose evaluation has ended proposes another, and keeps its turn


Turn: TypeAlias = tuple[float, float, float, float]


@dataclass(eq=False, kw_only=True)
class Account:
    """What an owner or a run has had: processors or GPUs times seconds, over its weight."""

    weight: float = 1.0
    had: float = 0.0  # until `since`
    since: float = 0.0
    held: float = 0.0  # processors or GPUs, now
    asked: int = 0  # slots that it waits for or holds
    running: int = 0  # slots that it holds
    most: float = math.inf  # that it may hold
    due: float = -math.inf  # until when it is expected to ask

    @property
    def full(self) -> bool:
        return self.running >= self.most

    def total(self, now: float) -> float:
        return self.had + self.held * (now - self.since) / self.weight

    def hold(self, now: float, more: float) -> None:
        self.had, self.since = self.total(now), now
        self.held += more


@dataclass(eq=False, frozen=True)
class Line:
    """A run's place among the others."""

    owner: Account
    own: Account

    @property
    def accounts(self) -> tuple[Account, Account]:
        return self.owner, self.own


@dataclass(eq=False)
class Slot:
    """Room for one evaluation, from when `begin` is called until it is freed."""

    slots: "Slots"
    line: Line
    size: float
    begin: Callable[[], object]
    serial: int
    granted: bool = False

    def free(self) -> None:
        """Also of what still waits, which then never begins."""
        self.slots.free(self)


class Slots:
    """Deals out `room()` processors or GPUs by start-time fair queueing (Goyal 1996).

    Next is always an evaluation of the owner who has had least, and among those of one owner, of the run that has had
    least for its priority. Whoever comes anew, or back, begins with what the least served of the others have had: so
    nobody waits for a run that was there before, and nobody saves up. An owner who holds as many slots as they may is
    passed by the others.
    """

    def __init__(self, room: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._room, self._clock = room, clock
        self._lock = threading.Lock()
        self._owners: dict[str | None, Account] = {}
        self._lines: list[Line] = []
        self._waiting: list[Slot] = []
        self._held, self._serial = 0.0, 0
        self._most: Mapping[str | None, int] = {}

    def limit(self, most: Mapping[str | None, int]) -> None:
        """How many slots each of these owners may hold at once, from now on; of others nobody counts them. Whoever is
        over that keeps what has begun."""
        with self._lock:
            if most == self._most:
                return
            self._most, now = dict(most), self._clock()
            for name, account in self._owners.items():
                self._catch_up(account, self._owners.values(), now)
                account.most = self._most.get(name, math.inf)

    def line(self, owner: str | None, priority: int) -> Line:
        """For one more run of that owner, until it is closed."""
        with self._lock:
            account = self._owners.setdefault(owner, Account(most=self._most.get(owner, math.inf)))
            line = Line(account, Account(weight=priority))
            self._lines.append(line)
        return line

    def close(self, line: Line) -> None:
        """The run's evaluations are done or cancelled."""
        with self._lock:
            self._lines.remove(line)
            line.own.due = -math.inf
            used = {other.owner for other in self._lines}
            self._owners = {name: account for name, account in self._owners.items() if account in used}

    def ask(self, line: Line, size: float, begin: Callable[[], object]) -> Slot:
        """Room for an evaluation; `begin` is called once there is some, which may be before this returns. Where nobody
        can tell what room there is, it raises that, and nothing is asked for."""
        with self._lock:
            now = self._clock()
            self._serial += 1
            slot = Slot(self, line, size, begin, self._serial)
            siblings = [other.own for other in self._lines if other.owner is line.owner]
            for account, others in ((line.owner, self._owners.values()), (line.own, siblings)):
                if not account.asked and account.due < now:
                    self._catch_up(account, others, now)
                account.asked += 1
                account.due = -math.inf
            self._waiting.append(slot)
        try:
            self.deal()
        except Exception:
            if not slot.granted:
                self._leave(slot)
                raise
        return slot

    def _catch_up(self, account: Account, others: Iterable[Account], now: float) -> None:
        """With the least served of those that could have had more."""
        least = min((other.total(now) for other in others if other.asked and not other.full), default=0.0)
        account.had, account.since = max(account.total(now), least), now

    def free(self, slot: Slot) -> None:
        self._leave(slot)
        self.deal()

    def _leave(self, slot: Slot) -> None:
        with self._lock:
            if slot.granted:
                self._hold(slot, -slot.size)
                slot.granted = False
                for account in slot.line.accounts:
                    account.running -= 1
                    account.due = self._clock() + GRACE_SECONDS
            elif slot in self._waiting:
                self._waiting.remove(slot)
            else:
                return
            for account in slot.line.accounts:
                account.asked -= 1

    def deal(self) -> None:
        """Let begin what there is room for. To be called every second or so: there may be more room than before, and a
        run that was waited for may have nothing to ask."""
        while slot := self._next():
            slot.begin()

    def _next(self) -> Slot | None:
        with self._lock:
            allowed = [slot for slot in self._waiting if not slot.line.owner.full]
            if not allowed:
                return None
            now = self._clock()
            slot = min(allowed, key=lambda slot: (*self._turn(slot.line, now), slot.serial))
            if self._awaited(self._turn(slot.line, now), now):
                return None
            if self._held and self._held + slot.size > self._room() + _ROUNDING:
                return None
            self._waiting.remove(slot)
            self._hold(slot, slot.size)
            slot.granted = True
            for account in slot.line.accounts:
                account.running += 1
        return slot

    def _turn(self, line: Line, now: float) -> Turn:
        """The smallest is next. What has been had alike is told apart by what is held."""
        owner, own = line.accounts
        return owner.total(now), owner.held, own.total(now), own.held / own.weight

    def _awaited(self, turn: Turn, now: float) -> bool:
        """Whether a run whose turn comes before that is about to ask."""
        waiting = {slot.line for slot in self._waiting}
        return any(
            line.own.due > now and line not in waiting and not line.owner.full and self._turn(line, now) < turn
            for line in self._lines
        )

    def _hold(self, slot: Slot, more: float) -> None:
        now = self._clock()
        self._held = max(0.0, self._held + more)
        for account in slot.line.accounts:
            account.hold(now, more)
