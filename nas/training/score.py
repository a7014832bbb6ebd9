"""How many images a network gets right."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas.training import TrainingFailed
from nas.training.data import Indices, View, tensor

BATCH = 500  # fixed: sums in another order could turn the answer to an image that hangs in the balance


def accuracy(network: nn.Module, images: NDArray[np.uint8], labels: Indices, view: View, device: torch.device) -> float:
    """The fraction of raw `images` (N, C, H, W) that `network` classifies as `labels` say, in single precision.

    The same weights, images and machine give the same fraction. Raises TrainingFailed where an answer is not a number.
    """
    network.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(labels), BATCH):
            raw = tensor(images[start : start + BATCH]).to(device)
            logits = network(view(raw))
            if not logits.isfinite().all():
                raise TrainingFailed("the trained network answers NaN or infinity: lower recipe.learning_rate")
            answers = logits.argmax(1).cpu()
            right += int((answers == tensor(labels[start : start + BATCH])).sum())
    return right / len(labels)
