"""The training loop."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas.metering import quiet
from nas.networks.blocks import schedule
from nas.recipes import Recipe
from nas.training import TrainingFailed
from nas.training.data import Batches
from nas.training.ema import Average
from nas.training.gradients import Gradients, cuda_graphs
from nas.training.optimizer import factor, made, momentum
from nas.training.precision import reduced
from nas.training.regularisation import regularised
from nas.training.rounding import rounded
from nas.training.supernet import Children, Sandwich
from nas.training.teacher import Teacher
from nas.training.team import ALONE, Team


class Diverged(TrainingFailed):
    """The loss became infinite or not a number; a lower learning rate may do."""


@dataclass(frozen=True, kw_only=True)
class State:
    """A training between two epochs, `epoch` of them done; all that the rest of it depends on. `average` holds the
    averaged weights; None where the recipe averages none."""

    epoch: int
    network: dict[str, Any]
    optimizer: dict[str, Any]
    average: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What is known after an epoch: its number from 1, the mean loss in it, and the state to go on from."""

    number: int
    loss: float
    images_per_second: float
    state: State


def train(
    network: nn.Module,
    batches: Batches,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    teacher: Teacher | None = None,
    start: State | None = None,
    weights: Tensor | None = None,
    children: Children | None = None,
    team: Team = ALONE,
    per_channel: bool | None = None,
    after_epoch: Callable[[Epoch], None],
) -> dict[str, Any] | None:
    """Train `network`, which is on `device`, in place; from `start` on if there is one. With `weights`, which are there
    too, an image counts in the loss what its class does. With `children` these learn with it, as parts of it. Of a
    `team` every process does this at once, each with its part of the `batches`. It works in 8 bits where it is said
    whether weights have scales `per_channel` then. Returns the averaged weights, as its state has them, where the
    recipe averages them.

    An epoch draws its random numbers from `seed` and its own number, so one that is repeated after a crash is the same
    again, bit for bit on a CPU. Raises Diverged, or TrainingFailed where the device's memory is too small.
    """
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = made(network, recipe)
    if start:
        network.load_state_dict(start.network)
        optimizer.load_state_dict(start.optimizer)
    average = Average(network, recipe.ema, start.average if start else None) if recipe.ema else None
    done = start.epoch if start else 0
    step, steps = done * len(batches), recipe.epochs * len(batches)
    # Who leads stands still while a latency is measured, and the others wait for it: of several that stood still by
    # themselves one might be in a step that waits for another.
    draw, quietly = torch.Generator(device), quiet.Step() if team.leads else nullcontext()
    working = reduced(network, device) if per_channel is None else rounded(network, per_channel=per_channel)
    with regularised(network, recipe), working as precision:
        team.meet()  # nobody tries out precisions any more, for which no step of another may be under way
        if children:
            gradients: Gradients = Sandwich(children, network, recipe, precision, weights)
        else:
            gradients = Gradients(network, recipe, precision, cuda_graphs(device), weights)
        for number in range(done, recipe.epochs):
            begun = time.perf_counter()
            if schedule(network, number / recipe.epochs):
                gradients.forget()
            torch.manual_seed(team.seed(_mixed(seed, number)))  # dropout
            draw.manual_seed(_mixed(seed, number) + 1)  # order and augmentation
            total = torch.zeros((), device=device)
            for indices in batches.shuffled(draw, number):
                with quietly:
                    team.meet()
                    progress = (step + 0.5) / steps  # in the middle of the step: at its end the last one's rate is 0
                    for group in optimizer.param_groups:
                        group["lr"] = recipe.learning_rate * factor(recipe, progress) * group["scale"]
                        group["momentum"] = momentum(recipe, progress)
                    images, labels = batches.batch(indices, draw)
                    loss = gradients(images, labels, *([teacher(images)] if teacher else []))
                    loss = team.share(network, loss, len(images))
                    if recipe.clip_norm:
                        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
                    optimizer.step()
                    optimizer.zero_grad()
                    if average:
                        average.update(step)
                total += loss
                step += 1
            mean = total.item() / len(batches)
            if not math.isfinite(mean):
                raise Diverged(
                    f"the loss became {mean} in epoch {number + 1} at learning rate {recipe.learning_rate:g}"
                )
            team.agree(network)
            state = State(
                epoch=number + 1,
                network=network.state_dict(),
                optimizer=optimizer.state_dict(),
                average=average.weights if average else None,
            )
            speed = batches.images / (time.perf_counter() - begun)
            after_epoch(Epoch(number=number + 1, loss=mean, images_per_second=speed, state=state))
    return average.weights if average else None


def _mixed(seed: int, epoch: int) -> int:
    """Different for every epoch of every seed (seeds are below 2^31)."""
    return (seed * 1_000_003 + epoch) * 2
