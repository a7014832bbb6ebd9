"""Search spaces: their sizes, restrictions on them, a user's own, and the check that says what is wrong with one."""

import dataclasses
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nas import soundness, spaces, zoo
from nas.measurements import Measurement
from nas.networks.architecture import Architecture, Choices, Images, Stage
from nas.networks.counts import counts
from nas.plans.search import SearchPlan
from nas.refusal import Refusal
from nas.specs import Limits, SearchSpec
from nas.wiring import Chosen, Wire, Wiring
from search_spaces import efficientnetv2, mbconv, mnasnet, mnasnet_released
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent
LARGE = Images(resolution=224)
GREY = Images(resolution=28, channels=1, classes=10)
EXAMPLE = re.findall(r"```python\n(.*?)```", (ROOT / "docs/search-spaces.md").read_text(), re.DOTALL)[0]


@pytest.mark.parametrize(
    ("space", "networks"),
    [
        (mnasnet, 432**5),
        (mnasnet_released, 216**5 * 144**2),
        (efficientnetv2, 36**5 * 24),
        (mbconv, 648**5 * 432**2),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_space_has_its_published_size(space: Any, networks: int) -> None:
    assert math.prod(len(options) for options in space.knobs(LARGE).values()) == networks


def test_efficientnetv2_b0_is_a_point_of_its_space() -> None:
    choices: Choices = {}
    rows = [("fused", 1, 1), ("fused", 4, 2), ("fused", 4, 2), ("mbconv", 4, 3), ("mbconv", 6, 5), ("mbconv", 6, 8)]
    for stage, (op, expand, layers) in enumerate(rows, 1):
        choices |= {f"stage{stage}.op": op, f"stage{stage}.kernel": 3}
        choices |= {f"stage{stage}.expand": expand, f"stage{stage}.layers": layers}
    assert efficientnetv2.architecture(choices, LARGE) == zoo.architecture("EfficientNetV2-B0")


def test_mobilenet_v2_is_a_point_of_the_released_mnasnet_space_but_for_its_activation() -> None:
    choices: Choices = {}
    for block, (_, _, repeats) in enumerate(mnasnet_released.LARGE, 1):
        choices |= {f"block{block}.block_fn": "mbconv", f"block{block}.expand": 1 if block == 1 else 6}
        choices |= {f"block{block}.kernel": 3, f"block{block}.se_ratio": 0.0}
        choices |= {f"block{block}.filters": 1.0, f"block{block}.repeats": repeats}
    made = mnasnet_released.architecture(choices, LARGE)
    assert dataclasses.replace(made, activation="relu6") == zoo.architecture("MobileNetV2 1.0")


def mnasnet_choices(**first: Any) -> Choices:
    choices = {knob: options[0] for knob, options in mnasnet.knobs(LARGE).items()}
    return choices | {f"block1.{name}": value for name, value in first.items()}


def test_mnasnets_skips_are_told_apart_where_they_differ() -> None:
    alike = [mnasnet.canonical(mnasnet_choices(skip=skip, layers=1), LARGE) for skip in ("identity", "pooling", "none")]
    assert alike[0] == alike[1] == alike[2]  # 16 channels become 24: nothing can be skipped
    differing = [
        mnasnet.canonical(mnasnet_choices(skip=skip, layers=2), LARGE) for skip in ("identity", "pooling", "none")
    ]
    assert len({str(choices) for choices in differing}) == 3
    sizes = {counts(mnasnet.architecture(choices, LARGE)).params for choices in differing}
    assert len(sizes) == 1


def test_a_pooling_skip_can_stride() -> None:
    stage = Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=16, repeats=1, skip="pooling")
    made = Architecture(images=GREY, stem=16, stem_stride=1, stages=(stage,), head=0)
    from nas.networks.blocks import Branches, network

    joins = [module.join for module in network(made).modules() if isinstance(module, Branches)]
    assert joins == ["add"]
    without = dataclasses.replace(made, stages=(dataclasses.replace(stage, skip=True),))
    assert not [module for module in network(without).modules() if isinstance(module, Branches)]


def spec(**changes: Any) -> SearchSpec:
    usual: dict[str, Any] = {"dataset": "fashion_mnist", "searcher": "random", "trials": 6}
    return SearchSpec(**usual | changes)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        (
            {"normal.block1.op1": ("sep9",)},
            "knob 'normal.block1.op1' has no choice 'sep9': there are 'identity', '1x3-3x1'",
        ),
        ({"normal.block1.state1": (2,)}, "knob 'normal.block1.state1' has no choice 2: there are 0, 1"),
        ({"normal.block9.op1": ("max3",)}, "unknown knob 'normal.block9.op1': there are normal.block1.state1"),
    ],
)
def test_a_restriction_that_cannot_be_is_refused_with_what_is_allowed(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        SearchPlan("r", spec(space="nasnet", knobs=knobs), 6, GREY)
    with pytest.raises(Refusal, match=r"knob 'normal.block1.op1' is left without a choice"):
        spec(space="nasnet", knobs={"normal.block1.op1": ()})


def test_baselines_are_the_first_trials_and_the_searcher_never_hears_of_them() -> None:
    names = ("ResNet-20 (CIFAR)", "LeNet-5")
    baselines = spec(baselines=names, limits=Limits(params=100_000))
    plan = SearchPlan("r", baselines, 6, dataclasses.replace(GREY, resolution=32))
    jobs = [job for number in range(6) if (job := plan.ask(number))]
    assert [job.baseline for job in jobs] == [*names, None, None, None, None]
    assert [counts(job.architecture).params for job in jobs[:2]] == [269_434, 61_706]
    assert jobs[0].limits == Limits()
    assert all(counts(job.architecture).params <= 100_000 for job in jobs[2:])
    assert jobs[0].architecture.images.resolution == 32
    for job in jobs[:2]:
        plan.begun(job)
        plan.tell(job, Measurement(params=1, mult_adds=1, accuracy=0.5))
    again = SearchPlan("r", baselines, 6, dataclasses.replace(GREY, resolution=32))
    assert [again.ask(number) for number in range(6)] == jobs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baselines": ("ResNet-21",)}, "unknown published network 'ResNet-21': there are ResNet-"),
        ({"baselines": ("Inception V3",)}, "part 4, 'reduction A', of a network for 28 pixels: a window of 3 pixels"),
    ],
)
def test_a_baseline_that_cannot_be_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchPlan("r", spec(**changes), 6, GREY)


