"""Whose evaluation is next."""

from typing import Any

import pytest

from workers.slots import Line, Slot, Slots


class Queue:
    """Of runs that always want more: each grant lasts so many seconds."""

    def __init__(self, processors: float, **seconds: float) -> None:
        self.now, self.seconds, self.processors = 0.0, seconds, processors
        self.slots = Slots(lambda: self.processors, lambda: self.now)
        self.begun: list[str] = []
        self.busy: dict[Slot, tuple[float, str]] = {}
        self.waiting: dict[str, list[Slot]] = {}

    def ask(self, line: Line, run: str, size: float = 1.0) -> Slot:
        began: list[bool] = []
        slots: list[Slot] = []

        def begin() -> None:
            self.begun.append(run)
            began.append(True)
            if slots:
                self._hold(slots[0], run)

        slots.append(self.slots.ask(line, size, begin))
        if began:
            self._hold(slots[0], run)
        return slots[0]

    def _hold(self, slot: Slot, run: str) -> None:
        self.busy[slot] = (self.now + self.seconds[run], run)

    def run(self, lines: dict[str, Line], until: float, parallel: int = 2) -> dict[str, float]:
        """Processor seconds of each run by then, where each always has so many evaluations that wait or are busy."""
        had = dict.fromkeys(lines, 0.0)
        for run, line in lines.items():
            for _ in range(parallel):
                self.ask(line, run)
        while self.busy:
            slot, (end, run) = min(self.busy.items(), key=lambda item: item[1])
            if end > until:
                break
            self.now = end
            del self.busy[slot]
            had[run] += self.seconds[run]
            slot.free()
            self.ask(lines[run], run)
        return had


def test_whoever_comes_later_does_not_wait_for_all_that_was_asked_for_before() -> None:
    queue = Queue(2, many=10.0, few=1.0)
    many = queue.slots.line(None, 1)
    slots = [queue.ask(many, "many") for _ in range(40)]
    assert queue.begun == ["many"] * 2
    queue.now = 5.0
    queue.ask(queue.slots.line(None, 1), "few")
    assert queue.begun == ["many"] * 2, "nothing that has begun is taken back"
    queue.now = 10.0
    slots[0].free()
    assert queue.begun[2:] == ["few"], "at once"
    slots[1].free()
    assert queue.begun[2:] == ["few", "many"]


@pytest.mark.parametrize("processors", [1, 3])
def test_owners_share_alike_however_many_runs_each_has_and_however_long_evaluations_are(processors: int) -> None:
    queue = Queue(processors, a1=1.0, a2=1.0, a3=1.0, b=7.0)
    lines = {run: queue.slots.line("anna", 1) for run in ("a1", "a2", "a3")} | {"b": queue.slots.line("ben", 1)}
    had = queue.run(lines, 2000.0, parallel=4)
    ours = [had[run] for run in ("a1", "a2", "a3")]
    assert sum(ours) == pytest.approx(had["b"], rel=0.05)
    assert max(ours) == pytest.approx(min(ours), rel=0.05)


@pytest.mark.parametrize("parallel", [1, 2])
def test_owners_share_alike_also_where_one_evaluation_has_to_end_before_the_next_is_asked_for(parallel: int) -> None:
    queue = Queue(1, short=1.0, long=10.0)
    lines = {"short": queue.slots.line("anna", 1), "long": queue.slots.line("ben", 1)}
    had = queue.run(lines, 2000.0, parallel)
    assert had["short"] == pytest.approx(had["long"], rel=0.05)


def test_a_run_that_asks_for_nothing_more_is_not_waited_for_long() -> None:
    queue = Queue(1, last=1.0, next=1.0)
    last, later = queue.slots.line("anna", 100), queue.slots.line("anna", 1)
    first, slot, _ = queue.ask(later, "next"), queue.ask(last, "last"), queue.ask(later, "next")
    queue.now = 1.0
    first.free()
    queue.now = 2.0
    slot.free()
    assert queue.begun == ["next", "last"], "it may ask again, and would be the next"
    queue.now = 2.5
    queue.slots.deal()
    assert queue.begun == ["next", "last"]
    queue.now = 3.1
    queue.slots.deal()
    assert queue.begun == ["next", "last", "next"]


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_run_of_three_times_the_priority_has_three_times_as_much(parallel: int) -> None:
    queue = Queue(1, high=2.0, low=2.0)
    had = queue.run({"high": queue.slots.line("anna", 3), "low": queue.slots.line("anna", 1)}, 2000.0, parallel)
    assert had["high"] / had["low"] == pytest.approx(3, rel=0.05)


def test_nobody_saves_up_while_away() -> None:
    """Nor is punished for having been alone."""
    queue = Queue(1, busy=1.0, late=1.0)
    busy, late = queue.slots.line("anna", 1), queue.slots.line("ben", 1)
    queue.run({"busy": busy}, 500.0)
    queue.begun.clear()
    had = queue.run({"busy": busy, "late": late}, 600.0)
    assert had["late"] == pytest.approx(50, abs=2)
    assert queue.begun[:6].count("late") in (3, 4)


def test_what_is_withdrawn_never_begins_and_its_room_is_for_others() -> None:
    queue = Queue(1, one=1.0, two=1.0, three=1.0)
    line = queue.slots.line(None, 1)
    first, second = queue.ask(line, "one"), queue.ask(line, "two")
    queue.ask(line, "three")
    second.free()
    assert queue.begun == ["one"]
    first.free()
    first.free()
    assert queue.begun == ["one", "three"], "what is freed twice frees once"


def test_parts_of_a_gpu_fill_it_and_a_whole_one_waits_for_its_turn() -> None:
    queue = Queue(1, part=1.0, whole=1.0)
    parts, whole = queue.slots.line("anna", 1), queue.slots.line("ben", 1)
    slots = [queue.ask(parts, "part", 1 / 3) for _ in range(4)]
    assert queue.begun == ["part"] * 3
    queue.now = 1.0
    queue.ask(whole, "whole")
    for slot in slots[:2]:
        slot.free()
        assert queue.begun == ["part"] * 3, "nobody passes whoever is next"
    slots[2].free()
    assert queue.begun == ["part"] * 3 + ["whole"]


def test_what_is_larger_than_all_there_is_begins_alone_and_more_room_is_seen() -> None:
    queue = Queue(0, one=1.0, two=1.0)
    line = queue.slots.line(None, 1)
    queue.ask(line, "one")
    queue.ask(line, "two")
    assert queue.begun == ["one"]
    queue.processors = 2
    queue.slots.deal()
    assert queue.begun == ["one", "two"]


def test_an_owner_without_runs_is_forgotten() -> None:
    slots: Any = Slots(lambda: 1)
    one, two = slots.line("anna", 1), slots.line("anna", 1)
    slots.ask(one, 1.0, lambda: None).free()
    slots.close(one)
    assert list(slots._owners) == ["anna"]
    slots.close(two)
    assert not slots._owners


def test_what_could_not_be_asked_for_holds_up_nobody() -> None:
    rooms: list[float | Exception] = [1.0, OSError("the head is gone"), 1.0]

    def room() -> float:
        found = rooms.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    begun: list[str] = []
    slots = Slots(room)
    line = slots.line(None, 1)
    first = slots.ask(line, 1.0, lambda: begun.append("first"))
    slots.ask(line, 1.0, lambda: begun.append("second"))
    with pytest.raises(OSError, match="gone"):
        slots.ask(line, 1.0, lambda: begun.append("third"))
    first.free()
    assert begun == ["first", "second"]
    assert line.own.asked == 1
