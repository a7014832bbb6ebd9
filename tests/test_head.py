"""A head of Ray that is lost: told from one that is only slow, and who notices ends."""

import logging
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.waiting import eventually
from workers import head
from workers.head import Loss


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "LOOK_SECONDS", 0.001)


AWAY, GONE = Loss("away", False), Loss("gone", True)


def watched(answers: list[Loss | None], monkeypatch: pytest.MonkeyPatch, patience: int) -> list[int]:
    """How the watch of a head ends that is lost for these reasons, one look a second; it may leave after the last."""
    leave, codes, seconds = threading.Event(), list[int](), [0]
    monkeypatch.setattr(head, "PATIENCE_SECONDS", patience)
    monkeypatch.setattr("time.monotonic", lambda: seconds[0])

    def lost() -> Loss | None:
        seconds[0] += 1
        if seconds[0] == len(answers):
            leave.set()
        return answers[seconds[0] - 1]

    head.watch(lost, leave, codes.append)
    return codes


@pytest.mark.parametrize(
    ("answers", "codes"),
    [
        ([None] * 9, []),
        ([AWAY] * 3 + [None] + [AWAY] * 3 + [None], []),
        ([None, *[AWAY] * 5], [1]),
        ([AWAY] * 3 + [None] + [AWAY] * 5, [1]),
    ],
)
def test_a_head_is_given_up_when_it_is_lost_for_some_seconds_on_end(
    answers: list[Loss | None], codes: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "workers"):
        assert watched(answers, monkeypatch, patience=4) == codes
    assert ("away: this coordinator ends" in caplog.text) == bool(codes)


def test_one_that_cannot_come_back_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "workers"):
        assert watched([None, GONE, None, None], monkeypatch, patience=4) == [1]
    assert "gone: this coordinator ends" in caplog.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_address_where_nobody_listens_is_an_error_at_once(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        head.reach(f"{host}:{port}")
    with pytest.raises(OSError, match="refused"):
        head.reach(f"{host}:{port}")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_an_address_may_be_of_version_6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
        head.reach(f"[::1]:{port}")
    with pytest.raises(OSError, match="refused"):
        head.reach(f"[::1]:{port}")


@pytest.mark.parametrize("address", ["auto", "ray://head:10001/x", "local"])
def test_other_addresses_are_ray_s_to_find(address: str) -> None:
    head.reach(address)


@pytest.mark.skipif(not Path("/proc").exists(), reason="the system does not say which processes have ended")
@pytest.mark.parametrize("name", ["gcs_server", "raylet", "log_monitor"])
def test_what_ends_while_ray_starts_is_seen_before_ray_asks_for_it(name: str, tmp_path: Path) -> None:
    (program := tmp_path / name).symlink_to(shutil.which("sleep") or "sleep")
    with subprocess.Popen([program, "600"]) as process:
        eventually(lambda: f"({name})" in Path(f"/proc/{process.pid}/stat").read_text())
        assert head.ended() is None
        process.kill()
        eventually(lambda: ") Z " in Path(f"/proc/{process.pid}/stat").read_text())
        wanted = None if name == "log_monitor" else Loss(f"{name} has ended while Ray started", certain=True)
        assert head.ended() == wanted
    assert head.ended() is None
