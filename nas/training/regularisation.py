"""What a recipe changes in a network while it is trained: stochastic depth and the memory of its norms."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from nas.networks.blocks import Branches, DropPath
from nas.recipes import Recipe


@contextmanager
def regularised(network: nn.Module, recipe: Recipe) -> Iterator[None]:
    """Within, `network` trains as the recipe says; no parameter is added and none gets another name."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = round(1 - recipe.norm_decay, 10)  # torch counts what is new
    with ExitStack() as stack:
        if recipe.drop_path is not None:
            for module in network.modules():
                if isinstance(module, DropPath) and not module.scheduled:
                    stack.callback(setattr, module, "rate", module.rate)
                    module.rate = 0.0
            for body, rate in _bodies(network, recipe.drop_path):
                stack.enter_context(body.register_forward_hook(_dropping(rate)))
        yield


def _bodies(network: nn.Module, last: float) -> list[tuple[nn.Module, float]]:
    """The residual branches with the rates at which they are dropped: from the first to the `last` they rise in a line
    (Huang et al. 2016)."""
    bodies = [
        module.branches[0]
        for module in network.modules()
        if isinstance(module, Branches) and module.join == "add" and len(module.branches) == 2
    ]
    return [(body, last * number / len(bodies)) for number, body in enumerate(bodies, 1)]


def _dropping(rate: float) -> Callable[[nn.Module, object, Tensor], Tensor]:
    drop = DropPath(rate, scheduled=False)

    def dropped(module: nn.Module, entering: object, features: Tensor) -> Tensor:
        kept: Tensor = drop(features) if module.training else features
        return kept

    return dropped
