"""Optimizers by recipe, and what their learning rate and momentum are at each step."""

import math
from typing import Any

import torch
from torch import nn

from nas.recipes import Recipe
from nas.training.adamw import AdamW
from nas.training.head import body
from nas.training.muon import OTHERS, Muon, normalised
from nas.training.rmsprop import RMSProp

CYCLED = 0.1  # by which a cycle lowers the momentum at the highest learning rate (Smith & Topin 2017)


def made(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The rate of each of its groups is the recipe's times the group's `scale`."""
    groups, rate, inertia = _groups(network, recipe), recipe.learning_rate, recipe.momentum
    if recipe.optimizer == "muon":
        return Muon(groups, rate, inertia)
    if recipe.optimizer == "adamw":
        return AdamW(groups, rate, inertia)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=inertia, nesterov=inertia > 0, foreach=True)
    return RMSProp(groups, rate, inertia)


def _groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Weight decay pulls at the weights of convolutions and linear layers; on biases and norms it only does harm."""
    muon = recipe.optimizer == "muon"
    turned = set(map(id, normalised(network))) if muon else set()
    slower = set(map(id, body(network))) if recipe.body_rate != 1 else set()
    groups: dict[tuple[bool, bool, bool], dict[str, Any]] = {}
    for parameter in network.parameters():
        kind = id(parameter) in slower, id(parameter) in turned, parameter.ndim > 1
        scale = (recipe.body_rate if kind[0] else 1.0) * (OTHERS if muon and not kind[1] else 1.0)
        decay = recipe.weight_decay if kind[2] and not kind[1] else 0.0
        plain = {"params": [], "turned": kind[1], "scale": scale, "lr": recipe.learning_rate * scale}
        groups.setdefault(kind, plain | {"weight_decay": decay})["params"].append(parameter)
    return list(groups.values())


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
