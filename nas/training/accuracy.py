"""How many images a network gets right."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas.training import TrainingFailed
from nas.training.data import Indices, View, tensor

BATCH = 500  # fixed: sums in another order could turn the answer to an image that hangs in the balance


def accuracy(
    network: nn.Module,
    images: NDArray[np.uint8],
    labels: Indices,
    view: View,
    device: torch.device,
    *,
    only: Indices | None = None,
) -> float:
    """The fraction of raw `images` (N, C, H, W), or of those at the indices `only`, that `network` classifies as
    `labels` say, in single precision. A few hundred are in memory at a time.

    The same weights, images and machine give the same fraction. Raises TrainingFailed where an answer is not a number.
    """
    network.eval()
    indices = np.arange(len(labels)) if only is None else only
    right = 0
    with torch.inference_mode():
        for start in range(0, len(indices), BATCH):
            batch = indices[start : start + BATCH]
            raw = tensor(images[batch]).to(device)
            logits = network(view(raw))
            if not logits.isfinite().all():
                raise TrainingFailed("the trained network answers NaN or infinity: lower recipe.learning_rate")
            answers = logits.argmax(1).cpu()
            right += int((answers == tensor(labels[batch])).sum())
    return right / len(indices)


def standard_error(accuracy: float, images: int) -> float:
    """Of an accuracy that was found on so many images, which stand for all the images that there could be: what it
    would vary by with others of their kind (binomial)."""
    return math.sqrt(accuracy * (1 - accuracy) / images)
