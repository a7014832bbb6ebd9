"""Torch modules for layers, and the network of an architecture."""

import math
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.networks import layers
from nas.networks.architecture import NORM_EPSILON, Images
from nas.networks.layers import Activation, Join, Layer, pair
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.network import Part, walk
from nas.networks.shapes import Shape, after, joined

Borders: TypeAlias = tuple[int, int, int, int]

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "swish": nn.SiLU,
    "relu6": nn.ReLU6,
    "hswish": nn.Hardswish,
    "hsigmoid": nn.Hardsigmoid,
}


def network(architecture: AnyArchitecture) -> nn.Module:
    """The network of `architecture` with freshly drawn weights; float (N, C, H, W) in, logits (N, classes) out."""
    return assembled(lowered(architecture), architecture.images, architecture.norm_epsilon)


def assembled(parts: tuple[Part, ...], images: Images, norm_epsilon: float = NORM_EPSILON) -> nn.Module:
    """The network of `parts`, one submodule each."""
    modules = [_part(part, *entering) for part, entering, _ in walk(parts, images)]
    wired = any(part.inputs or part.auxiliary for part in parts)
    built = Wired(modules, parts) if wired else nn.Sequential(*modules)
    for norm in built.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps = norm_epsilon
    return built


def schedule(network: nn.Module, progress: float) -> bool:
    """Tell scheduled drop paths that `progress` of the training, from 0 to 1, is over; untold, they drop at full
    rate. Whether there are any."""
    scheduled = [module for module in network.modules() if isinstance(module, DropPath) and module.scheduled]
    for module in scheduled:
        module.progress = progress
    return bool(scheduled)


def auxiliary_logits(network: nn.Module) -> Tensor | None:
    """What the auxiliary classifier answered to the last batch of training, told once; None where there is nothing."""
    if not isinstance(network, Wired):
        return None
    logits, network.auxiliary = network.auxiliary, None
    return logits


class Wired(nn.Module):
    """Parts that read other states than the one before them."""

    def __init__(self, modules: list[nn.Module], parts: tuple[Part, ...]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)
        self.inputs = [part.inputs or (number,) for number, part in enumerate(parts)]
        self.last_use = {state: number for number, inputs in enumerate(self.inputs) for state in inputs}
        self.in_training_only = [part.auxiliary for part in parts]
        self.auxiliary: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        states: dict[int, Tensor] = {0: images}
        for number, (part, inputs) in enumerate(zip(self.parts, self.inputs)):
            if not self.in_training_only[number]:
                states[number + 1] = part(*(states[state] for state in inputs))
            elif self.training:
                self.auxiliary = part(*(states[state] for state in inputs))
            for state in set(inputs):  # a cell may read one twice
                if self.last_use[state] == number:
                    del states[state]
        (logits,) = states.values()
        return logits

    def __getstate__(self) -> dict[str, object]:
        """A copy does not answer for its original's last batch."""
        return {**self.__dict__, "auxiliary": None}


class Branches(nn.Module):
    """Branches over one input, joined as `layers.Branches` says."""

    def __init__(self, branches: list[nn.Module], join: Join) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.join = join

    def forward(self, features: Tensor) -> Tensor:
        return _join([branch(features) for branch in self.branches], self.join)


class Graph(nn.Module):
    """A cell; its forward takes as many states as it has adapters."""

    def __init__(self, graph: layers.Graph, *entering: Shape) -> None:
        super().__init__()
        shapes = [after(adapter, shape) for adapter, shape in zip(graph.adapters, entering)]
        self.adapters = nn.ModuleList(module(adapter, shape) for adapter, shape in zip(graph.adapters, entering))
        self.nodes = (*graph.nodes, graph.output)
        self.steps = nn.ModuleList()  # of all nodes, one after the other
        for node in self.nodes:
            self.steps.extend(module(step.applied, shapes[step.state]) for step in node.steps)
            leaving = [after(step.applied, shapes[step.state]) for step in node.steps]
            shapes.append(joined(leaving, node.join))

    def forward(self, *entering: Tensor) -> Tensor:
        states: list[Tensor] = [adapter(state) for adapter, state in zip(self.adapters, entering)]
        steps = iter(self.steps)
        for node in self.nodes:
            states.append(_join([next(steps)(states[step.state]) for step in node.steps], node.join))
        return states[-1]