def test_baselines_leave_trials_to_the_search() -> None:
    with pytest.raises(Refusal, match="2 baselines leave none of 2 trials to the search"):
        spec(baselines=("LeNet-5", "ResNet-18"), trials=2)
    with pytest.raises(Refusal, match="baselines LeNet-5, LeNet-5 repeat themselves"):
        spec(baselines=("LeNet-5", "LeNet-5"))


def test_the_example_in_the_documentation_is_a_space(tmp_path: Path) -> None:
    file = tmp_path / "fire.py"
    file.write_text(EXAMPLE)
    found = spaces.from_file(file)
    assert soundness.problems(found, GREY) == []
    choices = {knob: options[0] for knob, options in found.knobs(GREY).items()}
    assert found.canonical(choices, GREY) == choices


def test_a_space_in_the_users_folder_is_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "fire.py").write_text(EXAMPLE)
    code = """
from nas import plugins
from nas.networks.architecture import Images
from nas.plans.search import SearchPlan
from nas.specs import SearchSpec
assert "fire" in plugins.names("search_spaces") and "mbconv" in plugins.names("search_spaces")
spec = SearchSpec(dataset="none", space="fire", searcher="evolution")
plan = SearchPlan("run", spec, 20, Images(resolution=28, channels=1, classes=10))
jobs = [job for number in range(20) if (job := plan.ask(number))]
assert len({job.architecture.digest() for job in jobs}) == 20
"""
    environment = os.environ | {"NAS_SPACES": f"{tmp_path}{os.pathsep}{tmp_path / 'absent'}"}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert ran.returncode == 0, ran.stderr


def plain(choices: Choices, images: Images, channels: int = 8) -> Architecture:
    stage = Stage(op="conv", kernel=3, stride=2, expand=1, channels=int(choices["channels"]), repeats=1)
    return Architecture(images=images, stem=channels, stem_stride=1, stages=(stage,), head=0)


