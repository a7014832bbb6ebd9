"""What every device promises, over all devices found by name; and what single ones do."""

import copy
import ctypes
import itertools
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import onnxruntime
import pytest
import torch
from torch import nn

from nas import devices, plugins, zoo
from nas.devices import Device, cpu, cpu_compile, cpu_eager, cuda, tensorrt
from nas.metering import DeviceError, Options, host, meter, onnx, quiet, runtime
from nas.metering.runtime import AGREEMENT, exercised
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.records import Latency

IMAGES = Images(resolution=32, channels=3, classes=10)


@pytest.fixture(autouse=True)
def _own_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def rows(channels: int, repeats: int) -> Architecture:
    stage = Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=channels, repeats=repeats, se_ratio=0.25)
    return Architecture(images=IMAGES, stem=8, stem_stride=1, stages=(stage,), head=16)


def mbconv(channels: int, repeats: int) -> nn.Module:
    return network(rows(channels, repeats))


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
    found = device.latency(small, IMAGES)
    untouched = (
        torch.equal(torch.get_rng_state(), state)
        and torch.get_num_threads() == threads
        and [module.training for module in small.modules()] == modes
        and all(torch.equal(value, weights[key]) for key, value in small.state_dict().items())
    )
    return Measured(name=request.param, small=found, large=device.latency(large, IMAGES), untouched=untouched)


class TestEveryDevice:
    def test_measures_or_says_why_not(self, measured: Measured | str) -> None:
        if isinstance(measured, str):
            assert ": " in measured, "a reason, and what would help"
            return
        latency = measured.small
        assert latency.device == measured.name
        assert 0 < latency.minimum_ms <= latency.median_ms <= latency.p95_ms
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
            ("cpu:", "option '', and 'cpu' takes threads, batch"),
            ("cpu:dtype=float32", "option 'dtype', and 'cpu' takes threads, batch"),
            ("cpu:cores=2", "option 'cores'"),
            ("cpu:threads=0", "threads '0' is not a whole number between 1 and 256"),
            ("cpu:threads=two", "threads 'two'"),
            ("cpu:threads=-1", "threads '-1'"),
            ("cpu:batch=2.5", "batch '2.5'"),
            ("cpu:batch=99999", "between 1 and 4,096"),
            ("cpu:batch=2,batch=3", "has option 'batch' twice"),
            ("cpu_eager:dtype=int3", "dtype 'int3' is none of float32, bfloat16"),
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


