"""What every device promises, over all devices found by name; how one is named, and with which options."""

import copy
import re
import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import cast

import pytest
import torch
from torch import nn

from nas import devices, plugins, spaces
from nas.devices import Device, cpu, cpu_eager
from nas.measurements import Latency
from nas.metering import DeviceError, Options, meter, quiet, runtime
from nas.metering.runtime import exercised
from nas.networks.counts import counts
from tests.networks import IMAGES, mbconv, rows

pytestmark = pytest.mark.usefixtures("own_quiet")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a device said of two networks, one of more than twenty times the other's work."""

    name: str
    small: Latency
    large: Latency
    untouched: bool


SLOW = {"cpu_compile"}  # minutes of C++ for a network of this size


@pytest.fixture(scope="module", params=[name for name in plugins.names("nas.devices") if name not in SLOW])
def measured(request: pytest.FixtureRequest) -> Measured | str:
    """Of every device by name; the reason of one that is not here."""
    device, _ = devices.find(request.param)
    reason = device.available()
    small, large = mbconv(8, 1).train(), mbconv(48, 12)
    if reason is not None:
        with pytest.raises(DeviceError) as refusal:
            device.latency(small, IMAGES)
        assert str(refusal.value) == reason
        assert f"device {request.param!r}" in reason
        return reason
    weights, modes = copy.deepcopy(small.state_dict()), [module.training for module in small.modules()]
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(threads + 1)  # so many are no device's own
    found = device.latency(small, IMAGES)
    untouched = (
        torch.equal(torch.get_rng_state(), state)
        and torch.get_num_threads() == threads + 1
        and [module.training for module in small.modules()] == modes
        and all(torch.equal(value, weights[key]) for key, value in small.state_dict().items())
    )
    torch.set_num_threads(threads)
    return Measured(name=request.param, small=found, large=device.latency(large, IMAGES), untouched=untouched)


class TestEveryDevice:
    def test_measures_or_says_why_not(self, measured: Measured | str) -> None:
        if isinstance(measured, str):
            assert ": " in measured, "a reason, and what would help"
            return
        latency = measured.small
        assert latency.device == measured.name
        assert 0 < latency.minimum_ms <= latency.p95_ms
        assert 0 < latency.median_ms <= latency.p95_ms
        assert latency.spread >= 0
        assert latency.rounds is not None
        assert latency.runs >= latency.rounds >= meter.ROUNDS
        assert {"processor", "machine", "runtime", "torch", "python", "batch", "dtype"} <= set(latency.fingerprint)
        assert all(latency.fingerprint.values())

    def test_a_network_of_twenty_times_the_work_is_slower(self, measured: Measured | str) -> None:
        assert counts(rows(48, 12)).mult_adds > 20 * counts(rows(8, 1)).mult_adds
        if isinstance(measured, Measured):
            assert measured.large.median_ms > measured.small.median_ms
            assert measured.large.ratio is not None
            assert measured.small.ratio is not None
            assert measured.large.ratio > measured.small.ratio

    def test_leaves_the_network_and_the_settings_of_torch_alone(self, measured: Measured | str) -> None:
        assert isinstance(measured, str) or measured.untouched


@pytest.mark.parametrize("device", [cpu, cpu_eager])
def test_answers_are_checked_before_times_are_believed(device: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "meter", lambda *_: pytest.fail("it was believed"))
    prepared = device._prepared

    def wrong(network: nn.Module, image: torch.Tensor, options: Options) -> runtime.Prepared:
        right = prepared(network, image, options)
        return runtime.Prepared(run=right.run, answer=lambda: right.answer() * 1.001)

    monkeypatch.setattr(device, "_prepared", wrong)
    with pytest.raises(DeviceError, match=r"differ from torch's by 1\.0e-03 of the largest, more than 0\.0001"):
        device.latency(mbconv(8, 1), IMAGES)


def test_a_device_that_vanishes_in_the_middle_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = cpu._prepared

    def vanishing(network: nn.Module, image: torch.Tensor, options: Options) -> runtime.Prepared:
        runs = iter(range(20))

        def run() -> float:
            if next(runs, None) is None:
                raise RuntimeError("device lost")
            return 1.0

        return runtime.Prepared(run=run, answer=prepared(network, image, options).answer)

    monkeypatch.setattr(cpu, "_prepared", vanishing)
    said = "device 'cpu' failed in the middle of the measurement, so there is no latency: device lost"
    with pytest.raises(DeviceError, match=said):
        cpu.latency(mbconv(8, 1), IMAGES)
    with quiet.measuring(0.05):
        pass  # and trainers are let in again


