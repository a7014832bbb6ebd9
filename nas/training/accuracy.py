"""Which images a network gets right, and how sure it is of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.metrics import Quality, certain, quality
from nas.training import TrainingFailed
from nas.training.data import Indices, View, tensor

BATCH = 500  # fixed: sums in another order could turn the answer to an image that hangs in the balance


@dataclass(frozen=True)
class Answered:
    """What a network said of N images: the class that it took each for, the probability that it gave that class, and
    the negative logarithm of the one that it gave the right class."""

    taken_for: Tensor
    confidence: Tensor
    loss: Tensor


def together(parts: Sequence[Answered]) -> Answered:
    """What was said of all images of the parts, one part after the other."""
    return Answered(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Answered)))


def judged(answered: Answered, labels: Indices, classes: Sequence[str]) -> Quality:
    """What was said of images that are what `labels` say."""
    taken_for = answered.taken_for.numpy()
    cells = np.bincount(len(classes) * labels + taken_for, minlength=len(classes) ** 2)
    own = quality(cells.reshape(len(classes), len(classes)).tolist(), classes)
    return certain(own, answered.loss.tolist(), answered.confidence.tolist(), (taken_for == labels).tolist())


def accuracy(network: nn.Module, images: NDArray[np.uint8], labels: Indices, view: View, device: torch.device) -> float:
    """The fraction of raw `images` (N, C, H, W) that `network` classifies as `labels` say."""
    return float((answers(network, images, labels, view, device).taken_for == tensor(labels)).double().mean())


def answers(
    network: nn.Module,
    images: NDArray[np.uint8],
    labels: Indices,
    view: View,
    device: torch.device,
    *,
    only: Indices | None = None,
) -> Answered:
    """What `network` says of each of raw `images` (N, C, H, W), which are what `labels` say, or of each of those at the
    indices `only`, in single precision. A few hundred are in memory at a time.

    The same weights, images and machine give the same. Raises TrainingFailed where an answer is not a number.
    """
    network.eval()
    indices = np.arange(len(images)) if only is None else only
    parts = []
    with torch.inference_mode():
        for start in range(0, len(indices), BATCH):
            some = indices[start : start + BATCH]
            logits = network(view(tensor(images[some]).to(device)))
            if not logits.isfinite().all():
                raise TrainingFailed("the trained network answers NaN or infinity: lower recipe.learning_rate")
            logarithms = logits.float().log_softmax(1).cpu()
            loss = -logarithms.gather(1, tensor(labels[some])[:, None])[:, 0]
            parts.append(Answered(logits.argmax(1).cpu(), logarithms.amax(1).exp(), loss))
    return together(parts)
