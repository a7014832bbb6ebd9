"""The zoo: published networks as data, a file a family, with the numbers that were published.

Every family has `NETWORKS`: names to functions that spell the network for given images.
"""

import csv
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeAlias, cast

from nas import plugins
from nas.networks.architecture import Images
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture

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


@cache
def makers() -> Mapping[str, Make]:
    """Every network of every family, by name, in the order of the published table."""
    functions: dict[str, Make] = {}
    for family in plugins.names(__package__):
        functions |= cast(Mapping[str, Make], plugins.load(__package__, family).NETWORKS)
    order = {name: place for place, name in enumerate(published())}
    return dict(sorted(functions.items(), key=lambda item: order.get(item[0], len(order))))


def architecture(name: str, images: Images | None = None) -> AnyArchitecture:
    """The network of that name for `images`, else for those it was published for. Raises UnknownNetwork, and
    ValueError where such images are too small for it."""
    known = makers()
    if name not in known:
        near = difflib.get_close_matches(name[:80], known, 4, 0.4) or list(known)
        raise UnknownNetwork(f"unknown published network {name!r}: there are {', '.join(near)}")
    return known[name](images or published()[name].images)


def entry(name: str) -> Entry:
    """The network of that name, counted for the images it was published for. Raises UnknownNetwork."""
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
