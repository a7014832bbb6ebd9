"""The torch modules that stage rows are built from."""

import math

import torch
from torch import Tensor, nn

from nas.architecture import Activation, Architecture, Stage

NORM_EPSILON = 1e-3  # TensorFlow's, as in the MnasNet and EfficientNet releases


def network(architecture: Architecture) -> nn.Module:
    """The network of `architecture` with freshly drawn weights; float (N, C, H, W) in, logits (N, classes) out."""
    stem = ConvNorm(
        architecture.images.channels, architecture.stem, 3, architecture.stem_stride, architecture.activation
    )
    blocks: list[nn.Module] = [stem]
    channels = architecture.stem
    total = sum(stage.repeats for stage in architecture.stages)
    for stage in architecture.stages:
        for index, entering in enumerate(stage.inputs(channels)):
            drop = architecture.drop_connect * (len(blocks) - 1) / total
            stride = stage.stride if index == 0 else 1
            blocks.append(Block(stage, entering, stride, architecture.activation, drop))
        channels = stage.channels
    if architecture.head:
        blocks.append(ConvNorm(channels, architecture.head, 1, 1, architecture.activation))
        channels = architecture.head
    built = nn.Sequential(
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(architecture.dropout),
        nn.Linear(channels, architecture.images.classes),
    )
    built.apply(_initialise)
    return built


def activation(name: Activation) -> nn.Module:
    return nn.SiLU(inplace=True) if name == "swish" else nn.ReLU(inplace=True)


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch normalisation, and an activation unless `act` is None."""

    def __init__(
        self, entering: int, leaving: int, kernel: int, stride: int, act: Activation | None, groups: int = 1
    ) -> None:
        super().__init__(
            nn.Conv2d(entering, leaving, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(leaving, eps=NORM_EPSILON),
            *([activation(act)] if act else []),
        )


class SqueezeExcitation(nn.Module):
    """Channel gates from the pooled features (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int, act: Activation) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            activation(act),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        gate: Tensor = self.gate(features)
        return features * gate


class Block(nn.Module):
    """One layer of a stage; adds its input to its output where shapes agree and the stage asks for it."""

    def __init__(self, stage: Stage, entering: int, stride: int, act: Activation, drop: float) -> None:
        super().__init__()
        self.skip = stage.skip and stride == 1 and entering == stage.channels
        self.drop = drop
        expanded = entering * stage.expand
        squeezed = max(1, int(entering * stage.se_ratio))
        layers: list[nn.Module] = []
        if stage.op == "conv":
            expanded = stage.channels
            layers.append(ConvNorm(entering, expanded, stage.kernel, stride, act))
        elif stage.op == "fused":
            layers.append(ConvNorm(entering, expanded, stage.kernel, stride, act))
        else:
            if stage.expand != 1:
                layers.append(ConvNorm(entering, expanded, 1, 1, act))
            layers.append(ConvNorm(expanded, expanded, stage.kernel, stride, act, groups=expanded))
        if stage.se_ratio:
            layers.append(SqueezeExcitation(expanded, squeezed, act))
        if stage.op != "conv":
            layers.append(ConvNorm(expanded, stage.channels, 1, 1, None))
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.layers(features)
        if not self.skip:
            return out
        if self.training and self.drop:
            keep = 1 - self.drop
            mask = torch.empty(len(out), 1, 1, 1, dtype=out.dtype, device=out.device).bernoulli_(keep)
            out = out * mask / keep
        return features + out


def _initialise(module: nn.Module) -> None:
    """EfficientNet's draw: convolutions normal with variance 2 / fan-out, the classifier uniform."""
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        bound = 1.0 / math.sqrt(module.out_features)
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)
