"""What a search may name: spaces, searchers, devices, datasets and recipes."""

import functools
import math
import random
from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Depends, Path, Query, Request

from api import descent
from api.admission import absence, described
from api.history import Rows
from api.problems import Problem, documented, refused
from nas import datasets, plugins, soundness, uploads, zoo
from nas import devices as known
from nas.agents.errands import Agent
from nas.datasets import DatasetError, DatasetInfo
from nas.metering.history import History
from nas.networks.architecture import Choice, Images, random_choices
from nas.networks.counts import Counts, counts
from nas.plugins import Option
from nas.recipes import RECIPES, Recipe
from nas.roots import Outside, Roots
from nas.spaces import load as load_space
from nas.spaces import unread
from nas.zoo import Published


def _roots(request: Request) -> Roots:
    roots: Roots = request.app.state.roots
    return roots


router = APIRouter(tags=["catalogue"])
Readable = Annotated[Roots, Depends(_roots)]
DRAWN = 50  # networks that stand for a space


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """Something that a search may name."""

    name: str
    """Its name."""
    description: str
    """What its author says of it."""


@dataclass(frozen=True, kw_only=True)
class ListedSpace(Plugin):
    """A space."""

    unread: tuple[str, ...]
    """Of files of the same name that are not read, that they are not, and what would help."""


@dataclass(frozen=True, kw_only=True)
class Spaces:
    """The search spaces."""

    spaces: tuple[ListedSpace, ...]
    """The spaces, by name."""


@dataclass(frozen=True, kw_only=True)
class Space(ListedSpace):
    """A space for images of one kind."""

    images: Images
    """The images."""
    knobs: dict[str, tuple[Choice, ...]]
    """What may be chosen of each knob."""
    networks: float
    """How many combinations of choices there are."""
    params: tuple[int, int]
    """Parameters of the smallest and of the largest of some networks, drawn at random."""
    mult_adds: tuple[int, int]
    """Multiply-adds of the smallest and of the largest of them."""


@dataclass(frozen=True, kw_only=True)
class Searcher(Plugin):
    """A searcher and its options."""

    options: tuple[Option, ...]
    """What can be set of it."""


@dataclass(frozen=True, kw_only=True)
class Searchers:
    """What proposes the next network to try."""

    searchers: tuple[Searcher, ...]
    """The searchers, by name."""


@dataclass(frozen=True, kw_only=True)
class Device(Plugin):
    """Where latency is measured."""

    LIKE: ClassVar[tuple[type, ...]] = (Agent,)

    available: bool
    """Whether it can measure now: on this machine, or on that of an agent, which is online."""
    problem: str | None
    """Why it cannot."""
    fingerprint: dict[str, str] | None = None
    heard_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Where latency can be measured."""

    devices: tuple[Device, ...]
    """This machine's devices, then those of agents."""
    speeds: tuple[History, ...]
    """How fast kinds of machines were that measured for this service, day by day: what the yardstick took at best."""


@dataclass(frozen=True, kw_only=True)
class Dataset(Plugin):
    """Images."""

    info: DatasetInfo | None
    """What is known of them without decoding any."""
    problem: str | None
    """Why there is no info, such as that a path has to be given."""


@dataclass(frozen=True, kw_only=True)
class Datasets:
    """The datasets that have a name."""

    datasets: tuple[Dataset, ...]
    """The datasets, by name."""


@dataclass(frozen=True, kw_only=True)
class PublishedNetworks:
    """Published networks that a search may name as baselines."""

    published: tuple[Published, ...]
    """The networks, with the numbers of their publications."""
    problems: tuple[str, ...]
    """What is wrong with files of networks that are left out for it."""


@dataclass(frozen=True, kw_only=True)
class Recipes:
    """Recipes for training."""

    recipes: dict[str, Recipe]
    """The recipes by name, the defaults of searches and growths among them."""


@router.get("/spaces", summary="Search spaces", responses=documented())
def spaces() -> Spaces:
    """Their knobs depend on the images: ask for one by name."""
    return Spaces(
        spaces=tuple(
            ListedSpace(**_described("search_spaces", name), unread=unread(name))
            for name in plugins.names("search_spaces")
        )
    )


