"""Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks", and airbench): a convolution
moves as far in every direction in which its gradient points."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nas.networks.blocks import Branches

OTHERS = 10.0  # times the learning rate of convolutions is that of everything else


class Muon(torch.optim.SGD):
    """Orthogonal steps for dense convolutions that a normalisation follows, whose weights keep their length, as only
    their direction matters; for all other parameters Nesterov's momentum, without it plain descent."""

    def __init__(self, groups: list[dict[str, Any]], rate: float, momentum: float) -> None:
        """Groups say whether they are `turned`; the length of such a weight is not decayed, as it is kept."""
        super().__init__(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, foreach=True)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"] if group["turned"] else ():
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                inertia = state["momentum_buffer"].mul_(group["momentum"]).add_(weight.grad)
                step = orthogonal(weight.grad.add(inertia, alpha=group["momentum"]).flatten(1))
                weight.mul_(len(weight) ** 0.5 / weight.norm()).sub_(step.view(weight.shape), alpha=group["lr"])
                weight.grad = None  # the step below is for the others
        super().step(closure)


def normalised(module: nn.Module, followed: bool = False) -> Iterator[Tensor]:
    """The weights of dense convolutions in `module` behind which a normalisation comes at once, so that their length
    means nothing. `followed`: whether one comes behind `module`."""
    if isinstance(module, nn.Conv2d):
        if followed and module.groups == 1:
            yield module.weight
    elif isinstance(module, nn.Sequential):
        for child in reversed(module):
            yield from normalised(child, followed)
            followed = _begins(child)
    elif isinstance(module, Branches):
        for branch in module.branches:  # in a sum, lengths say how much each counts
            yield from normalised(branch, followed and module.join == "concat")
    else:
        for child in module.children():
            yield from normalised(child)


def _begins(module: nn.Module) -> bool:
    """Whether what enters `module` is normalised first of all."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[0]
    return isinstance(module, nn.BatchNorm2d)


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the nearest matrix whose rows (or columns, where there are more rows) are orthonormal: its singular values
    brought to between 0.3 and 1.3 by three Newton-Schulz iterations of the fifth order. They are done on the products
    of its rows, which are no more than its entries."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    matrix = matrix / (matrix.norm() + 1e-7)
    products = matrix @ matrix.T
    identity = torch.eye(len(products), dtype=products.dtype, device=products.device)
    turning = step = _iteration(products, identity)
    for _ in range(2):
        products = step @ products @ step
        step = _iteration(products, identity)
        turning = step @ turning
    return turning @ matrix


def _iteration(products: Tensor, identity: Tensor) -> Tensor:
    return 3.4445 * identity - 4.7750 * products + 2.0315 * products @ products
