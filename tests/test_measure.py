"""`nas measure` as a user calls it, with its process, its table and its JSON."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.cli import __main__ as cli
from api.cli import numbers
from nas import codec, zoo
from nas.measure import Request
from nas.networks.architecture import Images

SMALL = json.dumps(codec.encode(zoo.architecture("LeNet-5")))


def nas(*arguments: str) -> tuple[int, str, str]:
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = cli.main(arguments)
    return code, out.getvalue(), error.getvalue()


def test_one_network_on_several_devices() -> None:
    code, out, error = nas("measure", "LeNet-5", "--device", "cpu", "--device", "cpu_eager:batch=2", "--json")
    assert (code, error) == (0, "")
    one, other = json.loads(out)
    assert (one["device"], one["latency"]["fingerprint"]["batch"], one["error"]) == ("cpu", "1", None)
    assert (other["latency"]["device"], other["latency"]["fingerprint"]["batch"]) == ("cpu_eager:batch=2", "2")
    assert one["latency"]["median_ms"] > 0


def test_the_table_has_a_row_for_a_device_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    code, out, _ = nas("measure", SMALL, "--device", "cuda", "--device", "cpu")
    assert code == 1, "not every device measured"
    lines = out.splitlines()
    assert lines[0] == "61.7 k parameters, 417 k multiply-adds"
    assert lines[1].split()[:4] == ["Device", "Latency", "95", "%"]
    assert [line.split()[0] for line in lines[3:5]] == ["cuda", "cpu"]
    assert lines[5].startswith("Latency: on the device's machine at its best")
    assert "device 'cuda'" in lines[3]
    assert " ms " in lines[4]


def test_choices_are_measured_for_the_images_that_are_said(tmp_path: Path) -> None:
    from search_spaces import mbconv

    images = Images(resolution=16, channels=1, classes=4)
    file = tmp_path / "choices.json"
    file.write_text(json.dumps({knob: choices[0] for knob, choices in mbconv.knobs(images).items()}))
    code, out, error = nas("measure", str(file), "--resolution", "16", "--channels", "1", "--classes", "4", "--json")
    assert (code, error) == (0, "")
    assert json.loads(out)[0]["latency"]["median_ms"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no-such-network",), "unknown published network 'no-such-network'"),
        (("/no/such/weights.safetensors",), "'/no/such/weights.safetensors' is no file"),
        (("LeNet-5", "--space", "outer"), "unknown search space 'outer'"),
        (("LeNet-5", "--device", "gpu"), "unknown device 'gpu'"),
        (("LeNet-5", "--device", "cpu:threads=none"), "threads 'none' is not a whole number"),
        (("DenseNet-121", "--resolution", "1"), "resolution 1"),
        (("{}",), "has no choice"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(arguments: tuple[str, ...], words: str) -> None:
    code, out, error = nas("measure", *arguments)
    assert (code, out) == (1, "")
    assert words in error


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"what?")
    code, _, error = nas("measure", str(file))
    assert code == 1
    assert "is not a safetensors file" in error


@pytest.mark.parametrize("request_", ["", "[]", '{"architecture": 1}', '{"devices": ["cpu"]}'])
def test_a_malformed_request_says_so(request_: str) -> None:
    ran = subprocess.run([sys.executable, "-m", "nas.measure"], input=request_, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "the request on standard input cannot be taken" in ran.stderr


def test_a_request_survives_json() -> None:
    request = Request(architecture=zoo.architecture("LeNet-5"), space="mbconv", devices=("cpu",))
    data: Any = json.loads(json.dumps(codec.encode(request)))
    assert codec.decode(Request, data) == request


def test_seconds_are_shown_as_milliseconds() -> None:
    assert [numbers.milliseconds(value) for value in (0.1234, 12.34, 999.6, 1234.5, 98765.4)] == [
        "0.123 ms",
        "12.3 ms",
        "1000 ms",
        "1230 ms",
        "98800 ms",
    ]
