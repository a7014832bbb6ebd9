"""Networks of 8 bits: what they are, that they answer as in single precision, and which of two is kept."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from nas import devices, extras, quantisation
from nas.devices import cpu
from nas.metering import DeviceError, Options
from nas.metering.onnx import Running, exported, running, session
from nas.metering.runtime import INT8_AGREEMENT, exercised
from nas.networks.architecture import Architecture, Stage
from nas.networks.blocks import network
from nas.quantisation import CALIBRATED, after_training, quantised
from nas.training.data import Normalisation, View
from tests.networks import IMAGES, mbconv
from tests.pictures import pictures

pytestmark = pytest.mark.usefixtures("own_quiet")
VIEW = View(12, Normalisation(mean=(0.4,), std=(0.2,)), torch.device("cpu"))


def graph(made: nn.Module, batch: int = 8) -> tuple[bytes, torch.Tensor, torch.Tensor]:
    """A network as if trained, for any number of images, some of these, and what it answers."""
    made, images = exercised(made, IMAGES, batch)
    with torch.inference_mode():
        return exported(made, images, any_number=True), images, made(images)


def gated(activation: str) -> nn.Module:
    stage = Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=16, repeats=2, se_ratio=0.25)
    return network(
        Architecture(images=IMAGES, stem=8, stem_stride=1, stages=(stage,), head=16, activation=activation)  # type: ignore[arg-type]
    )


def integers(model: bytes) -> dict[str, np.ndarray]:
    """Weights of 8 bits by name, as they are stored."""
    stored = onnx.load_model_from_string(model).graph.initializer
    return {each.name: onnx.numpy_helper.to_array(each) for each in stored if each.data_type == onnx.TensorProto.INT8}


@pytest.mark.parametrize("activation", ["relu", "swish", "hswish"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_it_answers_nearly_as_in_single_precision(activation: str, per_channel: bool) -> None:
    whole, images, expected = graph(gated(activation))
    found = quantised(whole, [images.numpy()], per_channel=per_channel)
    answer = torch.from_numpy(session(found, 1).run(None, {"images": images.numpy()})[0])
    assert (answer - expected).abs().max() / expected.abs().max() < INT8_AGREEMENT / 2


def test_weights_are_signed_and_of_seven_bits_and_activations_unsigned() -> None:
    """Processors without VNNI would otherwise add products beyond 16 bits, and be silent about it."""
    whole, images, _ = graph(mbconv(8, 1))
    found = quantised(whole, [images.numpy()])
    weights = [array for name, array in integers(found).items() if array.ndim == 4]
    assert len(weights) == 7  # the stem, three of the block with two of its gate, and the head
    assert all(np.abs(array.astype(int)).max() in (63, 64) for array in weights)
    points = onnx.load_model_from_string(found).graph
    kinds = {each.name: each.data_type for each in points.initializer}
    zeros = {kinds[node.input[2]] for node in points.node if node.op_type == "QuantizeLinear"}
    assert zeros == {onnx.TensorProto.UINT8}
    assert "logits" in [output for node in points.node if node.op_type == "Gemm" for output in node.output]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    feeds = {"images": images.numpy()}
    exact = onnxruntime.InferenceSession(found, options).run(None, feeds)[0]  # step by step, in single precision
    answer = session(found, 1).run(None, feeds)[0]
    assert np.abs(answer - exact).max() < 0.05 * np.abs(exact).max()


def test_the_same_network_and_images_give_the_same_bytes_and_a_quarter_of_them() -> None:
    whole, images, _ = graph(network(Architecture(
        images=IMAGES, stem=32, stem_stride=2, head=0,
        stages=(Stage(op="conv", kernel=3, stride=2, expand=1, channels=96, repeats=2),),
    )))  # fmt: skip
    first, second = (quantised(whole, [images.numpy()]) for _ in range(2))
    assert first == second
    assert len(whole) / len(first) > 3.5


def test_scales_are_of_channels_where_that_is_asked_for() -> None:
    whole, images, _ = graph(mbconv(8, 1))
    sizes = []
    for per_channel in (False, True):
        found = onnx.load_model_from_string(quantised(whole, [images.numpy()], per_channel=per_channel)).graph
        names = {node.input[1] for node in found.node if node.op_type == "DequantizeLinear"}
        scales = [onnx.numpy_helper.to_array(each) for each in found.initializer if each.name in names]
        sizes.append(max(scale.size for scale in scales))
    assert sizes[0] == 1
    assert sizes[1] > 8


def test_latency_is_of_the_network_of_eight_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[bytes] = []

    def watched(graph: bytes, images: np.ndarray, threads: int) -> Running:
        ran.append(graph)
        return running(graph, images, threads)

    monkeypatch.setattr(cpu, "running", watched)
    device, options = devices.find("cpu:dtype=int8_per_channel")
    found = device.latency(mbconv(8, 1), IMAGES, options)
    assert (found.device, found.fingerprint["dtype"]) == ("cpu:dtype=int8_per_channel", "int8_per_channel")
    assert len(ran) == 4  # the network and three yardsticks
    assert all(integers(graph) for graph in ran)


def test_another_network_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    other = exported(exercised(mbconv(8, 2), IMAGES)[0], torch.zeros(1, 3, 32, 32))
    monkeypatch.setattr(cpu, "exported", lambda *_: other)
    with pytest.raises(DeviceError, match="not the same network"):
        cpu.latency(mbconv(8, 1), IMAGES, Options(dtype="int8"))


def test_what_cannot_be_quantised_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sines(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.sin().flatten(1)

    whole = exported(Sines(), torch.zeros(1, 3, 4, 4))
    with pytest.raises(DeviceError, match="cannot be quantised: none of its operations"):
        quantised(whole, [np.zeros((1, 3, 4, 4), np.float32)])
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(DeviceError, match=re.escape("needs onnx: pip install 'nas-service[workers]'")):
        quantised(whole, [])


class Trained:
    """A network for pictures, and what is kept of it in 8 bits."""

    def __init__(self) -> None:
        self.images = pictures(train=200)
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(1, 5, 12), nn.Linear(5, 4)
        self.network = nn.Sequential(self.first, nn.ReLU(), nn.Flatten(), self.last).eval()

    def kept(self, training: int = 200) -> quantisation.Quantised:
        return after_training(self.network, self.images, np.arange(training), VIEW)


def test_of_two_alike_the_one_per_tensor_is_kept() -> None:
    found = Trained().kept()
    assert (found.per_channel, found.dtype) == (False, "int8")
    logits = session(found.graph, 1).run(None, {"images": np.zeros((3, 1, 12, 12), np.float32)})[0]
    assert logits.shape == (3, 4)  # any number of images


def test_where_one_channel_outweighs_the_others_they_have_their_own_scales() -> None:
    """It never answers, but its weights would leave none but zeros to the others."""
    trained = Trained()
    halves = torch.zeros(4, 1, 12, 12)
    halves[0, :, :, :6], halves[1, :, :, 6:], halves[2, :, :6], halves[3, :, 6:] = 1, 1, 1, 1
    for layer in (trained.first, trained.last):
        layer.weight.data.zero_()
        assert layer.bias is not None
        layer.bias.data.zero_()
    trained.first.weight.data[:4] = halves - 0.5
    trained.last.weight.data[:, :4] = torch.eye(4)
    assert not trained.kept().per_channel
    trained.first.weight.data[4] = -1e4 * VIEW(torch.from_numpy(trained.images.train_images)).mean(0).abs()
    assert trained.first.bias is not None
    trained.first.bias.data[4] = -1e7
    assert trained.kept().per_channel


def test_calibration_wants_images() -> None:
    with pytest.raises(DeviceError, match=r"'pictures' leaves 63 training images, and 8 bits ask for 64"):
        Trained().kept(63)


def test_ranges_are_those_of_the_first_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What compares the two has calibrated neither."""
    seen: list[np.ndarray] = []

    def watched(graph: bytes, batches: list[np.ndarray], *, per_channel: bool) -> bytes:
        seen.append(np.concatenate(batches))
        return quantised(graph, batches, per_channel=per_channel)

    monkeypatch.setattr(quantisation, "quantised", watched)
    trained = Trained()
    trained.kept()
    expected = VIEW(torch.from_numpy(trained.images.train_images[:100])).numpy()
    assert CALIBRATED > 100
    assert all(np.array_equal(images, expected) for images in seen)
    assert len(seen) == 2
