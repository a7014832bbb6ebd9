"""What a benchmark was asked for."""

from dataclasses import dataclass, field
from typing import ClassVar

from nas.networks.architecture import Choice, Choices, Images
from nas.networks.lowering import AnyArchitecture
from nas.refusal import between, distinct
from nas.specs.search import MOST_DEVICES, MOST_PARALLEL, MOST_PRIORITY, SearchSpec, check_knobs

MOST_NETWORKS = 1000


@dataclass(frozen=True, kw_only=True)
class BenchmarkSpec:
    """Networks to measure on some devices and not to train: one that is given, or some of a space, drawn at random."""

    LIKE: ClassVar[tuple[type, ...]] = (SearchSpec,)
    dataset: ClassVar[None] = None
    contents: ClassVar[None] = None

    name: str = ""
    space: str = "mbconv"
    images: Images
    """What the networks are for."""
    architecture: AnyArchitecture | None = None
    """The network, whole, which the space has to build. Null: some are drawn."""
    choices: Choices = field(default_factory=dict)
    """The choices that the network was built of, where it is one of the space."""
    published: str | None = None
    """The published network that it is."""
    model: str | None = None
    """The id of the trained network that it is."""
    networks: int = 1
    """Networks, different ones, that are drawn from the space at random."""
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    parent: str | None = None
    """The trained network that drawn ones are cut out of, as candidates of a search around it are; none of its weights
    are looked at. Null: they are any of the space."""
    devices: tuple[str, ...] = ("cpu",)
    parallel: int = 1
    priority: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        distinct(self, "devices", least=1, most=MOST_DEVICES)
        between(self, "networks", 1, MOST_NETWORKS)
        check_knobs(self.knobs)
        between(self, "parallel", 1, MOST_PARALLEL)
        between(self, "priority", 1, MOST_PRIORITY)
        between(self, "seed", 0, 2**31 - 1)

    @property
    def trials(self) -> int:
        """How many measurements there are."""
        return self.networks * len(self.devices)
