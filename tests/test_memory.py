"""Memory by arithmetic, against figures derived by hand and against a walk over the graph that is exported."""

import argparse
import random
from collections import Counter

import onnx
import pytest
import torch

from api.cli.arguments import size
from nas import spaces, zoo
from nas.boards import BOARDS
from nas.codec import decode
from nas.limits import excess, over_limit
from nas.measurements import Measurement
from nas.metering.onnx import exported
from nas.networks.architecture import Architecture, Images, Stage, random_choices
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.networks.layers import (
    IDENTITY,
    Activate,
    Conv,
    DropPath,
    Graph,
    Layer,
    Linear,
    Node,
    Norm,
    Pool,
    Sequence,
    Step,
)
from nas.networks.lowering import AnyArchitecture
from nas.networks.network import Network, Part
from nas.networks.units import classifier, dense, highway, inverted, preactivated, shuffled, squeeze_excite
from nas.objective import Objective
from nas.plans.problem import problem
from nas.refusal import Refusal
from nas.rounding import Precision
from nas.specs import Limits, SearchSpec
from search_spaces import mbconv

IMAGES = Images(resolution=16, channels=3, classes=4)
VIEWS = ("Reshape", "Flatten", "Identity")
FOLDED = ("Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "BatchNormalization")


def walked(architecture: AnyArchitecture) -> int:
    """The most values that are alive at once while the exported graph runs, node after node."""
    images = architecture.images
    batch = torch.zeros(1, images.channels, images.resolution, images.resolution)
    graph = onnx.load_model_from_string(exported(network(architecture).eval(), batch))
    graph = onnx.shape_inference.infer_shapes(graph).graph
    sizes = {
        value.name: torch.Size(size.dim_value for size in value.type.tensor_type.shape.dim).numel()
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    uses = Counter(name for node in graph.node for name in node.input)
    gates = {node.output[0]: node.input[0] for node in graph.node if node.op_type in ("Sigmoid", "HardSigmoid")}
    swish = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Mul" and gates.get(node.input[1]) == node.input[0]
    }
    constants = {tensor.name for tensor in graph.initializer}
    place = {graph.input[0].name: graph.input[0].name}  # of each value, the value that it lies in
    moves: list[tuple[set[str], str]] = []
    for node in graph.node:
        reads = [name for name in node.input if name not in constants]
        written = node.output[0]
        if not reads:
            constants.add(written)
            continue
        folded = node.op_type in FOLDED and uses[reads[0]] == 1
        if node.op_type in VIEWS or written in swish or folded:
            place[written] = place[reads[0]]
        elif not (node.op_type == "Sigmoid" and reads[0] in swish.values()):
            place[written] = written
            moves.append(({place[name] for name in reads}, written))
    live, most = {graph.input[0].name}, 0
    for number, (_, written) in enumerate(moves):
        live.add(written)
        most = max(most, sum(sizes[name] for name in live))
        later = set().union(*(reads for reads, _ in moves[number + 1 :]))
        live &= later
    return most


def spelled(*blocks: Layer) -> Network:
    parts = (Part(name="blocks", blocks=blocks), Part(name="classifier", blocks=classifier(IMAGES.classes)))
    return Network(images=IMAGES, parts=parts)


def crossing() -> Network:
    """Cells that read the state before the last one, some state twice, and one that nobody else reads."""
    conv = Sequence((Activate(), Conv(12, 3), DropPath(0.1)))
    cell = Graph(
        (IDENTITY, Sequence((Activate(), Conv(12)))),
        (
            Node((Step(conv, 0), Step(IDENTITY, 1))),
            Node((Step(conv, 2), Step(Pool("max", 3), 2))),
            Node((Step(conv, 1), Step(IDENTITY, 1))),
        ),
        Node((Step(IDENTITY, 3), Step(IDENTITY, 4)), "concat"),
    )
    parts = (
        Part(name="stem", blocks=(Conv(12, 3),)),
        Part(name="cell", blocks=(cell,), inputs=(1, 1)),
        Part(name="narrow", blocks=(Conv(12),)),
        Part(name="cell", blocks=(cell,), inputs=(3, 2)),
        Part(name="classifier", blocks=classifier(4), inputs=(4,)),
    )
    return Network(images=IMAGES, parts=parts)


NETWORKS: dict[str, Network] = {
    "inverted": spelled(Conv(8, 3), inverted(8, 8, expanded=24, squeezed=2, activation="swish", drop=0.1)),
    "strided": spelled(Conv(8, 3, stride=2), inverted(8, 12, 5, stride=2, expanded=48, activation="hswish")),
    "fused": spelled(Conv(8, 3), inverted(8, 8, expanded=32, activation="relu6", skip="pooling", fused=True)),
    "preactivated": spelled(Conv(8, 3), preactivated(8, 16, Conv(4, stride=2), Conv(16, 3), stride=2)),
    "dense": spelled(Conv(8, 3), dense(8, 8), dense(16, 8), Norm(), Activate()),
    "highway": spelled(Conv(8, 3), highway(8)),
    "shuffled": spelled(Conv(24, 3, stride=2), shuffled(24, 24, groups=3)),
    "gates last": spelled(Conv(30, 3), squeeze_excite(30, 4), Conv(2)),
    "cells": crossing(),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_held_at_worst_is_what_a_walk_over_the_exported_graph_finds(name: str) -> None:
    assert counts(NETWORKS[name]).peak_values == walked(NETWORKS[name])


@pytest.mark.parametrize("name", ["mbconv", "nasbench201"])
def test_networks_of_spaces_hold_what_the_walk_finds(name: str) -> None:
    space = spaces.load(name)
    architecture = space.architecture(random_choices(space.knobs(IMAGES), random.Random(5)), IMAGES)
    assert counts(architecture).peak_values == walked(architecture)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # The depthwise convolution of the first strided block: it reads 112×112×96 and writes 56×56×96.
        ("MobileNetV2 1.0", 112 * 112 * 96 + 56 * 56 * 96),
        # The first pointwise convolution: 112×112×8 to 112×112×16.
        ("MobileNetV1 0.25-224", 112 * 112 * (8 + 16)),
        # The first addition: the body's 56×56×256, the projection's and their sum.
        ("ResNet-50", 3 * 56 * 56 * 256),
        ("ResNet-18", 112 * 112 * 64 + 56 * 56 * 64),  # the maximum behind the stem
    ],
)
def test_published_networks_hold_what_is_derived_by_hand(name: str, values: int) -> None:
    counted = counts(zoo.architecture(name))
    assert (counted.peak_memory("int8"), counted.peak_memory()) == (values, 4 * values)