class DropPath(nn.Module):
    """Zeroes whole images' features in training and scales up the others, so that the mean stays."""

    def __init__(self, rate: float, scheduled: bool) -> None:
        super().__init__()
        self.rate, self.scheduled, self.progress = rate, scheduled, 1.0

    def forward(self, features: Tensor) -> Tensor:
        keep = 1 - self.rate * self.progress
        if not self.training or keep == 1:
            return features
        mask = torch.empty(len(features), 1, 1, 1, dtype=features.dtype, device=features.device).bernoulli_(keep)
        return features * mask / keep


class TensorflowConvolution(nn.Conv2d):
    """Pads zeros as TensorFlow does, the odd one at the bottom and right; for images of the size it is built for."""

    borders: Borders = (0, 0, 0, 0)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(functional.pad(features, self.borders))


class GlobalPool(nn.AdaptiveAvgPool2d):
    def forward(self, features: Tensor) -> Tensor:
        if not self.training:  # as exporters know it
            return super().forward(features)
        # The gradient of a mean over the last two dimensions lies channel by channel, and what it meets next lies
        # channels last: together they take ten times as long as two that lie alike.
        return features.permute(0, 2, 3, 1).mean((1, 2), keepdim=True).permute(0, 3, 1, 2)


class Shuffle(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, features: Tensor) -> Tensor:
        # torch.channel_shuffle has no translation to ONNX.
        count, channels, height, width = features.shape
        dealt = features.reshape(count, self.groups, channels // self.groups, height, width).transpose(1, 2)
        return dealt.reshape(count, channels, height, width)


class LocalNorm(nn.Module):
    """AlexNet's local response normalisation, over five channels, with torch's constants."""

    def forward(self, features: Tensor) -> Tensor:
        squares = features.square().flatten(2).unsqueeze(1)
        means = functional.avg_pool2d(squares, (5, 1), 1, (2, 0)).reshape(features.shape)
        return features * (1 + 1e-4 * means) ** -0.75


# Zeros are concatenated where padding would do: torch.onnx warns at every network that pads.
class Shift(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        lower = torch.cat((features[:, :, 1:, 1:], torch.zeros_like(features[:, :, :1, 1:])), 2)
        return torch.cat((lower, torch.zeros_like(features[:, :, :, :1])), 3)


class Widen(nn.Module):
    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, features: Tensor) -> Tensor:
        zeros = torch.zeros_like(features[:, :1]).expand(-1, self.extra, -1, -1)
        return torch.cat((features, zeros), 1)


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, features: Tensor) -> Tensor:
        return features * self.factor


def module(layer: Layer, *entering: Shape) -> nn.Module:
    """The module for `layer` on what enters it, with fresh weights."""
    shape = entering[0]
    match layer:
        case layers.Conv():
            return _convolution(layer, shape)
        case layers.Pool():
            return _pool(layer, shape)
        case layers.GlobalPool():
            return GlobalPool(1)
        case layers.Linear():
            values = shape.channels * shape.height * shape.width
            return _flat(nn.Flatten(), _linear(values, layer), layer.activation)
        case layers.Dropout():
            return nn.Dropout(layer.rate)
        case layers.DropPath():
            return DropPath(layer.rate, layer.scheduled)
        case layers.Norm():
            return _norm(shape.channels) if layer.kind == "batch" else LocalNorm()
        case layers.Activate():
            return activation(layer.activation)
        case layers.Shuffle():
            return Shuffle(layer.groups)
        case layers.Widen():
            return Widen(layer.out - shape.channels)
        case layers.Shift():
            return Shift()
        case layers.Scale():
            return Scale(layer.factor)
        case layers.Sequence():
            modules = []
            for inner in layer.layers:
                modules.append(module(inner, shape))
                shape = after(inner, shape)
            return modules[0] if len(modules) == 1 else nn.Sequential(*modules)
        case layers.Branches():
            return Branches([module(branch, shape) for branch in layer.branches], layer.join)
        case layers.Graph():
            return Graph(layer, *entering)


