"""The processor as a device: by ONNX Runtime, and by torch, compiled."""

import copy
import dataclasses
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from nas import extras, zoo
from nas.devices import cpu, cpu_compile
from nas.metering import DeviceError, onnx
from nas.metering.runtime import AGREEMENT, exercised
from nas.networks.blocks import network
from tests.networks import IMAGES, mbconv, rows

pytestmark = pytest.mark.usefixtures("own_quiet")


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
        made, image = exercised(network(zoo.architecture(name, IMAGES)), IMAGES)
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

        deep = network(zoo.architecture("MnasNet-B1", IMAGES))
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

    def test_they_are_folded_with_their_epsilon(self) -> None:
        answers = []
        for epsilon in (0.1, 1e-3):
            torch.manual_seed(0)
            built, image = exercised(network(dataclasses.replace(rows(8, 1), norm_epsilon=epsilon)), IMAGES)
            with torch.inference_mode():
                expected = built(image).numpy()
            answers.append(onnx.running(onnx.exported(built, image), image.numpy(), 1).answer())
            assert answers[-1] == pytest.approx(expected, abs=1e-4 * float(abs(expected).max()))
        assert abs(answers[0] - answers[1]).max() > 1e-2 * abs(answers[0]).max()

    def test_the_borders_of_tensorflow_are_exported_without_a_word(self) -> None:
        built, image = exercised(network(dataclasses.replace(rows(8, 1), padding="tensorflow")), IMAGES)
        with torch.inference_mode():
            expected = built(image).numpy()
        answer = onnx.running(onnx.exported(built, image), image.numpy(), 1).answer()
        assert answer == pytest.approx(expected, abs=1e-4 * float(abs(expected).max()))

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
        monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "onnxruntime" else name)
        assert cpu.available() == "device 'cpu' needs onnxruntime: pip install 'nas-service[workers]'"
        with pytest.raises(DeviceError, match="needs onnxruntime"):
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