@pytest.mark.parametrize(
    ("seed", "resolution", "values"),
    [(0, 28, 66_560), (1, 32, 86_016), (2, 28, 112_896), (3, 32, 319_488), (4, 28, 43_392), (5, 32, 458_752)],
)
def test_the_arena_by_arithmetic_is_what_tflite_micro_took(seed: int, resolution: int, values: int) -> None:
    """As `bench.memory` measured it: with gates, skips behind each other and what is padded apart."""
    images = Images(resolution=resolution, channels=3, classes=10)
    architecture = mbconv.architecture(random_choices(mbconv.knobs(images), random.Random(seed)), images)
    assert counts(architecture).arena() == values


def test_a_network_in_use_stores_its_weights_and_a_bias_for_each_normalisation() -> None:
    stage = Stage(op="mbconv", kernel=3, stride=1, expand=2, channels=8, repeats=1)
    counted = counts(Architecture(images=IMAGES, stem=4, stem_stride=1, stages=(stage,), head=0))
    weights = 27 * 4 + 4 * 8 + 9 * 8 + 8 * 8 + 8 * 4
    biases = 4 + 8 + 8 + 8 + 4
    assert counted.model_bytes() == 4 * (weights + biases)
    assert counted.model_bytes("int8") == weights + 4 * biases


def test_what_works_in_training_only_is_not_stored() -> None:
    *before, last = crossing().parts
    beside = Part(name="beside", blocks=(Conv(64), Linear(4)), inputs=(4,), auxiliary=True)
    counted = counts(Network(images=IMAGES, parts=(*before, beside, last)))
    assert counted.params > counts(crossing()).params
    assert (counted.model_bytes(), counted.peak_values) == (counts(crossing()).model_bytes(), walked(crossing()))


def small(channels: int) -> Architecture:
    stage = Stage(op="mbconv", kernel=3, stride=2, expand=4, channels=channels, repeats=1)
    return Architecture(
        images=Images(resolution=64, channels=3, classes=4), stem=16, stem_stride=1, stages=(stage,), head=0
    )