@pytest.mark.parametrize("space", ["mbconv", "nasnet"])
def test_the_latency_is_told_by_parts(space: str) -> None:
    found_space = spaces.load(space)
    choices = {name: values[-1] for name, values in found_space.knobs(IMAGES).items()}
    architecture = found_space.architecture(choices, IMAGES)
    found = cpu.latency(found_space.build(architecture), IMAGES)
    assert found.shares is not None
    assert len(found.shares) == len(counts(architecture).rows)
    assert sum(found.shares) == pytest.approx(1, abs=0.01)
    assert max(found.shares[1:-1]) > max(found.shares[0], found.shares[-1])  # neither the stem nor the classifier


def test_a_runtime_that_does_not_name_parts_tells_no_shares() -> None:
    _, options = devices.find("cpu:dtype=int8")
    assert cpu.latency(mbconv(8, 1), IMAGES, options).shares is None
    assert cpu_eager.latency(mbconv(8, 1), IMAGES).shares is None


class TestOptions:
    def test_a_device_without_options(self) -> None:
        assert devices.find("cpu")[1] == Options()
        assert Options().said("cpu") == "cpu"

    def test_options_are_read_and_said(self) -> None:
        found, options = devices.find("cpu:threads=2,batch=8")
        assert found is cast(Device, cpu)
        assert options == Options(threads=2, batch=8)
        assert devices.find(options.said("cpu"))[1] == options
        assert devices.find("cpu_eager:dtype=bfloat16")[1].dtype == "bfloat16"

    @pytest.mark.parametrize(
        ("named", "complaint"),
        [
            ("gpu", "unknown device 'gpu': there are cpu, "),
            ("cpu:", "option '', and 'cpu' takes threads, batch, dtype"),
            ("cpu:dtype=bfloat16", "dtype 'bfloat16' is none of float32, int8, int8_per_channel"),
            ("cpu:cores=2", "option 'cores'"),
            ("cpu:threads=0", "threads '0' is not a whole number between 1 and 256"),
            ("cpu:threads=two", "threads 'two'"),
            ("cpu:threads=-1", "threads '-1'"),
            ("cpu:batch=2.5", "batch '2.5'"),
            ("cpu:batch=99999", "between 1 and 4,096"),
            ("cpu:batch=2,batch=3", "has option 'batch' twice"),
            ("cpu_eager:dtype=int8", "dtype 'int8' is none of float32, bfloat16"),
            ("cuda:dtype=int8", "dtype 'int8' is none of float32, float16, bfloat16"),
            ("cuda:threads=2", "option 'threads', and 'cuda' takes batch, dtype"),
            ("tensorrt:dtype=bfloat16", "dtype 'bfloat16' is none of float32, float16"),
        ],
    )
    def test_what_a_device_does_not_take_is_refused(self, named: str, complaint: str) -> None:
        with pytest.raises(ValueError, match=re.escape(complaint)):
            devices.find(named)

    def test_they_reach_the_runtime_and_the_record(self) -> None:
        _, options = devices.find("cpu_eager:batch=4,dtype=bfloat16")
        found = cpu_eager.latency(mbconv(8, 1), IMAGES, options)
        assert found.device == "cpu_eager:batch=4,dtype=bfloat16"
        assert (found.fingerprint["batch"], found.fingerprint["dtype"]) == ("4", "bfloat16")
        made, image = exercised(mbconv(8, 1), IMAGES, batch=4)
        answer = cpu_eager._prepared(made, image, options).answer()
        assert (answer.shape, answer.dtype) == ((4, 10), torch.bfloat16)
        prepared = cpu._prepared(made, image, Options(batch=4, threads=2))
        assert prepared.answer().shape == (4, 10)


def test_devices_are_listed_without_torch() -> None:
    program = (
        "import sys; from nas import plugins\n"
        "for name in plugins.names('nas.devices'): plugins.load('nas.devices', name).available()\n"
        "print(*({'torch', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize(
    ("named", "canonical"),
    [
        ("cpu", "cpu"),
        ("cpu:threads=1", "cpu"),
        ("cpu:batch=8,threads=2", "cpu:threads=2,batch=8"),
        ("remote:pi4:threads=1", "remote:pi4"),
        ("remote:pi4:threads=2", "remote:pi4:threads=2"),
    ],
)
def test_a_device_has_one_name(named: str, canonical: str) -> None:
    assert devices.canonical(named) == canonical
