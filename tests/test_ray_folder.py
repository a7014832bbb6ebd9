"""Folders of Ray, and what is left in them when their processes are killed."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas import ray_folder, settings
from nas.ray_folder import RayFolder
from tests.waiting import PATIENCE_SECONDS, eventually

OWNER = """
import sys, tempfile
from nas import ray_folder
ray_folder.LONGEST_PLACE = 1000
tempfile.tempdir = sys.argv[1]
own = ray_folder.RayFolder()
print(own.path, flush=True)
sys.stdin.read()
"""
RAYS = (
    "import sys; file = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"  # as any of Ray's has its log
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders are made, of their own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ray_folder, "LONGEST_PLACE", 1000)
    return tmp_path


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[str]"]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(started: list["subprocess.Popen[str]"], *arguments: str) -> str:
    """The first line that a Python with these arguments prints; it ends with its standard input."""
    process = subprocess.Popen([sys.executable, *arguments], stdin=-1, stdout=-1, text=True, env=settings.environment())
    started.append(process)
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finds processes in /proc, which Linux has")
def test_what_a_killed_owner_leaves_is_cleared_with_what_runs_there(
    place: Path, started: list["subprocess.Popen[str]"]
) -> None:
    left = Path(start(started, "-c", OWNER, str(place)))
    other = Path(start(started, "-c", OWNER, str(place)))
    (left / "log").touch()
    (other / "log").touch()
    script = place / "ray" / "agent.py"
    script.parent.mkdir()
    script.write_text(RAYS)
    assert start(started, str(script), str(left / "log")) == "open"
    assert start(started, str(script), str(other / "log")) == "open"
    assert start(started, "-c", RAYS, str(left / "log")) == "open", "somebody reads the log"
    first, _, rays, its, reader = started
    own = RayFolder()
    assert left.exists(), "its owner lives"
    first.kill()
    first.wait()
    later = RayFolder()
    assert not left.exists()
    assert rays.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert other.exists()
    assert own.path.exists()
    assert its.poll() is None
    assert reader.poll() is None
    own.clear()
    later.clear()
    assert list(place.glob("nas-ray-*")) == [other]


def test_one_that_nobody_has_locked_is_left_until_it_is_old(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = place / "nas-ray-abc"
    made.mkdir()
    RayFolder().clear()
    assert made.exists(), "whoever makes it is about to lock it"
    os.utime(made, (0, 0))
    RayFolder().clear()
    assert not made.exists()


def test_one_of_a_version_that_locked_none_is_left_while_ray_runs_there(
    place: Path, started: list["subprocess.Popen[str]"]
) -> None:
    made = place / "nas-ray-abc"
    made.mkdir()
    (made / "log").touch()
    script = place / "ray" / "agent.py"
    script.parent.mkdir()
    script.write_text(RAYS)
    assert start(started, str(script), str(made / "log")) == "open"
    os.utime(made, (0, 0))
    RayFolder().clear()
    assert made.exists()
    started[0].kill()
    started[0].wait()
    eventually(lambda: not ray_folder._running_in(made))
    RayFolder().clear()
    assert not made.exists()


def test_its_path_is_short_enough_for_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 30)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = RayFolder()
    assert len(str(folder.path)) <= ray_folder.LONGEST_PLACE + len("/nas-ray-12345678")
    folder.clear()
    assert not folder.path.exists()
