"""The loss of a training: cross-entropy, in which images of some classes may count for more than others."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nas.recipes import Recipe
from nas.training.data import Indices


def class_weights(recipe: Recipe, labels: Indices, classes: tuple[str, ...]) -> Tensor | None:
    """What an image of each class counts, 1 on average over the images with these labels; None where all count alike.
    Raises Refusal where the recipe names a class that is none of these."""
    recipe.require_classes(classes)
    given = recipe.class_weights
    if given == "none":
        return None
    sizes = np.bincount(labels, minlength=len(classes))
    if isinstance(given, dict):
        weights = np.array([given.get(name, 1.0) for name in classes])
    else:
        weights = 1 / np.maximum(1, sizes)
    return torch.from_numpy(weights * len(labels) / (weights * sizes).sum()).float()


def summed_loss(logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None = None) -> Tensor:
    """The sum over images, whose `labels` are classes (N) or the shares of each class (N, classes). An image of several
    classes counts what these do on average, by their shares."""
    if weights is None:
        return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing, reduction="sum")
    each = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing, reduction="none")
    return each @ (labels @ weights if labels.is_floating_point() else weights[labels])