class TestCpu:
    def test_another_network_than_torchs_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exported = onnx.exported

        def unnormalised(network: nn.Module, image: torch.Tensor) -> bytes:
            """As if folding had forgotten the statistics; equal for a network fresh from the press."""
            forgetful = copy.deepcopy(network)
            for module in forgetful.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_running_stats()
            return exported(forgetful, image)

        monkeypatch.setattr(cpu, "exported", unnormalised)
        with pytest.raises(DeviceError, match="not the same network, so its latency is not taken"):
            cpu.latency(mbconv(8, 1), IMAGES)

    @pytest.mark.parametrize("name", ["DenseNet-121"])
    def test_deep_networks_agree_far_within_the_tolerance(self, name: str) -> None:
        """Rounding must not grow with depth until correct exports look wrong."""
        made, image = exercised(network(zoo.reference(name, IMAGES)), IMAGES)
        with torch.inference_mode():
            answer, exact = made(image), copy.deepcopy(made).double()(image.double())
        assert (answer - exact).abs().max() / exact.abs().max() < AGREEMENT / 10

    def test_a_deep_network_is_taken_and_with_one_wrong_statistic_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exported = onnx.exported

        def slightly_wrong(network: nn.Module, image: torch.Tensor) -> bytes:
            wrong = copy.deepcopy(network)
            norms = [module for module in wrong.modules() if isinstance(module, nn.BatchNorm2d)]
            assert norms[len(norms) // 2].running_mean is not None
            norms[len(norms) // 2].running_mean.zero_()  # type: ignore[union-attr]
            return exported(wrong, image)

        deep = network(zoo.reference("MnasNet-B1", IMAGES))
        assert cpu.latency(deep, IMAGES).median_ms > 0
        monkeypatch.setattr(cpu, "exported", slightly_wrong)
        with pytest.raises(DeviceError, match="not the same network, so its latency is not taken"):
            cpu.latency(deep, IMAGES)

    def test_an_answer_that_is_not_a_number_is_refused(self) -> None:
        class Broken(nn.Module):
            def forward(self, image: torch.Tensor) -> torch.Tensor:
                return image.flatten(1) / 0 * 0

        with pytest.raises(DeviceError, match="differ from torch's by nan"):
            cpu.latency(Broken(), IMAGES)

    def test_normalisations_are_folded(self) -> None:
        graph = onnx.exported(*exercised(mbconv(8, 1), IMAGES))
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


class TestCompiled:
    def test_a_missing_compiler_is_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("CXX", "no-such-compiler")
        reason = "device 'cpu_compile' needs a C++ compiler, and there is no no-such-compiler: install g++"
        assert str(cpu_compile.available()).startswith(reason)
        with pytest.raises(DeviceError, match="no-such-compiler"):
            cpu_compile.latency(mbconv(8, 1), IMAGES)

    def test_missing_headers_are_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("CXX", sys.executable)  # anything that is there
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
        assert f"there is no {tmp_path}/Python.h" in str(cpu_compile.available())

    def test_runs_what_the_compiler_gives_and_checks_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All but the C++, which takes minutes here: the compiler is left out behind torch.compile."""
        compiler, graphs = torch.compile, []

        def without_code(graph: nn.Module, **settings: object) -> object:
            assert settings.pop("options")
            graphs.append(graph)
            return compiler(graph, backend="eager", **settings)  # type: ignore[call-overload]

        monkeypatch.setattr(torch, "compile", without_code)
        monkeypatch.setattr(cpu_compile, "available", lambda: None)
        found = cpu_compile.latency(mbconv(8, 1), IMAGES)
        assert found.device == "cpu_compile"
        assert "compiled" in found.fingerprint["runtime"]
        assert graphs

    def test_what_cannot_be_compiled_is_refused(self) -> None:
        class Changing(nn.Module):
            def forward(self, image: torch.Tensor) -> torch.Tensor:
                return image.flatten(1) if float(image.sum()) > 0 else -image.flatten(1)

        with pytest.raises(DeviceError, match=r"torch\.compile does not take the network"):
            cpu_compile.compiled(Changing(), torch.ones(1, 1, 2, 2))


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


class FakeTensorRT(ModuleType):
    """What `engine` uses of TensorRT, which does not run here: a parser and a builder that fail as they are told to."""

    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)

    class ILogger:
        Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2)

    def __init__(self, *, complaints: tuple[str, ...] = (), plan: bytes | None = b"plan") -> None:
        super().__init__("tensorrt")
        self.created: list[int] = []
        self.parsed: list[bytes] = []
        self.Builder = lambda logger: SimpleNamespace(
            create_network=self.created.append,
            create_builder_config=lambda: None,
            build_serialized_network=lambda *_: self.built(logger, plan),
        )
        self.OnnxParser = lambda *_: SimpleNamespace(
            parse=lambda graph: self.parsed.append(graph) or not complaints,  # type: ignore[func-returns-value]
            num_errors=len(complaints),
            get_error=lambda number: SimpleNamespace(desc=lambda: complaints[number]),
        )
        self.Runtime = lambda _: SimpleNamespace(deserialize_cuda_engine=lambda plan: f"engine of {plan!r}")

    @staticmethod
    def built(logger: Any, plan: bytes | None) -> bytes | None:
        logger.log(2, "a warning")
        if plan is None:
            logger.log(1, "no kernel for node 3")
        return plan


class TestTensorRT:
    def test_is_asked_for_only_where_there_is_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cuda, "available", lambda name: f"device {name!r} has no GPU: buy one")
        assert tensorrt.available() == "device 'tensorrt' has no GPU: buy one"
        monkeypatch.setattr(cuda, "available", lambda _: None)
        monkeypatch.setattr(tensorrt, "find_spec", lambda _: None)
        reason = "device 'tensorrt' needs tensorrt, which is not installed: pip install tensorrt"
        assert tensorrt.available() == reason
        with pytest.raises(DeviceError, match="pip install tensorrt"):
            tensorrt.latency(mbconv(8, 1), IMAGES)
        monkeypatch.setattr(tensorrt, "find_spec", lambda name: name)
        assert tensorrt.available() is None

    @pytest.mark.parametrize("dtype", tensorrt.DTYPES)
    def test_its_graph_is_the_network_in_the_wanted_precision(self, dtype: str) -> None:
        """By what ONNX Runtime makes of it: TensorRT takes the precision from the graph's own tensors."""
        made, image = exercised(mbconv(8, 1), IMAGES, batch=2)
        with torch.inference_mode():
            expected = made(image)
        network, batch = tensorrt.typed(made, image, Options(dtype=dtype, batch=2))
        session = onnxruntime.InferenceSession(onnx.exported(network, batch), providers=["CPUExecutionProvider"])
        (entering,), (leaving,) = session.get_inputs(), session.get_outputs()
        kind = {"float32": "tensor(float)", "float16": "tensor(float16)"}[dtype]
        assert (entering.type, leaving.type) == (kind, kind)
        (answer,) = session.run(None, {entering.name: batch.numpy()})
        runtime.check(torch.from_numpy(answer), expected, AGREEMENT if dtype == "float32" else 0.02)
        assert next(made.parameters()).dtype == torch.float32, "a copy was converted"

    def test_builds_what_it_has_parsed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fake = FakeTensorRT()
        monkeypatch.setitem(sys.modules, "tensorrt", fake)
        assert tensorrt.engine(b"graph") == "engine of b'plan'"
        assert fake.parsed == [b"graph"]
        assert fake.created == [1 << 1], "strongly typed"

    @pytest.mark.parametrize(
        ("fake", "complaint"),
        [
            (FakeTensorRT(complaints=("op Foo", "op Bar")), "TensorRT does not take the network: op Foo; op Bar"),
            (FakeTensorRT(plan=None), "TensorRT cannot build the network: no kernel for node 3"),
        ],
    )
    def test_what_it_does_not_take_is_refused_with_its_reasons(
        self, fake: FakeTensorRT, complaint: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "tensorrt", fake)
        with pytest.raises(DeviceError) as refusal:
            tensorrt.engine(b"graph")
        assert str(refusal.value) == complaint


class TestHost:
    def test_who_else_works_is_told_from_what_this_process_does(self) -> None:
        """A process of ours turns in a circle meanwhile, so that somebody does."""
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
            try:
                load = host.Load()
                time.sleep(0.5)
                used = load.others()
            finally:
                other.kill()
        assert used is None or used > 0.1

    def test_the_own_work_is_not_somebody_elses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = {"busy": 100.0, "own": 10.0, "wall": 0.0}
        monkeypatch.setattr(host, "_busy_seconds", lambda: clock["busy"])
        monkeypatch.setattr(time, "process_time", lambda: clock["own"])
        monkeypatch.setattr(time, "perf_counter", lambda: clock["wall"])
        load = host.Load()
        clock.update(busy=103.0, own=11.0, wall=4.0)
        assert load.others() == pytest.approx(0.5)
        monkeypatch.setattr(host, "_busy_seconds", lambda: None)
        assert load.others() is None


def always(milliseconds: float) -> Callable[[], float]:
    return lambda: milliseconds


def always_the_same(milliseconds: float) -> meter.Reference:
    return meter.Reference(always(milliseconds))


class TestMeter:
    def test_statistics(self) -> None:
        series = itertools.cycle([3.0, 1.0, 2.0, 5.0, 4.0])
        times = meter.meter(lambda: next(series), always_the_same(0.25))
        assert (times.median_ms, times.minimum_ms, times.p95_ms) == (1.0, 1.0, 5.0)
        assert (times.ratio, times.reference_ms, times.noisy) == (4.0, 0.25, None)
        assert times.spread == pytest.approx((4 - 2) / 3)
        assert times.runs > 100

    def test_the_median_is_of_the_six_fastest_rounds(self) -> None:
        fastest = [8.0, 4.0, 40.0, 7.0, 5.0, 3.0, 30.0, 6.0]
        rounds = [meter.Round([9 * each, each, 2 * each], each, each / 2) for each in fastest[:6]]
        rounds += [meter.Round([each] * 2, each, 1.0) for each in fastest[6:]]
        times = meter._times(rounds, quiet_ms=1.0, within=0.01, others=1.25)
        assert (times.median_ms, times.minimum_ms, times.runs, times.rounds) == (5.5, 3.0, 22, 8)
        assert times.ratio == 2.0, "the median of five times 2 and of 6"
        assert times.reference_ms == 2.25, "of the six that count"
        assert times.shared
        assert times.noisy == (
            "the 6 fastest of 8 rounds agree to 166.7% only; other programs used 1.2 processors meanwhile"
        )

    def test_unsteady_rounds_are_followed_by_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until six agree, however far off the others are."""
        monkeypatch.setattr(meter, "ROUND_SECONDS", 0.0)
        monkeypatch.setattr(meter, "WARM_UP_SECONDS", 0.0)
        monkeypatch.setattr(meter, "MOST_SECONDS", 600.0)
        steady = meter.meter(always(1.0), always_the_same(1.0))
        assert (steady.rounds, steady.runs) == (meter.ROUNDS, meter.ROUNDS * meter.ROUND_RUNS)
        # One run before the room, one to warm up, then in every other round another program has its turn.
        wild = itertools.chain([1.0] * 2, itertools.cycle([10.0] * meter.ROUND_RUNS + [1.0] * meter.ROUND_RUNS))
        times = meter.meter(partial(next, wild), always_the_same(1.0))
        assert (times.rounds, times.median_ms, times.noisy) == (2 * meter.ROUNDS, 1.0, None)
        assert times.p95_ms == 10.0, "it is seen there"

    @pytest.mark.parametrize(("within", "rounds"), [(0.01, 2 * meter.ROUNDS - 1), (0.02, meter.ROUNDS)])
    def test_they_agree_as_well_as_such_times_can(
        self, within: float, rounds: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(meter, "ROUND_SECONDS", 0.0)
        monkeypatch.setattr(meter, "WARM_UP_SECONDS", 0.0)
        monkeypatch.setattr(meter, "MOST_SECONDS", 600.0)
        rising = itertools.chain([1.0] * 2, itertools.cycle([1.0] * meter.ROUND_RUNS + [1.015] * meter.ROUND_RUNS))
        times = meter.meter(partial(next, rising), always_the_same(1.0), within)
        assert (times.rounds, times.noisy) == (rounds, None)

    def test_torch_alone_may_vary_more(self) -> None:
        built, image = exercised(runtime.reference(), IMAGES)
        assert cpu_eager._prepared(built, image, Options()).within == 0.02
        assert cpu._prepared(built, image, Options()).within == 0.01

    def test_what_stays_unsteady_is_called_noisy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(meter, "MOST_SECONDS", 0.1)
        monkeypatch.setattr(meter, "ROUND_SECONDS", 1e-3)
        growing = (1.001**number for number in itertools.count())
        times = meter.meter(partial(next, growing), always_the_same(1.0))
        assert times.noisy is not None
        assert f"the 6 fastest of {times.rounds} rounds agree to " in times.noisy

    def test_a_host_that_has_become_slower_is_found_by_the_reference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(meter, "MOST_SECONDS", 0.1)
        host = {"slower": 1.0}
        reference = meter.Reference(lambda: host["slower"])
        assert meter.meter(lambda: 3 * host["slower"], reference).noisy is None
        host["slower"] = 1.3
        times = meter.meter(lambda: 3 * host["slower"], reference)
        assert str(times.noisy).startswith("the reference network took 1.30 times what it took before")
        assert times.ratio == pytest.approx(3)
        host["slower"] = 1.04
        assert meter.meter(lambda: 3 * host["slower"], reference).noisy is None

    def test_it_waits_for_the_host_to_be_itself_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(meter, "MOST_SECONDS", 600.0)
        monkeypatch.setattr(meter, "ROUND_SECONDS", 0.0)
        monkeypatch.setattr(meter, "WARM_UP_SECONDS", 0.0)
        runs = itertools.count()

        def run() -> float:
            return 1.3 if next(runs) < 2 + 10 * meter.ROUND_RUNS else 1.0

        reference = meter.Reference(lambda: 1.0)
        meter.meter(always(1.0), reference)
        slow = itertools.chain([1.3] * (2 + 10 * meter.ROUND_RUNS), itertools.repeat(1.0))
        reference.run = partial(next, slow)
        times = meter.meter(run, reference)
        assert (times.median_ms, times.noisy, times.rounds) == (1.0, None, 10 + meter.ROUNDS)

    def test_a_slow_run_is_a_round_by_itself(self) -> None:
        times = meter.meter(always(meter.SLOW_MS + 1), always_the_same(1.0))
        assert times.median_ms == meter.SLOW_MS + 1
        waits = itertools.repeat(meter.SLOW_MS + 1)

        def slow() -> float:
            time.sleep(meter.ROUND_SECONDS)
            return next(waits)

        times = meter.meter(slow, always_the_same(1.0))
        assert times.runs == times.rounds == meter.ROUNDS

    @pytest.mark.parametrize("milliseconds", [0.0, -1.0, float("nan"), float("inf")])
    def test_no_latency_is_made_up(self, milliseconds: float) -> None:
        with pytest.raises(DeviceError, match="no latency can be told from that"):
            meter.meter(always(milliseconds), always_the_same(1.0))
        with pytest.raises(DeviceError, match="no latency can be told from that"):
            meter.meter(always(1.0), always_the_same(milliseconds))

    def test_a_host_that_does_not_get_quiet_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(meter, "measuring", partial(quiet.measuring, 0.01))
        with quiet.Step(), pytest.raises(DeviceError, match="latency was not measured: training on this host"):
            meter.meter(always(1.0), always_the_same(1.0))

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

        times = meter.meter(run, always_the_same(1.0))
        assert entered[0]
        assert not any(entered[1:])
        assert len(entered) >= 1 + times.runs


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