@router.get("/spaces/{name}", summary="A search space's knobs", responses=documented(_404="unknown search space 'x'"))
def get_space(
    roots: Readable,
    store: Rows,
    name: Annotated[str, Path(description="a space's name", examples=["mbconv"])],
    resolution: Annotated[int, Query(description="pixels a side", examples=[28])] = 224,
    channels: Annotated[int, Query(description="1 for grey, 3 for colour", examples=[1])] = 3,
    classes: Annotated[int, Query(description="answers", examples=[10])] = 1000,
    parent: Annotated[str | None, Query(description="a search's parent", examples=["efficientnet_lite0"])] = None,
) -> Space:
    """The knobs that a search may narrow, with all choices, for such images; with a parent, those around it."""
    _known("search_spaces", name)
    try:
        around = parent and descent.known(parent, roots, store.model)
        space = load_space(name, around)
    except plugins.BrokenPlugin:
        raise
    except ValueError as error:
        raise refused("?parent", parent, str(error)) from error
    images = Images(resolution=resolution, channels=channels, classes=classes)
    soundness.sound(name, space, images)
    try:
        knobs = dict(space.knobs(images))
        drawn = _drawn(name, images, around)
    except ValueError as error:  # the space has no networks for such images
        raise refused("?resolution", resolution, str(error)) from error
    return Space(
        **_described("search_spaces", name),
        unread=unread(name),
        images=images,
        knobs=knobs,
        networks=float(math.prod(len(choices) for choices in knobs.values())),
        params=(min(row.params for row in drawn), max(row.params for row in drawn)),
        mult_adds=(min(row.mult_adds for row in drawn), max(row.mult_adds for row in drawn)),
    )


@router.get("/searchers", summary="Searchers and their options", responses=documented())
def searchers() -> Searchers:
    """What proposes the next network to try."""
    return Searchers(
        searchers=tuple(
            Searcher(**_described("nas.searchers", name), options=plugins.options(name))
            for name in plugins.names("nas.searchers")
        )
    )


@router.get("/devices", summary="Devices and whether they are here", responses=documented())
def devices(store: Rows) -> Devices:
    """Where latency is measured: on this machine, then on those of agents."""
    agents = store.agents.all()
    reasons = {name: known.absence(name) for name in plugins.names("nas.devices")}
    return Devices(
        devices=(
            *(
                Device(
                    name=name,
                    description=plugins.documentation("nas.devices", name),
                    available=reason is None,
                    problem=reason,
                )
                for name, reason in reasons.items()
            ),
            *(
                Device(
                    name=f"remote:{agent.name}",
                    description=f"Latency on the machine of agent {agent.name!r}.",
                    available=agent.online,
                    problem=absence(agent.name, agents),
                    fingerprint=agent.fingerprint,
                    heard_at=agent.heard_at,
                )
                for agent in agents
            ),
        ),
        speeds=store.yardsticks.known(),
    )


@router.get("/datasets", summary="Datasets", responses=documented())
def list_datasets(roots: Readable) -> Datasets:
    """Those with a name of their own, then what was uploaded; a folder that the service reads is one by
    "folder:/path"."""
    names = (*plugins.names("nas.datasets"), *(one.dataset for one in uploads.every() if one.ready))
    return Datasets(datasets=tuple(_dataset(name, roots) for name in names))


@router.get(
    "/datasets/{name:path}",
    summary="A dataset",
    responses=documented(_404="unknown dataset 'x': there are fashion_mnist, folder:PATH, images:NAME"),
)
def get_dataset(
    name: Annotated[str, Path(description="its name", examples=["folder:/data/flowers"])], roots: Readable
) -> Dataset:
    """What is known of its images without decoding them. Answered with 404 for a path outside of the folders that the
    service reads, whether there is something or not."""
    try:
        return _dataset(name, roots)
    except (plugins.UnknownPlugin, Outside) as error:
        raise Problem(404, str(error)) from error


@router.get("/published", summary="Published networks", responses=documented())
def published() -> PublishedNetworks:
    """What a search's `baselines` may name; a name that is not here can be compared with by its numbers alone."""
    return PublishedNetworks(published=tuple(zoo.published()[name] for name in zoo.makers()), problems=zoo.problems())


@router.get("/recipes", summary="Recipes for training", responses=documented())
def recipes() -> Recipes:
    """To be copied into a request's `recipe`, whole or in part."""
    return Recipes(recipes=dict(RECIPES))


@functools.lru_cache(maxsize=64)
def _drawn(name: str, images: Images, parent: str | None) -> list[Counts]:
    """The sizes of some of the space's networks."""
    space, draw = load_space(name, parent), random.Random(0)
    knobs = space.knobs(images)
    drawn = (random_choices(knobs, draw) for _ in range(DRAWN))
    return [counts(space.architecture(choices, images)) for choices in drawn]


def _known(package: str, name: str) -> None:
    try:
        plugins.check(package, name)
    except plugins.UnknownPlugin as error:
        raise Problem(404, str(error)) from error


def _described(package: str, name: str) -> dict[str, str]:
    return {"name": name, "description": plugins.documentation(package, name)}


def _dataset(name: str, roots: Roots) -> Dataset:
    datasets.check(name)
    said = _described("nas.datasets", name.partition(":")[0]) | {"name": name}
    try:
        return Dataset(**said, info=described(name, roots), problem=None)
    except Outside:
        raise
    except DatasetError as error:
        return Dataset(**said, info=None, problem=str(error))
