"""The gradients of a batch: layer by layer, or on a GPU all by one launch of a captured CUDA graph.

A small network is over on a GPU before the next of its hundred kernels is on its way there, so that most of a step is
spent on launching. A graph is launched once for all of them.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nas.networks.blocks import auxiliary_logits
from nas.recipes import Recipe
from nas.training import TrainingFailed
from nas.training.loss import summed_loss
from nas.training.teacher import distilled

AUXILIARY = 0.4  # what the loss of an auxiliary classifier counts (Zoph et al. 2018)
WARM_UP = 3  # batches of a size before it is captured; in them libraries choose their kernels
AGREEMENT = 0.01  # of captured gradients with others: kernels may add up in any order, in bfloat16

# Takes work down without doing it, and gives what does it.
Capture: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]
Shapes: TypeAlias = tuple[torch.Size, ...]  # of the tensors of a batch

log = logging.getLogger(__name__)


class Gradients:
    """Called with a batch, gives the network's parameters the gradients of its mean loss, and returns that. A batch is
    images, labels and, where there is a teacher, its logits, which are found before: nothing of it is captured. With
    `weights` an image counts in the loss what its class does.

    A batch that is too large for the device's memory goes through it in parts from then on, layer by layer. What was
    captured is used only where its gradients are those found layer by layer. Raises TrainingFailed where parts do not
    help.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        precision: AbstractContextManager[object],
        capture: Capture | None = None,
        weights: Tensor | None = None,
    ) -> None:
        self._network, self._recipe, self._precision, self._capture = network, recipe, precision, capture
        self._weights = weights
        self._parts = 1
        self._seen: dict[Shapes, int] = {}  # batches of each shape, until they are captured
        self._captured: dict[Shapes, _Captured] = {}

    def __call__(self, *batch: Tensor) -> Tensor:
        """Images; labels, which are numbers (N) or the share that each class has (N, classes); and what a teacher
        answered."""
        shapes = tuple(each.shape for each in batch)
        if self._capture and shapes not in self._captured:
            self._seen[shapes] = self._seen.get(shapes, 0) + 1
            if self._seen[shapes] > WARM_UP:
                self._take_down(self._capture, *batch)
        if shapes in self._captured:
            return self._captured[shapes](*batch)
        return self._layer_by_layer(*batch)

    def forget(self) -> None:
        """What was captured: the network works otherwise from here on."""
        self._captured.clear()

    def _layer_by_layer(self, *batch: Tensor) -> Tensor:
        _, labels, *_ = batch
        while True:
            try:
                return self._in_parts(*batch)
            except torch.OutOfMemoryError as error:
                if len(labels) // (2 * self._parts) < 2:  # normalisation needs several images
                    raise TrainingFailed(
                        f"{labels.device} runs out of memory even with {len(labels) // self._parts} images at a time: "
                        "take a smaller network or resolution, or a device with more memory"
                    ) from error
            self._parts *= 2
            self._release()
            log.warning(
                "%s ran out of memory: batches go through it in %d parts from here on", labels.device, self._parts
            )

    def _in_parts(self, *batch: Tensor) -> Tensor:
        images, labels, *_ = batch
        total = torch.zeros((), device=labels.device)
        for part in zip(*(each.tensor_split(self._parts) for each in batch)):
            loss, _ = self._of_part(len(images), *part)
            total += loss
        return total

    def _of_part(self, whole: int, images: Tensor, answers: Tensor, *taught: Tensor) -> tuple[Tensor, Tensor]:
        """What these images add to the mean loss of a batch of `whole` images, and their logits."""
        with self._precision:
            logits = self._network(images)
        loss = self._loss(logits, answers, *taught)
        if (others := auxiliary_logits(self._network)) is not None:
            loss = loss + AUXILIARY * self._loss(others, answers, *taught)
        loss = loss / whole
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), logits.detach()

    def _loss(self, logits: Tensor, labels: Tensor, taught: Tensor | None = None) -> Tensor:
        """Of all images together."""
        recipe = self._recipe
        loss = summed_loss(logits, labels, recipe.label_smoothing, self._weights)
        if taught is None:
            return loss
        return torch.lerp(loss, distilled(logits.float(), taught, recipe.teacher_temperature), recipe.teacher_weight)

    def _take_down(self, capture: Capture, *batch: Tensor) -> None:
        """Capture the work on a batch of this size, unless it cannot be or comes out otherwise: then never again."""
        try:
            reason = self._fault(capture, *batch)
        except RuntimeError as error:  # out of memory, too
            reason = str(error) or type(error).__name__
        if reason:
            self._release()
            log.warning("%s trains layer by layer, as a captured graph cannot be used: %s", batch[0].device, reason)

    def _fault(self, capture: Capture, *batch: Tensor) -> str | None:
        captured = _Captured(capture, self._network, self._in_parts, *batch)
        difference = self._difference(captured, *batch)
        if not difference <= AGREEMENT:  # a NaN is not
            return f"its gradients differ by {difference:.1%}"
        self._captured[tuple(each.shape for each in batch)] = captured
        return None

    def _difference(self, captured: "_Captured", *batch: Tensor) -> float:
        """Of the gradients, relative to those found layer by layer; the network and random numbers stay as they are."""
        buffers = [(buffer, buffer.clone()) for buffer in self._network.buffers()]
        gradients: list[Tensor] = []
        for work in (self._in_parts, captured):
            self._network.zero_grad()
            try:
                device = batch[0].device
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    work(*batch)
            finally:
                for buffer, before in buffers:
                    buffer.copy_(before)
            gradients.append(torch.cat([_gradient(parameter).flatten() for parameter in self._network.parameters()]))
        self._network.zero_grad()
        difference, length = float((gradients[1] - gradients[0]).norm()), float(gradients[0].norm())
        return difference / length if length else difference

    def _release(self) -> None:
        """Whatever takes memory that layer by layer is not needed."""
        self._capture = None
        self._captured.clear()
        self._network.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class _Captured:
    """Work on batches of one size, which lie at one place in memory, as do the gradients."""

    def __init__(
        self,
        capture: Capture,
        network: nn.Module,
        work: Callable[..., Tensor],
        *batch: Tensor,
    ) -> None:
        self._batch = [each.clone() for each in batch]
        self._loss: Tensor

        def run() -> None:
            self._loss = work(*self._batch)

        network.zero_grad()  # gradients that are captured are written, not added to others
        self._replay = capture(run)
        self._gradients = [(parameter, parameter.grad) for parameter in network.parameters()]

    def __call__(self, *batch: Tensor) -> Tensor:
        for place, each in zip(self._batch, batch):
            place.copy_(each)
        self._replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient  # optimizers let go of it
        return self._loss


def cuda_graphs(device: torch.device) -> Capture | None:
    """None where `device` is not a GPU."""
    if device.type != "cuda":
        return None

    def capture(work: Callable[[], None]) -> Callable[[], None]:
        graph: Any = torch.cuda.CUDAGraph()
        stream, generator = torch.cuda.current_stream(), torch.cuda.default_generators[torch.cuda.current_device()]
        drawn = generator.get_state()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                work()
        except BaseException:
            # What was not allowed leaves both as they are in a capture, and nothing would work any more.
            torch.cuda.set_stream(stream)
            generator.graphsafe_set_state(torch.Generator(device).graphsafe_get_state())
            generator.set_state(drawn)
            raise
        replay: Callable[[], None] = graph.replay
        return replay

    return capture


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