@pytest.mark.parametrize("name", ["peak_memory", "model_bytes"])
def test_a_limit_refuses_what_is_a_byte_over_it(name: str) -> None:
    counted = counts(small(8))
    value = int(counted.cost(name))
    assert value == getattr(counted, name)()
    assert over_limit(decode(Limits, {name: value}), counted) is None
    assert excess(decode(Limits, {name: value}), counted) == 0
    tight = decode(Limits, {name: value - 1})
    assert over_limit(tight, counted) == f"{name} {value:,} over the limit of {value - 1:,}"
    assert excess(tight, counted) == pytest.approx(1 / (value - 1))


def test_a_board_holds_what_fits_in_three_quarters_of_it_in_int8() -> None:
    counted, limits = counts(small(8)), Limits(board="esp32")
    assert counted.peak_memory("int8") == 64 * 64 * (16 + 64)
    assert counted.arena("int8") == (64 * 64 + 66 * 66) * 64 > 120 * 1024  # padded apart, as the side is even
    assert over_limit(limits, counted) == "arena 540,928 over the limit of 122,880 for int8 on esp32"
    assert excess(limits, counted) == pytest.approx(540_928 / 122_880 - 1)
    assert over_limit(Limits(board="sony-spresense"), counted) is None
    assert over_limit(Limits(board="sony-spresense", peak_memory=1), counted) == (
        "peak_memory 1,310,720 over the limit of 1"
    )
    heavy = counts(zoo.architecture("ResNet-18", Images(resolution=32, channels=3, classes=10)))
    assert over_limit(Limits(board="nucleo-h743zi"), heavy) == (
        f"model_bytes {heavy.model_bytes('int8'):,} over the limit of 1,572,864 for int8 on nucleo-h743zi"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("esp32s3", "is it esp32-s3 or esp32"),
        ("pico", "is it raspberry-pi-pico or raspberry-pi-pico-2"),
        ("Teensy", "is it teensy-4.1"),
        ("zz", "there are arduino-nano-33-ble-sense, "),
    ],
)
def test_an_unknown_board_is_refused_with_what_is_near(name: str, words: str) -> None:
    with pytest.raises(Refusal, match=f"board '{name}' is not known: {words}") as refused:
        Limits(board=name)
    assert refused.value.field == "board"


def test_boards_are_in_order_and_each_says_where_its_figures_are_from() -> None:
    names = [board.name for board in BOARDS]
    assert names == sorted(names)
    assert len(set(names)) == len(names) >= 12
    assert all(board.source.startswith("https://") for board in BOARDS)
    assert all(0 < board.for_values < board.sram_bytes < board.flash_bytes for board in BOARDS)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_memory_is_known_to_a_searcher_as_other_costs_are(precision: Precision) -> None:
    objective = Objective(cost="peak_memory", target=64e3, form="front", also="model_bytes", precision=precision)
    spec = SearchSpec(dataset="", objective=objective, limits=Limits(peak_memory=200_000))
    its = problem(spec, IMAGES)
    choices = random_choices(its.knobs, random.Random(1))
    counted = counts(mbconv.architecture(choices, IMAGES))
    assert its.cost
    assert its.also
    assert its.allowed
    assert (its.cost(choices), its.also(choices)) == (counted.peak_memory(precision), counted.model_bytes(precision))
    assert its.allowed(choices) == max(0, counted.peak_memory(precision) / 200_000 - 1)


def test_a_measurement_from_before_memory_was_counted_has_no_such_cost() -> None:
    old = Measurement(params=5, mult_adds=7)
    assert [old.cost(name, "cpu") for name in ("params", "mult_adds", "peak_memory", "model_bytes")] == [
        5,
        7,
        None,
        None,
    ]
    assert Measurement(params=5, mult_adds=7, peak_memory=9).cost("peak_memory", "cpu") == 9


@pytest.mark.parametrize(
    ("text", "value"), [("64kB", 64_000), ("1.5MB", 1_500_000), ("256KiB", 262_144), ("3e5", 300_000), ("512", 512)]
)
def test_sizes_are_said_with_units(text: str, value: int) -> None:
    assert size(text) == value


@pytest.mark.parametrize("text", ["64 apples", "kB", "64kMB", ""])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a"):
        size(text)
