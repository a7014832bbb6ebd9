"""Which images a network gets right."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas.training import TrainingFailed
from nas.training.data import Indices, View, tensor

BATCH = 500  # fixed: sums in another order could turn the answer to an image that hangs in the balance


def accuracy(network: nn.Module, images: NDArray[np.uint8], labels: Indices, view: View, device: torch.device) -> float:
    """The fraction of raw `images` (N, C, H, W) that `network` classifies as `labels` say."""
    return float((answers(network, images, view, device) == labels).mean())


def answers(
    network: nn.Module,
    images: NDArray[np.uint8],
    view: View,
    device: torch.device,
    *,
    only: Indices | None = None,
) -> Indices:
    """The class that `network` takes each of raw `images` (N, C, H, W) for, or each of those at the indices `only`, in
    single precision. A few hundred are in memory at a time.

    The same weights, images and machine give the same. Raises TrainingFailed where an answer is not a number.
    """
    network.eval()
    indices = np.arange(len(images)) if only is None else only
    taken_for = np.empty(len(indices), np.int64)
    with torch.inference_mode():
        for start in range(0, len(indices), BATCH):
            logits = network(view(tensor(images[indices[start : start + BATCH]]).to(device)))
            if not logits.isfinite().all():
                raise TrainingFailed("the trained network answers NaN or infinity: lower recipe.learning_rate")
            taken_for[start : start + BATCH] = logits.argmax(1).cpu()
    return taken_for
