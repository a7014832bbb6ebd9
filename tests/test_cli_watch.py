"""The command line as a program of its own, and `nas watch` with and without a terminal."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from importlib.metadata import entry_points
from types import ModuleType

import pytest

import api.cli
from api.cli import tables, watch
from nas.measurements import Measurement
from nas.objective import Objective
from nas.recipes import Recipe
from nas.records import Progress
from tests.command_line import climbed, command, nas
from tests.service import HARD, OWNER, POINTS, Service
from tests.waiting import PATIENCE_SECONDS, eventually, heeded


def test_the_program_prints_json_and_nothing_else(service: Service, search: str) -> None:
    ran = subprocess.run(command("pareto", search, "--json"), capture_output=True, text=True)
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["best"]["number"] == 1
    assert ran.stderr == ""


def test_a_reader_that_has_enough_is_no_error(service: Service, search: str) -> None:
    for _ in range(5):
        service.search([(0.9, 1000)] * 3)
    line = f"{sys.executable} -m api.cli list --json | head -c 10; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_an_interrupt_before_it_has_begun_ends_it_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Importing(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "api.cli.__main__", Importing("api.cli.__main__"))
    assert api.cli.main() == 130
    assert capfd.readouterr() == ("", "")
    script = next(point for point in entry_points(group="console_scripts") if point.name == "nas")
    assert script.load() is api.cli.main


def test_help_needs_no_service() -> None:
    ran = subprocess.run(command("--help"), capture_output=True, text=True, env={**os.environ, "NAS_URL": "nowhere"})
    assert ran.returncode == 0
    for verb in ("serve", "search", "watch", "pareto", "grow", "download", "score", "cancel", "raise", "describe"):
        assert verb in ran.stdout


def test_a_latency_that_was_measured_again_is_said_and_no_news() -> None:
    job = {"measures": 3, "choices": {"width": 1}, **dict.fromkeys(("baseline", "whole", "repeats", "recipe", "rung"))}
    trial = {"job": job, "reward": 0.9, "measurement": {}}
    assert tables.purpose(trial) == "latency of 3 again"
    assert watch.worth(trial) == watch.NOTHING


class Going:
    """A search with two trials under way, which a test brings to its end."""

    def __init__(self, service: Service) -> None:
        self.store = service.store
        self.run = service.search(POINTS[:1], running=2, trials=3, recipe=Recipe(epochs=4), objective=HARD)
        self.id = self.run.id

    def progress(self, number: int, epoch: int) -> None:
        progress = Progress(run=self.id, number=number, phase="training", epoch=epoch, epochs=4, loss=0.5, accuracy=0.7)
        self.store.claims.progress(OWNER, progress)

    def end(self, state: str = "finished") -> None:
        measured = Measurement(params=300, mult_adds=4_000_000, accuracy=0.9)
        self.store.claims.end(OWNER, 1, self.id, "done", measured)
        self.store.claims.end(OWNER, 2, self.id, "failed", error="the loss is\nnot finite")
        self.store.claims.release(self.id, OWNER, state, "nothing works" if state == "failed" else None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "code"), [("finished", 0), ("failed", 1)])
def test_watching_without_a_terminal_prints_a_line_for_each_trial(service: Service, state: str, code: int) -> None:
    going = Going(service)
    going.progress(1, 2)
    process = subprocess.Popen(command("watch", going.id), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert process.stdout.readline() == "  trial 1   epoch 2 of 4  training  70.00 %  loss 0.500\n"
    going.progress(1, 3)
    assert process.stdout.readline() == "  trial 1   epoch 3 of 4  training  70.00 %  loss 0.500\n"
    going.end(state)
    rest, error = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code, error
    out = first + rest
    lines = [line for line in out.splitlines() if line.startswith("trial")]
    assert len(lines) == 3
    assert "done  80.00 %  1.00 M mult-adds  100 k params" in lines[0]
    assert "reward 0.9000 ★" in lines[1]
    assert "failed  the loss is not finite" in lines[2]
    assert "\x1b" not in out
    assert f"nas grow {going.id}" in out
    assert ("nothing works" in out) == (state == "failed")


def test_watching_with_json_prints_the_run_as_it_ended(service: Service) -> None:
    going = Going(service)
    process = subprocess.Popen(
        command("watch", going.id, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("trial 0")
    going.end()
    out, error = process.communicate(timeout=PATIENCE_SECONDS)
    found = json.loads(out)
    assert (process.returncode, found["state"], found["counts"]["failed"]) == (0, "finished", 1)
    assert "trial 1" in error


def test_what_is_grown_next_is_what_the_verdict_advises(service: Service) -> None:
    points = [(0.905, 4_000_000), (0.90, 2_000_000)]
    run = service.search(points, trials=2, error=0.01, objective=Objective(w_under=0, w_over=0))
    service.store.claims.release(run.id, OWNER, "finished")
    assert service.get(f"/v1/searches/{run.id}")["advised"] == 1
    assert f"A family: nas grow {run.id} --trial 1 --members B0,B1 --watch" in nas("watch", run.id).out
    run = service.search(points, trials=2, objective=Objective(w_under=0, w_over=0))
    service.store.claims.release(run.id, OWNER, "finished")
    assert service.get(f"/v1/searches/{run.id}")["advised"] == 0
    assert f"A family: nas grow {run.id} --members B0,B1 --watch" in nas("watch", run.id).out


def test_watching_a_long_past_is_short(service: Service) -> None:
    run = service.search([(0.5, 1000 + index) for index in range(30)], trials=30)
    service.store.claims.release(run.id, OWNER, "finished")
    lines = nas("watch", run.id).out.splitlines()
    assert "25 trials ended before" in lines[0]
    assert sum(line.startswith("trial") for line in lines) == 5


def test_ctrl_c_leaves_the_run_running_and_says_how_to_come_back(service: Service) -> None:
    going = Going(service)
    with heeded(signal.SIGINT):
        process = subprocess.Popen(command("watch", going.id), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("trial 0")
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 130
    assert f"nas watch {going.id}" in rest
    run = service.store.run(going.id)
    assert (run.state, run.wish) == ("running", "run")


def test_a_terminal_shows_a_bar_for_each_running_trial(service: Service) -> None:
    going = Going(service)
    going.progress(1, 3)
    process, seen = in_terminal("watch", going.id)
    until(seen, b"trial 1 ", b"3/4", b"70.00 %  loss 0.500", b"waiting", b"1/3")
    going.progress(1, 4)
    until(seen, b"4/4")
    going.end()
    assert process.wait(PATIENCE_SECONDS) == 0
    until(seen, b"nas pareto " + going.id.encode())


def in_terminal(*arguments: str) -> tuple["subprocess.Popen[bytes]", bytearray]:
    """The program in a terminal of 80 columns, and what has appeared there, which grows."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(ours, 4096):
                seen.extend(data)
        os.close(ours)

    threading.Thread(target=read, daemon=True).start()
    return process, seen


def until(seen: bytearray, *words: bytes) -> None:
    try:
        eventually(lambda: all(word in seen for word in words))
    except AssertionError as error:
        raise AssertionError(seen.decode(errors="replace")) from error


def test_only_what_leads_is_starred_while_it_is_watched(service: Service) -> None:
    run = climbed(service)
    service.store.claims.release(run.id, OWNER, "finished")
    lines = {line.split()[1]: line for line in nas("watch", run.id).out.splitlines() if line.startswith("trial")}
    assert [number for number, line in lines.items() if "★" in line] == ["0", "2"]