def space(**functions: Any) -> Any:
    """A small, correct space with `functions` instead of its own."""
    module = ModuleType("own")
    own = {"knobs": lambda _: {"channels": (8, 16)}, "architecture": plain} | functions
    for name, function in own.items():
        if function is not None:
            setattr(module, name, function)
    return spaces.complete(module)


def raising(*arguments: object) -> Any:
    raise KeyError("wdith")


def fickle(made: list[int]) -> Callable[..., Any]:
    """An architecture that is another one at every call."""

    def architecture(choices: Choices, images: Images) -> Architecture:
        made.append(1)
        return plain(choices, images, channels=8 * len(made))

    return architecture


def growing(made: list[int]) -> Callable[[Images], Any]:
    """Knobs that have another choice at every call."""

    def knobs(images: Images) -> Any:
        made.append(8 + len(made))
        return {"channels": tuple(made)}

    return knobs


def wired(operation: str = "channels", source: int | Chosen = 0) -> Wiring:
    wire = Wire(source=source, node=1, operation=operation)
    return Wiring(inputs=1, wires=(wire,), outputs=None, identity="skip")


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"knobs": None}, r"there is no function knobs: a space has knobs\(images\) and architecture"),
        ({"architecture": 3}, "there is no function architecture"),
        ({"knobs": raising}, r"knobs\(images\) raises KeyError: 'wdith'"),
        ({"knobs": lambda _: {}}, r"knobs\(images\) gives {}: give a dictionary"),
        ({"knobs": lambda _: {"channels": [8]}}, r"knob 'channels' has \[8\]: give a tuple"),
        ({"knobs": lambda _: {"channels": ()}}, "knob 'channels' is left without a choice"),
        ({"knobs": lambda _: {"channels": (8, None)}}, "knob 'channels' has choice None"),
        ({"knobs": lambda _: {"channels": (8, 8)}}, "knob 'channels' has a choice twice"),
        ({"knobs": growing([])}, "other knobs"),
        ({"architecture": raising}, "architecture raises KeyError: 'wdith', for {'channels': "),
        ({"architecture": lambda *_: "net"}, "architecture gives a str: give an Architecture"),
        ({"architecture": lambda choices, _: plain(choices, LARGE)}, "architecture gives a network for Images"),
        ({"architecture": fickle([])}, "architecture gives another network when it is asked again"),
        ({"canonical": raising}, "canonical raises KeyError"),
        ({"canonical": lambda choices, _: choices | {"channels": 24}}, "which are not choices of the knobs"),
        ({"canonical": lambda choices, _: choices | {"channels": 8}}, "another size of network"),
        (
            {"canonical": lambda choices, _: {"channels": 24 - int(choices["channels"])}},
            "canonical changes its own answer",
        ),
        ({"wirings": raising}, r"wirings\(images\) raises KeyError: 'wdith'"),
        ({"wirings": lambda _: [wired(operation="op")]}, "wirings.* names the knob 'op': there is none"),
        (
            {"wirings": lambda _: [wired(source=Chosen(knob="from", states={}))]},
            "wirings.* names the knob 'from': there is none",
        ),
        (
            {"wirings": lambda _: [wired(source=Chosen(knob="channels", states={8: 0}))]},
            "wirings.* does not say which state 16 of 'channels' is",
        ),
        (
            {"wirings": lambda _: [wired(source=1)]},
            "wirings.* leads from state 1 to 1: it must come from an earlier one",
        ),
        ({"build": raising}, "build gives no network that answers: KeyError"),
    ],
)
def test_the_check_says_what_is_wrong_with_a_space(functions: dict[str, Any], message: str) -> None:
    found = soundness.problems(space(**functions), GREY)
    assert any(re.search(message, problem) for problem in found), found


def test_the_check_builds_a_network_and_lets_it_answer() -> None:
    from torch import nn

    other = nn.Sequential(nn.Flatten(), nn.Linear(784, 3))
    found = soundness.problems(space(build=lambda _: other), GREY)
    assert [problem.partition(" where")[0] for problem in found] == [
        "build gives 2,355 parameters",
        "build gives a network that answers (2, 3) to 2 images: it must be (2, 10)",
    ]
    assert soundness.problems(space(), GREY) == []


def test_a_file_that_is_no_space_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="absent"):
        spaces.from_file(tmp_path / "absent.py")
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"text.txt is not a Python file"):
        spaces.from_file(tmp_path / "text.txt")
