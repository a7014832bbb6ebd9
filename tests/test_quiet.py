"""Trainers and meters as real processes of one host."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from nas.metering import quiet
from tests.waiting import PATIENCE_SECONDS, eventually

TRAINER = """
import sys, time
from nas.metering.quiet import Step
step, sleep = Step(), time.sleep
with open(sys.argv[1], "w", buffering=1) as file:
    def turned_away(seconds):
        file.write("waits\\n")
        sleep(seconds)
    time.sleep = turned_away
    while True:
        with step:
            file.write("in\\n")
            sleep(float(sys.argv[2]))
            file.write("out\\n")
"""
METER = """
import time
from nas.metering.quiet import measuring
with measuring():
    print("in", flush=True)
    time.sleep(3600)
"""


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Locks of this test alone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@contextlib.contextmanager
def process(program: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def more(word: str, logs: list[Path], before: list[str], number: int) -> bool:
    """Whether each trainer has written the word so often since."""
    return all(log.read_text().count(word) >= text.count(word) + number for log, text in zip(logs, before))


def test_a_meter_gets_in_between_hammering_trainers_who_stand_still_meanwhile(host: Path) -> None:
    logs = [host / "one", host / "two"]
    # Steps overlap nearly always, so that without the gate the room would never be free.
    with process(TRAINER, str(logs[0]), "0.03"), process(TRAINER, str(logs[1]), "0.02"):
        eventually(lambda: all(log.exists() and log.read_text().count("out") > 2 for log in logs))
        for _ in range(5):
            with quiet.measuring(PATIENCE_SECONDS):
                before = [log.read_text() for log in logs]
                eventually(partial(more, "waits", logs, before, 3))
                for log, text in zip(logs, before):
                    assert text.replace("waits\n", "").endswith("out\n")
                    assert set(log.read_text().removeprefix(text).split()) == {"waits"}
            eventually(partial(more, "in", logs, before, 1))


def test_steps_run_side_by_side(host: Path) -> None:
    logs = [host / "one", host / "two"]
    with process(TRAINER, str(logs[0]), "3600"), process(TRAINER, str(logs[1]), "3600"):
        eventually(lambda: all(log.exists() and log.read_text() == "in\n" for log in logs))


def test_a_second_meter_waits_for_the_first() -> None:
    with process(METER) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "in\n"
        with pytest.raises(quiet.NotQuiet, match=r"did not pause within 0\.05 s"), quiet.measuring(0.05):
            pass


@pytest.mark.parametrize("program", [TRAINER, METER])
def test_a_killed_holder_lets_go(host: Path, program: str) -> None:
    log = host / "log"
    with process(program, str(log), "3600") as holder:
        if program == TRAINER:
            eventually(lambda: log.exists() and log.read_text() == "in\n")
        else:
            assert holder.stdout is not None
            holder.stdout.readline()
        with pytest.raises(quiet.NotQuiet), quiet.measuring(0.05):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        with quiet.measuring(PATIENCE_SECONDS), pytest.raises(quiet.NotQuiet), quiet.measuring(0.05):
            pass


def test_training_goes_on_beside_a_meter_that_is_stopped(caplog: pytest.LogCaptureFixture) -> None:
    step = quiet.Step(timeout_seconds=0.1)
    with process(METER) as meter:
        assert meter.stdout is not None
        meter.stdout.readline()
        os.kill(meter.pid, signal.SIGSTOP)
        for _ in range(20):
            with step:
                pass
        assert [record.levelname for record in caplog.records] == ["WARNING"], "once, not at every step"
        assert "goes on beside it" in caplog.text
        with pytest.raises(quiet.NotQuiet, match="is stopped; end it"), quiet.measuring(0.05):
            pass
    with step, pytest.raises(quiet.NotQuiet), quiet.measuring(0.05):
        pass  # the meter is gone, and the step is seen again
    with process(METER) as meter:
        assert meter.stdout is not None
        meter.stdout.readline()
        with step:
            pass
    assert len(caplog.records) == 2, "another meter that hangs is waited for again"


def test_a_trainer_that_is_stopped_holds_up_neither_meters_nor_trainers_for_ever(host: Path) -> None:
    log = host / "log"
    with process(TRAINER, str(log), "3600") as trainer:
        eventually(lambda: log.exists() and log.read_text() == "in\n")
        os.kill(trainer.pid, signal.SIGSTOP)
        with pytest.raises(quiet.NotQuiet, match="is stopped; end it"), quiet.measuring(0.05):
            pass
        with quiet.Step(timeout_seconds=PATIENCE_SECONDS):
            pass


def test_a_step_that_fails_lets_go() -> None:
    step = quiet.Step()
    with pytest.raises(ZeroDivisionError), step:
        raise ZeroDivisionError
    with quiet.measuring(0.05):
        pass
    with step, pytest.raises(quiet.NotQuiet), quiet.measuring(0.05):
        pass


def test_steps_leave_no_open_files() -> None:
    quiet.Step()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        quiet.Step()
        with quiet.measuring():
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_another_users_folder_is_not_used(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 123456789)
    with pytest.raises(PermissionError, match="belongs to another user: remove it, or set TMPDIR"):
        quiet.Step()
