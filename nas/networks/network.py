"""A network spelled out layer by layer: what every architecture is lowered to, and an architecture of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nas.networks.architecture import NORM_EPSILON, VERSION, Images, Scale, check_version, digest
from nas.networks.layers import Graph, Layer
from nas.networks.shapes import Shape, after
from nas.refusal import Refusal, between, one_line

LONGEST_NAME = 100  # of a part


@dataclass(frozen=True, kw_only=True)
class Part:
    """One row of a network's table. States are numbered: 0 the images, n what the n-th part gives."""

    name: str
    """Its name in the table."""
    blocks: tuple[Layer, ...]
    """Its blocks, in order."""
    inputs: tuple[int, ...] = ()
    """The states that it reads; empty: the one before its own. Only a lone graph takes several."""
    auxiliary: bool = False
    """Whether it is a second classifier, which works in training only and whose state nobody reads."""

    def __post_init__(self) -> None:
        if len(self.name) > LONGEST_NAME or not one_line(self.name):
            raise Refusal(f"name {self.name[:40]!r} is not a line of up to {LONGEST_NAME} characters", field="name")
        if len(self.inputs) > 1 and not (len(self.blocks) == 1 and isinstance(self.blocks[0], Graph)):
            detail = f"part {self.name!r} takes {len(self.inputs)} states, which only a lone graph can"
            raise Refusal(detail, field="inputs")


@dataclass(frozen=True, kw_only=True)
class Network:
    """Any network, spelled out layer by layer."""

    images: Images
    """What it is for."""
    parts: tuple[Part, ...]
    """Its parts, in order; what the last one gives are the logits."""
    norm_epsilon: float = NORM_EPSILON
    """What normalisations add to the variance under the root: 1e-3 in TensorFlow's networks, 1e-5 in torch's."""
    version: int = VERSION
    """The version of this description, 1."""

    def __post_init__(self) -> None:
        check_version(self.version)
        between(self, "norm_epsilon", 1e-8, 0.1)
        if not self.parts:
            raise Refusal("parts is empty: a network needs parts, the last of which gives the logits", field="parts")
        *_, (part, _, logits) = walk(self.parts, self.images)
        if logits != (self.images.classes, 1, 1):
            raise Refusal(
                f"part {part.name!r} gives {logits.channels}×{logits.height}×{logits.width} values, not one for each "
                f"of {self.images.classes} classes",
                field="parts",
            )

    def scaled(self, scale: Scale) -> "Network":
        raise ValueError("a network spelled out layer by layer has no stages to scale: grow one of stage rows or cells")

    def digest(self) -> str:
        """Twelve hexadecimal digits that are equal for equal networks, and stable across versions."""
        return digest(self)


def leaving(part: Part, *entering: Shape) -> Shape:
    for block in part.blocks:
        entering = (after(block, *entering),)
    return entering[0]


def walk(
    parts: tuple[Part, ...], images: Images, through: Callable[..., Shape] = leaving
) -> Iterator[tuple[Part, tuple[Shape, ...], Shape]]:
    """Each part with the shapes that enter and the shape that leaves it, which `through` computes. Raises ValueError
    naming the part that cannot work on what enters it."""
    states = [Shape(images.channels, images.resolution, images.resolution)]
    for number, part in enumerate(parts, 1):
        inputs = part.inputs or (number - 1,)
        if any(not 0 <= state < number for state in inputs):
            detail = f"part {part.name!r} reads a state that is not there yet: there are 0 to {number - 1}"
            raise Refusal(detail, field="parts")
        entering = tuple(states[state] for state in inputs)
        try:
            states.append(through(part, *entering))
        except ValueError as error:
            raise Refusal(
                f"part {number}, {part.name!r}, of a network for {images.resolution} pixels: {error}", field="parts"
            ) from error
        yield part, entering, states[-1]