def activation(name: Activation, *, inplace: bool = False) -> nn.Module:
    """`inplace` only where nobody else reads what enters."""
    if name == "sigmoid":
        return nn.Sigmoid()
    return nn.Tanh() if name == "tanh" else _ACTIVATIONS[name](inplace=inplace)


def _part(part: Part, *entering: Shape) -> nn.Module:
    if len(entering) > 1:
        return module(part.blocks[0], *entering)
    return module(layers.Sequence(part.blocks), *entering)


def _convolution(layer: layers.Conv, shape: Shape) -> nn.Module:
    kernel, stride = pair(layer.kernel), pair(layer.stride)
    padding: tuple[int, int] = (0, 0)
    if layer.padding == "same":
        padding = (kernel[0] // 2 * layer.dilation, kernel[1] // 2 * layer.dilation)
    elif isinstance(layer.padding, int):
        padding = (layer.padding, layer.padding)
    kind = nn.Conv2d if layer.padding != "tensorflow" else TensorflowConvolution
    convolution = kind(shape.channels, layer.out, kernel, stride, padding, layer.dilation, layer.groups, layer.bias)
    if isinstance(convolution, TensorflowConvolution):
        convolution.borders = _tensorflow_borders(shape, kernel, stride, layer.dilation)
    # EfficientNet's draw: normal with variance 2 / fan-out.
    nn.init.normal_(convolution.weight, 0.0, math.sqrt(2.0 * layer.groups / (kernel[0] * kernel[1] * layer.out)))
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    norm = [_norm(layer.out)] if layer.norm else []
    return _flat(convolution, *norm, layer.activation)


def _flat(*modules: nn.Module | Activation | None) -> nn.Module:
    """The modules in sequence, a name standing for that activation."""
    instances = [
        activation(each, inplace=True) if isinstance(each, str) else each for each in modules if each is not None
    ]
    return instances[0] if len(instances) == 1 else nn.Sequential(*instances)


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON)


def _linear(entering: int, layer: layers.Linear) -> nn.Linear:
    linear = nn.Linear(entering, layer.out, bias=layer.bias)
    if layer.activation:
        nn.init.kaiming_normal_(linear.weight)
    else:
        bound = 1.0 / math.sqrt(layer.out)
        nn.init.uniform_(linear.weight, -bound, bound)
    if layer.bias:
        nn.init.zeros_(linear.bias)
    return linear


def _pool(layer: layers.Pool, shape: Shape) -> nn.Module:
    padding = layer.kernel // 2 if layer.padding == "same" else layer.padding if isinstance(layer.padding, int) else 0
    if layer.kind == "average":
        return nn.AvgPool2d(layer.kernel, layer.stride, padding, ceil_mode=layer.ceil, count_include_pad=False)
    pool = nn.MaxPool2d(layer.kernel, layer.stride, padding, ceil_mode=layer.ceil)
    if layer.padding != "tensorflow":
        return pool
    borders = _tensorflow_borders(shape, pair(layer.kernel), pair(layer.stride))
    return _flat(nn.ConstantPad2d(borders, -math.inf), pool)


def _tensorflow_borders(shape: Shape, kernel: layers.Pair, stride: layers.Pair, dilation: int = 1) -> Borders:
    """How many zeros to the left, right, top and bottom."""
    down, across = (
        max(0, (-(-size // step) - 1) * step + dilation * (window - 1) + 1 - size)
        for size, window, step in zip(shape[1:], kernel, stride)
    )
    return (across // 2, across - across // 2, down // 2, down - down // 2)


def _join(branches: list[Tensor], join: Join) -> Tensor:
    if join == "concat":
        return torch.cat(branches, 1) if len(branches) > 1 else branches[0]
    if join == "gate":
        gate, one, other = branches
        return gate * one + (1 - gate) * other
    whole = branches[0]
    for branch in branches[1:]:
        whole = whole + branch if join == "add" else whole * branch
    return whole
