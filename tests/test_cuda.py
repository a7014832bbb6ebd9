"""NVIDIA's devices, looked at where there is none: CUDA and TensorRT."""

import ctypes
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnxruntime
import pytest
import torch

from nas import extras
from nas.devices import cuda, tensorrt
from nas.metering import DeviceError, Options, onnx, runtime
from nas.metering.runtime import AGREEMENT, exercised
from tests.networks import IMAGES, mbconv

pytestmark = pytest.mark.usefixtures("own_quiet")


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
        assert "needs torch: pip install 'nas-service[workers]'" in str(cuda.available())

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
        monkeypatch.setattr(extras, "find_spec", lambda _: None)
        reason = "device 'tensorrt' needs tensorrt: pip install 'nas-service[tensorrt]'"
        assert tensorrt.available() == reason
        with pytest.raises(DeviceError, match="needs tensorrt"):
            tensorrt.latency(mbconv(8, 1), IMAGES)
        monkeypatch.setattr(extras, "find_spec", lambda name: name)
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
