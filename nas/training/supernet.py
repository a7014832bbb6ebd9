"""Weights that many networks share: trained so that each slice of them works alone, as it is cut out.

Each step trains the largest network as it would be alone, and on the largest's answers the smallest and some at random
(the sandwich rule with distillation in place, Yu et al. 2020, BigNAS). All are slices of the largest one's weights.
"""

import functools
import random
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.func import functional_call

from nas import spaces
from nas.inheritance import sliced
from nas.inheritance.slices import Slices
from nas.nesting import AT_RANDOM, largest, within
from nas.networks.architecture import Architecture, Choice, Choices, Knobs, random_choices
from nas.networks.blocks import DropPath, network
from nas.recipes import Recipe
from nas.records import Job
from nas.spaces import SearchSpace
from nas.training.gradients import Gradients
from nas.training.precision import reduced

REMEMBERED = 8  # children, of which the smallest is one
CALIBRATION = 512  # training images that give a child its statistics


@dataclass(frozen=True, kw_only=True)
class Children:
    """The networks of some knobs of a space, all of them parts of `whole`."""

    space: SearchSpace
    knobs: Knobs
    whole: Architecture
    smallest: Choices


def children(job: Job) -> Children | None:
    """Those that are to be trained with the network of the job; None where it is trained alone."""
    if not job.children:
        return None
    assert isinstance(job.architecture, Architecture)
    space = spaces.load(job.space, job.parent)
    smallest = largest(space, job.children, job.architecture.images).smallest
    return Children(space=space, knobs=job.children, whole=job.architecture, smallest=smallest)


class Sandwich(Gradients):
    """Gradients of the largest network, to which those are added of children that have its weights. Returned is the
    loss of the largest. Children are drawn by torch's random numbers."""

    def __init__(
        self,
        children: Children,
        whole: nn.Module,
        recipe: Recipe,
        precision: AbstractContextManager[object],
        weights: Tensor | None = None,
    ) -> None:
        super().__init__(whole, recipe, precision, weights=weights)
        self._children, self._frozen = children, recipe.norms == "frozen"
        self._child = functools.lru_cache(maxsize=REMEMBERED)(self._built)

    def _of_part(self, whole: int, images: Tensor, answers: Tensor, *taught: Tensor) -> tuple[Tensor, Tensor]:
        loss, logits = super()._of_part(whole, images, answers, *taught)
        wanted = logits.float().softmax(1)
        for choices in (self._children.smallest, *(self._drawn() for _ in range(AT_RANDOM))):
            summed = F.cross_entropy(self._answer(choices, images), wanted, reduction="sum")
            (summed / whole).backward()  # type: ignore[no-untyped-call]
        return loss, logits

    def _drawn(self) -> Choices:
        return random_choices(self._children.knobs, random.Random(int(torch.randint(2**31, ()))))

    def _answer(self, choices: Choices, images: Tensor) -> Tensor:
        child, slices, pixels = self._child(tuple(choices.values()))
        if pixels < images.shape[-1]:
            images = F.interpolate(images, size=(pixels, pixels), mode="bilinear", antialias=True)
        with reduced(child, images.device) as precision, precision:
            logits: Tensor = functional_call(child, slices.weights(), (images,))
        return logits.float()

    def _built(self, row: tuple[Choice, ...]) -> tuple[nn.Module, Slices, int]:
        """A child, whose own weights are none, what it has of the largest network's, and pixels a side that it sees."""
        knobs, whole = self._children.knobs, self._children.whole
        architecture = within(whole, self._children.space.architecture(dict(zip(knobs, row)), whole.images))
        with torch.random.fork_rng(devices=[]):  # whether it is remembered must not change what is drawn next
            child = network(architecture)
        for module in child.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.track_running_stats = False  # they are the largest network's, and counted again for each child
                module.train(not self._frozen)
            elif isinstance(module, nn.Dropout | DropPath):
                module.eval()  # only what is large enough to learn by heart is kept from it
        return child, sliced(self._network, whole, child, architecture), architecture.images.resolution


@torch.no_grad()
def calibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give the norms the statistics of these images, of each batch as much as of the others, and change nothing
    else."""
    norms = [module for module in network.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    memories = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for all alike
        norm.train()
    for images in batches:
        network(images)
    for norm, memory in zip(norms, memories):
        norm.momentum = memory
        norm.eval()
