"""Short trainings on the made-up images, on the processor."""

import numpy as np
import torch

from nas.networks.blocks import network
from nas.recipes import Recipe
from nas.training.data import Batches, Normalisation, View, everything
from nas.training.train import Epoch, train
from tests.pictures import TINY, pictures

CPU = torch.device("cpu")
PLAIN = Normalisation(mean=(0.0,), std=(1.0,))


def batches(recipe: Recipe, images: np.ndarray | None = None) -> Batches:
    data = pictures()
    chosen = data.train_images if images is None else images
    labels = data.train_labels[: len(chosen)]
    return Batches(chosen, labels, everything(labels), recipe, View(chosen.shape[-1], PLAIN, CPU), CPU)


def ignore(epoch: Epoch) -> None:
    """For callers that do not care."""


def trained(recipe: Recipe, seed: int = 0) -> tuple[torch.nn.Module, list[Epoch]]:
    epochs: list[Epoch] = []
    torch.manual_seed(seed)
    built = network(TINY)
    train(built, batches(recipe), recipe, seed=seed, device=CPU, after_epoch=epochs.append)
    return built, epochs
