"""What every device promises, over all devices found by name; and the two there are, one by one."""

import copy
import ctypes
import itertools
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from nas import plugins, quiet, zoo
from nas.architecture import Architecture, Images, Stage
from nas.blocks import network
from nas.counts import counts
from nas.devices import DeviceError, _meter, cpu, cuda

IMAGES = Images(resolution=32, channels=3, classes=10)


@pytest.fixture(autouse=True)
def _own_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def rows(channels: int, repeats: int) -> Architecture:
    stage = Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=channels, repeats=repeats, se_ratio=0.25)
    return Architecture(images=IMAGES, stem=8, stem_stride=1, stages=(stage,), head=16)


def mbconv(channels: int, repeats: int) -> nn.Module:
    return network(rows(channels, repeats))


@pytest.mark.parametrize("name", plugins.names("nas.devices"))
class TestEveryDevice:
    def test_measures_or_says_why_not(self, name: str) -> None:
        device = plugins.load("nas.devices", name)
        reason = device.available()
        if reason is not None:
            assert f"device {name!r}" in reason
            with pytest.raises(DeviceError) as refusal:
                device.latency(mbconv(8, 1), IMAGES)
            assert str(refusal.value) == reason
            return
        latency = device.latency(mbconv(8, 1), IMAGES)
        assert latency.device == name
        assert 0 < latency.minimum_ms <= latency.median_ms <= latency.p95_ms
        assert latency.spread >= 0
        assert latency.runs >= 15
        assert {"processor", "machine", "runtime", "torch", "python"} <= set(latency.fingerprint)
        assert all(latency.fingerprint.values())

    def test_a_network_of_twenty_times_the_work_is_slower(self, name: str) -> None:
        device = plugins.load("nas.devices", name)
        small, large = mbconv(8, 1), mbconv(48, 12)
        assert counts(rows(48, 12)).mult_adds > 20 * counts(rows(8, 1)).mult_adds
        if device.available() is not None:
            with pytest.raises(DeviceError):
                device.latency(large, IMAGES)
            return
        assert device.latency(large, IMAGES).median_ms > device.latency(small, IMAGES).median_ms

    def test_leaves_the_network_and_the_random_numbers_alone(self, name: str) -> None:
        device = plugins.load("nas.devices", name)
        measured = mbconv(8, 2).train()
        weights, modes = copy.deepcopy(measured.state_dict()), [module.training for module in measured.modules()]
        state = torch.get_rng_state()
        if device.available() is None:
            device.latency(measured, IMAGES)
        else:
            with pytest.raises(DeviceError):
                device.latency(measured, IMAGES)
        assert torch.equal(torch.get_rng_state(), state)
        assert [module.training for module in measured.modules()] == modes
        assert all(torch.equal(value, weights[key]) for key, value in measured.state_dict().items())


