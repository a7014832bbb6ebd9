"""Search spaces whose every network's accuracy is known at once, so that searchers can be compared in seconds: what one
is, and one that is made up. Published ones are in bench/_tables.py."""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from nas.networks.architecture import Choices, Knobs
from nas.searchers import Canonical, CostOf
from nas.wiring import Wiring

NOISE = 0.0015  # standard deviation of a synthetic training, NAS-Bench-Macro's


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """`trainings(choices)` are the accuracies, in [0, 1], that training the network with other seeds gives.

    `error` is the standard error of such an accuracy, as far as a search knows it.
    `targets` are two costs, a tight and a loose one; `networks` is every distinct one, None if there are too many.
    `near` is by how much accuracy a network may fall short of the best and still count as found; `exists` says whether
    choices build a network at all.
    """

    name: str
    knobs: Knobs
    cost: CostOf
    canonical: Canonical
    trainings: Callable[[Choices], tuple[float, ...]]
    error: Callable[[float], float]
    targets: tuple[float, float]
    networks: tuple[Choices, ...] | None
    near: float = 0.001
    wirings: tuple[Wiring, ...] = ()
    exists: Callable[[Choices], bool] = lambda _: True

    def accuracy(self, choices: Choices) -> float:
        """The mean over seeds."""
        accuracies = self.trainings(choices)
        return sum(accuracies) / len(accuracies)


def synthetic(stages: int, seed: int = 0) -> Landscape:
    """Stages of an operation, kernel, squeeze, depth and width: 108 choices each, fewer networks.

    Effects interact within a stage and between neighbours; squeeze is inert in plain convolutions; trainings are noisy.
    Two stages can be looked at whole; seven are 1.7·10^14 choices.
    """
    draw = random.Random(f"landscape {seed}")
    names = range(1, stages + 1)
    knobs: Knobs = {
        f"stage{stage}.{knob}": choices
        for stage in names
        for knob, choices in (
            ("op", ("conv", "fused", "mbconv")),
            ("kernel", (3, 5)),
            ("squeeze", ("off", "on")),
            ("depth", (1, 2, 3)),
            ("width", (0.75, 1.0, 1.25)),
        )
    }
    price = {"conv": 1.0, "fused": 1.6, "mbconv": 0.7}
    share = {stage: draw.uniform(0.5, 1.5) for stage in names}
    ops = {(stage, op): draw.gauss(0, 0.25) for stage in names for op in price}
    kernels = {(stage, op): draw.gauss(0.05, 0.15) for stage in names for op in price}
    squeezes = {stage: draw.gauss(0.1, 0.1) for stage in names}
    pairs = {(stage, a, b): draw.gauss(0, 0.2) for stage in names for a in price for b in price}
    gains = {stage: (draw.uniform(0.1, 0.7), draw.uniform(0.2, 1.2)) for stage in names}

    def canonical(choices: Choices) -> Choices:
        inert = {f"stage{stage}.squeeze": "off" for stage in names if choices[f"stage{stage}.op"] == "conv"}
        return {**choices, **inert}

    def cost(choices: Choices) -> float:
        return 1e6 * sum(
            share[stage]
            * price[str(choices[f"stage{stage}.op"])]
            * (1.0 if choices[f"stage{stage}.kernel"] == 3 else 1.35)
            * float(choices[f"stage{stage}.depth"])
            * float(choices[f"stage{stage}.width"]) ** 2
            for stage in names
        )

    def trainings(choices: Choices) -> tuple[float, ...]:
        merit = 0.0
        for stage in names:
            op, width = str(choices[f"stage{stage}.op"]), float(choices[f"stage{stage}.width"])
            merit += ops[stage, op] + (kernels[stage, op] if choices[f"stage{stage}.kernel"] == 5 else 0.0)
            merit += squeezes[stage] if choices[f"stage{stage}.squeeze"] == "on" and op != "conv" else 0.0
            merit += gains[stage][0] * math.log(float(choices[f"stage{stage}.depth"]))
            merit += gains[stage][1] * math.log(width)
            if stage > 1:
                merit += pairs[stage, str(choices[f"stage{stage - 1}.op"]), op]
                merit -= (width - float(choices[f"stage{stage - 1}.width"])) ** 2
        clean = 0.96 - 0.12 * math.exp(-merit / math.sqrt(stages))
        luck = random.Random(f"{seed}/{sorted(canonical(choices).items())}")
        return tuple(min(1.0, max(0.0, luck.gauss(clean, NOISE))) for _ in range(3))

    networks = None
    if stages <= 2:
        every = (dict(zip(knobs, row)) for row in itertools.product(*knobs.values()))
        networks = tuple(choices for choices in every if canonical(choices) == choices)
    middle = sum(share.values()) * 1e6
    return Landscape(
        name=f"synthetic, {stages} stages",
        knobs=knobs,
        cost=cost,
        canonical=canonical,
        trainings=trainings,
        error=lambda _: NOISE,
        targets=(0.8 * middle, 1.6 * middle),
        networks=networks,
    )
