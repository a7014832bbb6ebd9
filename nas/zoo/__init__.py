"""The zoo: published networks as data, a file a family, with the numbers that were published.

Every family has `NETWORKS`: names to functions that spell the network for given images.
"""

import csv
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import TypeAlias

from nas import plugins
from nas.networks.architecture import Images
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.tracebacks import blamed

Make: TypeAlias = Callable[[Images], AnyArchitecture]

_DATASETS = {"ImageNet": (3, 1000), "CIFAR-10": (3, 10), "MNIST": (1, 10), "Fashion-MNIST": (1, 10)}


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published of a network."""

    name: str
    """Its name."""
    dataset: str
    """The images that it was published for."""
    images: Images
    """Their size and number of classes."""
    params: int | None
    """Parameters as published, which are often rounded."""
    mult_adds: int | None
    """Multiply-adds for an image as published, which are often rounded."""
    top1: float | None
    """Its accuracy, in percent."""
    exact_params: int | None
    """Parameters recomputed from the official code."""
    exact_mult_adds: int | None
    """Multiply-adds recomputed from the official code."""
    statistics: bool
    """Whether the exact parameters include running means and variances, as Keras prints them."""
    source: str
    """Where the numbers stand."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A network of the zoo as counted here, beside what was published of it."""

    name: str
    params: int
    mult_adds: int
    input_size: int
    published: Published

    @property
    def exact(self) -> bool | None:
        """Whether all exact counts that are known hold; None where none are."""
        pairs = ((self.params, self.published.exact_params), (self.mult_adds, self.published.exact_mult_adds))
        known = [counted == exact for counted, exact in pairs if exact is not None]
        return all(known) if known else None


class UnknownNetwork(ValueError):
    """No network of that name in the zoo; the message says which come near."""


@cache
def published() -> Mapping[str, Published]:
    """The table of the literature, networks that are not in the zoo among them."""
    with resources.files(__package__).joinpath("published.csv").open(encoding="utf-8") as file:
        return {row["name"]: _published(row) for row in csv.DictReader(file)}


def makers() -> Mapping[str, Make]:
    """Every network of every family that works, by name, in the order of the published table."""
    functions, _ = _families()
    return {name: functions[name] for name in published() if name in functions}


def problems() -> tuple[str, ...]:
    """What is wrong with the families whose networks are left out for it."""
    return _families()[1]


def _families() -> tuple[dict[str, Make], tuple[str, ...]]:
    functions, broken = dict[str, Make](), list[str]()
    for family in plugins.names(__package__):
        try:
            functions |= _family(family)
        except plugins.BrokenPlugin as error:
            broken.append(str(error))
    return functions, tuple(broken)


def _family(family: str) -> dict[str, Make]:
    networks = plugins.load(__package__, family, "NETWORKS").NETWORKS
    if not isinstance(networks, Mapping):
        raise plugins.BrokenPlugin(f"zoo {family!r} has no names and functions for NETWORKS: give it a dictionary")
    if unpublished := [str(name) for name in networks if name not in published()]:
        raise plugins.BrokenPlugin(f"zoo {family!r} has networks that published.csv lacks: {', '.join(unpublished)}")
    return {name: partial(_made, family, make) for name, make in networks.items()}


def _made(family: str, make: Make, images: Images) -> AnyArchitecture:
    try:
        made = make(images)
    except (ValueError, MemoryError):
        raise
    except plugins.FAULTS as error:
        said = blamed(error, plugins.file(__package__, family))
        raise plugins.BrokenPlugin(f"zoo {family!r} cannot make its network: {said}") from error
    if not isinstance(made, AnyArchitecture):
        raise plugins.BrokenPlugin(f"zoo {family!r} made a {type(made).__name__}: give an architecture")
    return made


def architecture(name: str, images: Images | None = None) -> AnyArchitecture:
    """The network of that name for `images`, else for those it was published for. Raises UnknownNetwork and
    plugins.BrokenPlugin, and ValueError where such images are too small for it."""
    known = makers()
    if name not in known:
        near = difflib.get_close_matches(name[:80], known, 4, 0.4) or list(known)
        there = "; ".join((f"there are {', '.join(near)}", *problems()))
        raise UnknownNetwork(f"unknown published network {name!r}: {there}")
    return known[name](images or published()[name].images)


def entry(name: str) -> Entry:
    """The network of that name, counted for the images it was published for. Raises as `architecture` does."""
    counted, known = counts(architecture(name)), published()[name]
    return Entry(
        name=name,
        params=counted.params + (counted.statistics if known.statistics else 0),
        mult_adds=counted.mult_adds,
        input_size=known.images.resolution,
        published=known,
    )


def _published(row: dict[str, str]) -> Published:
    channels, classes = _DATASETS[row["dataset"]]
    return Published(
        name=row["name"],
        dataset=row["dataset"],
        images=Images(resolution=int(row["input_size"]), channels=channels, classes=classes),
        params=_number(row["published_params"]),
        mult_adds=_number(row["published_mult_adds"]),
        top1=float(row["published_top1"]) if row["published_top1"] else None,
        exact_params=_number(row["exact_params"]),
        exact_mult_adds=_number(row["exact_mult_adds"]),
        statistics=row["statistics"] == "yes",
        source=row["source"],
    )


def _number(text: str) -> int | None:
    return int(text) if text else None
