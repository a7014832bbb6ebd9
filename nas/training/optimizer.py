"""Optimizers by recipe, and what their learning rate and momentum are at each step."""

import math

import torch
from torch import nn

from nas.recipes import Recipe
from nas.training.muon import Muon
from nas.training.rmsprop import RMSProp

CYCLED = 0.1  # by which a cycle lowers the momentum at the highest learning rate (Smith & Topin 2017)


def made(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Weight decay pulls at the weights of convolutions and linear layers; on biases and norms it only does harm."""
    if recipe.optimizer == "muon":
        return Muon(network, recipe.learning_rate, recipe.momentum, recipe.weight_decay)
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    rate, inertia = recipe.learning_rate, recipe.momentum
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=inertia, nesterov=inertia > 0, foreach=True)
    return RMSProp(groups, rate, inertia)


def factor(recipe: Recipe, progress: float) -> float:
    """Of the recipe's learning rate, after a fraction `progress` of the steps."""
    if progress < recipe.warmup:
        return progress / recipe.warmup
    if recipe.schedule == "steps":
        return float(recipe.decay ** (progress * recipe.epochs // recipe.decay_epochs))
    if recipe.warmup == 1:
        return 1.0
    if recipe.schedule == "one-cycle":
        return (1 - progress) / (1 - recipe.warmup)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup))


def momentum(recipe: Recipe, progress: float) -> float:
    """After a fraction `progress` of the steps: the recipe's, but for a cycle, where it is that at the ends."""
    if recipe.schedule != "one-cycle":
        return recipe.momentum
    return max(0.0, recipe.momentum - CYCLED * factor(recipe, progress))
