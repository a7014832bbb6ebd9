"""What a host is worth for latency, on hosts that say so."""

import re
from pathlib import Path

import pytest

from api.cli.steadiness import bars, shown
from nas import steadiness
from nas.codec import encode
from nas.metering import host, meter
from nas.steadiness import MOMENTS, advice
from tests.test_meter import Host

pytestmark = pytest.mark.usefixtures("own_quiet", "nothing_to_advise")


@pytest.fixture
def nothing_to_advise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(meter, "MOST_SECONDS", 0.5)
    monkeypatch.setattr(steadiness, "GOVERNOR", tmp_path / "governor")
    monkeypatch.setattr(steadiness, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(host.Load, "others", lambda _: 0.0)
    monkeypatch.setattr(steadiness, "MEASURED_SECONDS", 1.0)


def test_a_quiet_host_is_worth_much(monkeypatch: pytest.MonkeyPatch) -> None:
    report = steadiness.steadiness(Host(monkeypatch).yardstick())
    assert report.error < 0.01
    assert report.seconds < 0.1
    assert (report.slow, report.advice) == (0.0, ())
    assert len(report.moments) == MOMENTS
    assert max(report.moments) < 1.05


def test_phases_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    report = steadiness.steadiness(Host(monkeypatch, quiet=0.3).yardstick())
    assert 0.2 < report.slow < 0.95
    assert min(report.moments) < 1.1 < 1.3 < max(report.moments)


def test_what_may_help_is_said(tmp_path: Path) -> None:
    assert advice(0.001, 0.1) == advice(0.001, None) == ()
    (tmp_path / "governor").write_text("powersave\n")
    assert advice(0.001, 0.0) == (
        "the governor is 'powersave': set it to performance (cpupower frequency-set -g performance)",
    )
    (tmp_path / "governor").write_text("performance\n")
    (tmp_path / "cpuinfo").write_text("flags: fpu hypervisor\n")
    first, pinned, virtual = advice(0.03, 1.26)
    assert first.startswith("other programs keep 1.3 processors busy")
    assert "taskset" in pinned
    assert "virtual machine" in virtual
    assert advice(0.005, 0.0) == ()


def test_the_picture_is_a_bar_a_moment() -> None:
    assert bars((1.0, 1.75, 2.5, 9.0)) == "▁▅██"
    report = steadiness.Steadiness(
        moments=(1.0, 2.0), slow=0.5, error=0.021, seconds=3.0, processors=None, advice=("end it",)
    )
    text = "\n".join(str(line) for line in shown(encode(report)).renderables)
    assert re.search(r"± 2\.1% here, after 3\.00 s", text)
    assert "up to 2.00 times as long; 50% of the time" in text
    assert text.endswith("- end it")
