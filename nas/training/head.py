"""The last layer of a network in closed form: what a parent's features say of other classes, without a step."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.training import TrainingFailed
from nas.training.accuracy import BATCH
from nas.training.data import Indices, View, tensor

MOST_IMAGES = 20_000  # that it is fitted to; more hardly move it
PENALTIES = torch.logspace(-5, 3, 33, dtype=torch.float64)  # of the mean variance of a direction of the features
# Of logits that are as far apart as 1 and 0 where an image is surely of a class; of more no gradient would be left.
SHARPNESSES = torch.logspace(-1, 1.2, 45, dtype=torch.float64)


def head(network: nn.Module) -> nn.Linear:
    """The layer that gives the logits. Raises TrainingFailed where that is none of which this can be said."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linear or linear[-1].bias is None:
        raise TrainingFailed(
            "this network does not end in a linear layer with a bias: take recipe.head 'drawn' and recipe.body_rate 1"
        )
    return linear[-1]


def body(network: nn.Module) -> list[Tensor]:
    """The parameters of all other layers."""
    its = set(map(id, head(network).parameters()))
    return [parameter for parameter in network.parameters() if id(parameter) not in its]


def fit_head(
    network: nn.Module,
    images: NDArray[np.uint8],
    labels: Indices,
    indices: Indices,
    view: View,
    device: torch.device,
) -> None:
    """Put the ridge regression of the labels at `indices` into the last layer of `network`, which is on `device`.

    Its logits are as sharp as fits images that it was not fitted to, so that a training goes on from there.
    """
    last, indices = head(network), indices[:MOST_IMAGES]
    seen = features(network, images, indices, view, device)
    weights, bias = ridge(seen, F.one_hot(tensor(labels[indices]), last.out_features).double())
    with torch.no_grad():
        last.weight.copy_(weights)
        last.bias.copy_(bias)


def features(
    network: nn.Module, images: NDArray[np.uint8], indices: Indices, view: View, device: torch.device
) -> Tensor:
    """What enters the last layer of `network` (N, features) of raw `images` at `indices`, in the host's memory."""
    entering: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        entering.append(arguments[0].flatten(1).double().cpu())

    network.eval()
    with torch.no_grad(), head(network).register_forward_pre_hook(keep):
        for start in range(0, len(indices), BATCH):
            network(view(tensor(images[indices[start : start + BATCH]]).to(device)))
    return torch.cat(entering)


def ridge(seen: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (classes, features) and bias (classes) of logits for features `seen` (N, features) whose `answers` are
    (N, classes).

    Everything is chosen by the predictions for each image of the regression on all others, which have a closed form:
    the penalty by their squared error (Allen 1974, PRESS), and the sharpness of the logits by their cross-entropy.
    """
    mean, level = seen.mean(0), answers.mean(0)
    left, lengths, right = torch.linalg.svd(seen - mean, full_matrices=False)
    turned = left.T @ (answers - level)
    errors = [_left_out(left, lengths, turned, answers - level, penalty) for penalty in _penalties(lengths)]
    best = min(range(len(errors)), key=lambda place: float(errors[place].square().sum()))
    predicted, which = answers - errors[best], answers.argmax(1)
    losses = torch.stack([F.cross_entropy(sharpness * predicted, which) for sharpness in SHARPNESSES])
    sharpness = SHARPNESSES[losses.argmin()]
    shrunk = lengths / (lengths.square() + _penalties(lengths)[best])
    weights = sharpness * (right.T * shrunk @ turned).T
    return weights, sharpness * level - weights @ mean


def _penalties(lengths: Tensor) -> Tensor:
    return PENALTIES * lengths.square().mean().clamp(min=1e-12)


def _left_out(left: Tensor, lengths: Tensor, turned: Tensor, answers: Tensor, penalty: Tensor) -> Tensor:
    """The error for each image of the regression on all others."""
    kept = lengths.square() / (lengths.square() + penalty)
    own = (left.square() * kept).sum(1) + 1 / len(left)  # how much an image counts in its own prediction
    return (answers - left * kept @ turned) / (1 - own).clamp(min=1e-6)[:, None]