def test_devices_are_listed_without_torch() -> None:
    program = (
        "import sys; from nas import plugins\n"
        "for name in plugins.names('nas.devices'): plugins.load('nas.devices', name).available()\n"
        "print(*({'torch', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


class TestCpu:
    def test_another_network_than_torchs_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exported = cpu._exported

        def unnormalised(network: nn.Module, image: torch.Tensor) -> bytes:
            """As if folding had forgotten the statistics; equal for a network fresh from the press."""
            forgetful = copy.deepcopy(network)
            for module in forgetful.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_running_stats()
            return exported(forgetful, image)

        monkeypatch.setattr(cpu, "_exported", unnormalised)
        with pytest.raises(DeviceError, match="not the same network, so its latency is not taken"):
            cpu.latency(mbconv(8, 1), IMAGES)

    @pytest.mark.parametrize("name", ["DenseNet-121", "MnasNet-B1"])
    def test_deep_networks_agree_far_within_the_tolerance(self, name: str) -> None:
        """Rounding must not grow with depth until correct exports look wrong."""
        made, image = cpu._exercised(network(zoo.reference(name, IMAGES)), IMAGES)
        with torch.inference_mode():
            answer, exact = made(image), copy.deepcopy(made).double()(image.double())
        assert (answer - exact).abs().max() / exact.abs().max() < cpu.AGREEMENT / 10

    def test_a_deep_network_of_the_zoo_is_taken(self) -> None:
        images = Images(resolution=32, channels=3, classes=1000)
        assert cpu.latency(network(zoo.reference("MnasNet-B1", images)), images).median_ms > 0

    def test_one_wrong_statistic_deep_in_a_network_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exported = cpu._exported

        def slightly_wrong(network: nn.Module, image: torch.Tensor) -> bytes:
            wrong = copy.deepcopy(network)
            norms = [module for module in wrong.modules() if isinstance(module, nn.BatchNorm2d)]
            assert norms[len(norms) // 2].running_mean is not None
            norms[len(norms) // 2].running_mean.zero_()  # type: ignore[union-attr]
            return exported(wrong, image)

        monkeypatch.setattr(cpu, "_exported", slightly_wrong)
        with pytest.raises(DeviceError, match="not the same network, so its latency is not taken"):
            cpu.latency(network(zoo.reference("MnasNet-B1", IMAGES)), IMAGES)

    def test_an_answer_that_is_not_a_number_is_refused(self) -> None:
        class Broken(nn.Module):
            def forward(self, image: torch.Tensor) -> torch.Tensor:
                return image.flatten(1) / 0 * 0

        with pytest.raises(DeviceError, match="differ from torch's by nan"):
            cpu.latency(Broken(), IMAGES)

    def test_normalisations_are_folded(self) -> None:
        graph = cpu._exported(*cpu._exercised(mbconv(8, 1), IMAGES))
        assert b"Conv" in graph
        assert b"BatchNormalization" not in graph

    def test_what_onnx_cannot_say_is_refused(self) -> None:
        class Unsayable(nn.Module):
            def forward(self, image: torch.Tensor) -> torch.Tensor:
                bessel: torch.Tensor = torch.special.bessel_j0(image)
                return bessel.flatten(1)

        with pytest.raises(DeviceError, match="cannot be exported to ONNX"):
            cpu.latency(Unsayable(), IMAGES)

    def test_a_stopped_clock_gives_no_latency(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "perf_counter_ns", lambda: 5)
        with pytest.raises(DeviceError, match=r"the clock gave 0\.0 ms"):
            cpu.latency(mbconv(8, 1), IMAGES)

    def test_a_missing_runtime_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cpu, "find_spec", lambda name: None if name == "onnxruntime" else name)
        assert cpu.available() == "device 'cpu' needs onnxruntime, which is not installed: pip install onnxruntime"
        with pytest.raises(DeviceError, match="pip install onnxruntime"):
            cpu.latency(mbconv(8, 1), IMAGES)


class TestCuda:
    """What is looked at before torch is asked; a version file stands in for an installed torch."""

    @pytest.fixture
    def torch_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        class Found:
            origin = str(tmp_path / "__init__.py")

        monkeypatch.setattr(cuda, "find_spec", lambda _: Found)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        (tmp_path / "version.py").write_text("cuda = '13.0'\n")
        return tmp_path / "version.py"

    def test_no_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cuda, "find_spec", lambda _: None)
        assert "pip install torch" in str(cuda.available())

    def test_torch_without_cuda(self, torch_for: Path) -> None:
        torch_for.write_text("cuda = None\n")
        assert "needs a torch built for CUDA" in str(cuda.available())

    @pytest.mark.parametrize("visible", ["", "-1"])
    def test_hidden(self, torch_for: Path, monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert f"CUDA_VISIBLE_DEVICES is {visible!r}: unset it" in str(cuda.available())

    def test_no_driver(self, torch_for: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def absent(name: str) -> None:
            raise OSError(f"{name}: cannot open shared object file")

        monkeypatch.setattr(ctypes, "CDLL", absent)
        assert "install the driver" in str(cuda.available())

    @pytest.mark.parametrize(
        ("status", "count", "reason"), [(9, 1, "NVML error 9"), (0, 0, "finds none"), (0, 2, None)]
    )
    def test_the_driver_is_asked(
        self, torch_for: Path, monkeypatch: pytest.MonkeyPatch, status: int, count: int, reason: str | None
    ) -> None:
        class Driver:
            def nvmlInit_v2(self) -> int:  # noqa: N802  # NVIDIA's name
                return status

            def nvmlDeviceGetCount_v2(self, pointer: object) -> int:  # noqa: N802
                pointer._obj.value = count  # type: ignore[attr-defined]
                return 0

            def nvmlShutdown(self) -> int:  # noqa: N802
                return 0

        monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver())
        found = cuda.available()
        assert found is None if reason is None else reason in str(found)


class TestMeter:
    def test_statistics(self) -> None:
        series = itertools.cycle([3.0, 1.0, 2.0, 5.0, 4.0])
        times = _meter.meter(lambda: next(series))
        assert (times.median_ms, times.minimum_ms, times.p95_ms) == (1.0, 1.0, 5.0)
        assert times.spread == pytest.approx((4 - 2) / 3)
        assert times.runs > 100

    def test_the_median_is_of_the_rounds_fastest(self) -> None:
        rounds = [[9.0, 4.0, 8.0], [7.0, 5.0, 9.0], [6.0, 30.0, 40.0], [3.0, 9.0, 9.0], [9.0, 9.0, 7.0]]
        times = _meter._times(rounds)
        assert (times.median_ms, times.minimum_ms, times.runs) == (5.0, 3.0, 15)

    def test_unsteady_rounds_are_followed_by_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_meter, "ROUND_SECONDS", 0.0)
        monkeypatch.setattr(_meter, "WARM_UP_SECONDS", 0.0)
        monkeypatch.setattr(_meter, "MOST_SECONDS", 600.0)
        steady = _meter.meter(lambda: 1.0)
        assert steady.runs == _meter.ROUNDS * _meter.ROUND_RUNS
        # One run before the room, two to warm up, then ten rounds that double each time before all are alike.
        wild = itertools.chain(
            [1.0] * 3, [2.0**number for number in range(10) for _ in range(3)], itertools.repeat(1.0)
        )
        assert _meter.meter(partial(next, wild)).runs > 2 * steady.runs

    @pytest.mark.parametrize("milliseconds", [0.0, -1.0, float("nan"), float("inf")])
    def test_no_latency_is_made_up(self, milliseconds: float) -> None:
        with pytest.raises(DeviceError, match="no latency can be told from that"):
            _meter.meter(lambda: milliseconds)

    def test_a_host_that_does_not_get_quiet_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_meter, "measuring", partial(quiet.measuring, 0.01))
        with quiet.Step(), pytest.raises(DeviceError, match="latency was not measured: training on this host"):
            _meter.meter(lambda: 1.0)

    def test_steps_wait_while_it_measures(self) -> None:
        """Every timed run sees the room locked against another measurement, the untimed first one does not."""
        entered = []

        def run() -> float:
            try:
                with quiet.measuring(0.0):
                    entered.append(True)
            except quiet.NotQuiet:
                entered.append(False)
            return 1.0

        times = _meter.meter(run)
        assert entered[0]
        assert not any(entered[1:])
        assert len(entered) >= 1 + times.runs
