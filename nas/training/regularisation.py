"""What a recipe changes in a network while it is trained: stochastic depth, its norms, and what is not trained."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from nas.networks.blocks import Branches, DropPath
from nas.recipes import Recipe
from nas.training.head import head


@contextmanager
def regularised(network: nn.Module, recipe: Recipe) -> Iterator[None]:
    """Within, `network` trains as the recipe says; no parameter is added and none gets another name."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = round(1 - recipe.norm_decay, 10)  # torch counts what is new
    with ExitStack() as stack:
        fixed = _fixed(network, recipe)
        for module in network.modules() if recipe.norms == "frozen" or not recipe.body_rate else fixed:
            if isinstance(module, nn.BatchNorm2d):
                stack.callback(module.train, module.training)
                module.eval()
        for module in fixed:
            for parameter in module.parameters(recurse=False):
                stack.callback(parameter.requires_grad_, parameter.requires_grad)
                parameter.requires_grad_(False)
        if recipe.drop_path is not None:
            for module in network.modules():
                if isinstance(module, DropPath) and not module.scheduled:
                    stack.callback(setattr, module, "rate", module.rate)
                    module.rate = 0.0
            for branch, rate in _branches(network, recipe.drop_path):
                stack.enter_context(branch.register_forward_hook(_dropping(rate)))
        yield


def _fixed(network: nn.Module, recipe: Recipe) -> list[nn.Module]:
    """The layers that no step moves."""
    if not recipe.fixed and recipe.body_rate:
        return []
    last = head(network)
    layers = [module for module in network.modules() if module is not last and [*module.parameters(recurse=False)]]
    return layers[: round(recipe.fixed * len(layers))] if recipe.body_rate else layers


def _branches(network: nn.Module, last: float) -> list[tuple[nn.Module, float]]:
    """The residual branches with the rates at which they are dropped: from the first to the `last` they rise in a line
    (Huang et al. 2016)."""
    branches = [
        module.branches[0]
        for module in network.modules()
        if isinstance(module, Branches) and module.join == "add" and len(module.branches) == 2
    ]
    return [(branch, last * number / len(branches)) for number, branch in enumerate(branches, 1)]


def _dropping(rate: float) -> Callable[[nn.Module, object, Tensor], Tensor]:
    drop = DropPath(rate, scheduled=False)

    def dropped(module: nn.Module, entering: object, features: Tensor) -> Tensor:
        kept: Tensor = drop(features) if module.training else features
        return kept

    return dropped
