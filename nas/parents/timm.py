"""Networks of timm (PyTorch Image Models, Apache-2.0) with weights that it fetches: timm:NAME, where it is installed.

Those whose stage rows are known exactly: the tensors of these lie in the order of ours, and their answers are ours.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nas import zoo
from nas.extras import missing
from nas.networks.architecture import NORM_EPSILON, TORCH_EPSILON, Architecture
from nas.parents import Parent, UnknownParent
from nas.parents.efficientnet_lite import in_order

if TYPE_CHECKING:
    from torch import nn

    import nas.parents.timm
    from nas.parents import Kind

    _satisfied: Kind = nas.parents.timm

PREFIX = "timm:"
FORM = f"{PREFIX}NAME of a network of timm, such as {PREFIX}mobilenetv2_100"
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and standard deviation
HALVES = (0.5,) * 3, (0.5,) * 3


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The published network that it is, which of its weights are meant (timm's word behind the dot), and how it pads:
    what pads as TensorFlow does has TensorFlow's epsilon, too."""

    published: str
    weights: str
    padding: Literal["same", "tensorflow"] = "same"
    preprocessing: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET


def _by_google(published: str, weights: str, *, halves: bool = False) -> Trained:
    preprocessing = HALVES if halves else IMAGENET
    return Trained(published=published, weights=weights, padding="tensorflow", preprocessing=preprocessing)


NETWORKS = {
    "mobilenetv2_100": Trained(published="MobileNetV2 1.0", weights="ra_in1k"),
    "mobilenetv2_140": Trained(published="MobileNetV2 1.4", weights="ra_in1k"),
    "mnasnet_small": Trained(published="MnasNet-small", weights="lamb_in1k"),
    "mnasnet_100": Trained(published="MnasNet-B1", weights="rmsp_in1k"),
    "semnasnet_100": Trained(published="MnasNet-A1", weights="rmsp_in1k"),
    "spnasnet_100": Trained(published="Single-Path NAS", weights="rmsp_in1k"),
    "efficientnet_b0": Trained(published="EfficientNet-B0", weights="ra_in1k"),
    "tf_efficientnet_b0": _by_google("EfficientNet-B0", "aa_in1k"),
    "tf_efficientnet_b1": _by_google("EfficientNet-B1", "aa_in1k"),
    "tf_efficientnet_b2": _by_google("EfficientNet-B2", "aa_in1k"),
    "tf_efficientnet_b3": _by_google("EfficientNet-B3", "aa_in1k"),
    "tf_efficientnet_lite3": _by_google("EfficientNet-Lite3", "in1k", halves=True),
    "tf_efficientnet_lite4": _by_google("EfficientNet-Lite4", "in1k", halves=True),
    "tf_efficientnetv2_b0": _by_google("EfficientNetV2-B0", "in1k"),
    "tf_efficientnetv2_s": _by_google("EfficientNetV2-S", "in1k", halves=True),
}


def names() -> tuple[str, ...]:
    return tuple(PREFIX + name for name in NETWORKS)


def has(name: str) -> bool:
    return name.startswith(PREFIX)


def described(name: str) -> Parent:
    network = NETWORKS.get(name.removeprefix(PREFIX))
    if network is None:
        raise UnknownParent(
            f"unknown parent {name[:60]!r}: of timm those can be had whose rows are known, {', '.join(NETWORKS)}"
        )
    mean, std = network.preprocessing
    return Parent(
        name=name,
        architecture=_architecture(network),
        mean=mean,
        std=std,
        dataset=zoo.published()[network.published].dataset,
        source=f"timm, {_weights(name)}",
        licence="Apache-2.0",
        missing=missing("a parent of timm", "timm", "timm"),  # one line in a list, for all of them
    )


def load(name: str) -> "nn.Module":
    """Fetched by timm where it has not been before. Raises OSError where it cannot be."""
    import timm

    from nas.networks.blocks import network

    built = network(described(name).architecture)
    trained = timm.create_model(_weights(name), pretrained=True)
    built.load_state_dict(in_order(trained.state_dict(), built.state_dict()))
    return built.eval()


def _weights(name: str) -> str:
    """What timm calls them."""
    own = name.removeprefix(PREFIX)
    return f"{own}.{NETWORKS[own].weights}"


def _architecture(network: Trained) -> Architecture:
    published = zoo.architecture(network.published)
    assert isinstance(published, Architecture)
    epsilon = NORM_EPSILON if network.padding == "tensorflow" else TORCH_EPSILON
    return dataclasses.replace(published, padding=network.padding, norm_epsilon=epsilon)
