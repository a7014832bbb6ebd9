"""What an agent is sent by somebody who means it ill: each of these reached its files, or took its machine, once."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nas import plugins, spaces, zoo
from nas.agents import graph, measuring, parcel
from nas.agents.measuring import Measuring
from nas.agents.parcel import Graph, Parcel
from nas.metering import DeviceError, runtime
from nas.metering.onnx import exported
from nas.networks.architecture import Images
from nas.networks.blocks import network
from tests.networks import IMAGES, mbconv

IMAGE = np.zeros((1, 3, 32, 32), np.float32)


@pytest.fixture
def agent() -> Iterator[Measuring]:
    agent = Measuring()
    yield agent
    agent.close()


def model(*nodes: Any, weights: Any = (), functions: Any = (), domains: tuple[str, ...] = ("",)) -> bytes:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    whole = helper.make_graph(list(nodes), "network", [given], [made], list(weights))
    opsets = [helper.make_opsetid(domain, 18) for domain in domains]
    data: bytes = helper.make_model(whole, opset_imports=opsets, functions=list(functions)).SerializeToString()
    return data


def sent(network: bytes) -> bytes:
    made, images = runtime.exercised(mbconv(8, 1), IMAGES)
    yardstick = Graph(exported(made, images), images.numpy())
    return parcel.packed(Parcel(network=Graph(network, IMAGE), yardstick=(yardstick,), threads=1))


def from_file(path: Path | str) -> Any:
    tensor = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[6])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(path))
    return tensor


def read(tensor: str = "w") -> list[Any]:
    """The bytes of a tensor as logits."""
    return [helper.make_node("Cast", [tensor], ["y"], to=TensorProto.FLOAT)]


class TestFiles:
    @pytest.mark.parametrize("place", ["secret", "/etc/passwd", "../secret"])
    def test_of_the_machine_do_not_come_back_as_weights(self, agent: Measuring, tmp_path: Path, place: str) -> None:
        (tmp_path / "secret").write_text("sesame")
        attacks = (
            model(*read(), weights=[from_file(place)]),
            model(helper.make_node("Constant", [], ["w"], value=from_file(place)), *read()),
        )
        for attack in attacks:
            assert "in a file of this machine" in agent.answered(sent(attack))["error"]

    def test_are_not_within_the_networks_reach(self, agent: Measuring) -> None:
        """Whatever gets past the check: the process has an empty folder, and none of the agent's secrets."""
        agent.answered(b"")
        assert agent._child
        process = Path(f"/proc/{agent._child.pid}")
        assert list((process / "cwd").iterdir()) == []
        assert b"NAS_" not in (process / "environ").read_bytes()

    def test_are_named_only_in_a_model_that_is_refused(self) -> None:
        with pytest.raises(DeviceError, match="in a file"):
            graph.check(model(*read(), weights=[from_file("x")]))


class TestPrograms:
    """Loops, branches and functions compute what somebody else wants, for as long as they want."""

    def loop(self) -> Any:
        body = helper.make_graph([], "body", [], [])
        return helper.make_node("Loop", ["", "", "x"], ["y"], body=body)

    def test_a_loop_is_not_run(self, agent: Measuring) -> None:
        assert "a loop or a branch" in agent.answered(sent(model(self.loop())))["error"]

    @pytest.mark.parametrize(
        ("attack", "words"),
        [
            (model(helper.make_node("If", ["x"], ["y"])), "operation 'If'"),
            (model(helper.make_node("RandomNormal", [], ["y"], shape=[1])), "operation 'RandomNormal'"),
            (model(helper.make_node("Relu", ["x"], ["y"], domain="evil"), domains=("", "evil")), "operation 'Relu'"),
            (model(helper.make_node("Relu", ["x"], ["y"], sub=helper.make_graph([], "g", [], []))), "a loop"),
            (
                model(
                    helper.make_node("F", ["x"], ["y"], domain="f"),
                    functions=[helper.make_function("f", "F", ["a"], ["b"], [], [helper.make_opsetid("", 18)])],
                    domains=("", "f"),
                ),
                "operation 'F'",
            ),
            (
                model(functions=[helper.make_function("f", "F", ["a"], ["b"], [], [helper.make_opsetid("", 18)])]),
                "functions of its own",
            ),
            (b"\x00", "no network in ONNX"),
            (b"\x3a\xff\xff\xff\xff\x0f", "no network in ONNX"),
            (b"\xff" * 20, "no network in ONNX"),
        ],
    )
    def test_nothing_but_plain_layers_is(self, attack: bytes, words: str) -> None:
        assert words in measuring.measured(sent(attack))["error"]

    def test_the_yardstick_is_looked_at_as_well(self) -> None:
        made, images = runtime.exercised(mbconv(8, 1), IMAGES)
        good = Graph(exported(made, images), images.numpy())
        whole = Parcel(network=good, yardstick=(good, Graph(model(self.loop()), IMAGE)), threads=1)
        assert "a loop or a branch" in measuring.measured(parcel.packed(whole))["error"]


class TestMachine:
    def test_memory_is_bounded_and_the_agent_goes_on(self, agent: Measuring) -> None:
        margins = helper.make_tensor("m", TensorProto.INT64, [8], [0] * 6 + [2**17, 2**17])
        bomb = model(helper.make_node("Pad", ["x", "m"], ["y"]), weights=[margins])
        assert agent.answered(sent(bomb))["error"]
        made, images = runtime.exercised(mbconv(8, 1), IMAGES)
        answer = agent.answered(sent(exported(made, images)))
        assert answer["latency"]["median_ms"] > 0, answer

    def test_time_is_bounded_and_the_agent_goes_on(self, agent: Measuring, monkeypatch: pytest.MonkeyPatch) -> None:
        agent.answered(b"")
        first = agent._child
        monkeypatch.setattr(measuring, "LONGEST_SECONDS", 0.0)
        assert "took too long" in agent.answered(sent(model()))["error"]
        monkeypatch.undo()
        assert "no parcel" in agent.answered(b"")["error"]
        assert agent._child is not first


COLOUR = Images(resolution=32, classes=4)


@pytest.mark.parametrize("name", plugins.names("search_spaces"))
def test_networks_of_every_space_are_plain_layers(name: str) -> None:
    space = spaces.load(name)
    choices = {knob: options[0] for knob, options in space.knobs(IMAGES).items()}
    made, images = runtime.exercised(space.build(space.architecture(choices, IMAGES)), IMAGES)
    data = exported(made, images)
    graph.check(data)
    assert {node.op_type for node in onnx.load_from_string(data).graph.node} <= graph.OPERATORS
    assert onnx.load(io.BytesIO(data)).ir_version


def test_networks_that_pad_as_tensorflow_does_are_plain_layers() -> None:
    made, images = runtime.exercised(network(zoo.architecture("EfficientNet-Lite0", COLOUR)), COLOUR)
    graph.check(exported(made, images))
