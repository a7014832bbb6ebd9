"""What is checked before a search is taken: that everything it names exists here and fits together."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from api import descent, lessons, proposing
from api.descent import Models
from api.problems import Problem, together
from nas import (
    datasets,
    devices,
    groups,
    home,
    limits,
    nesting,
    parents,
    plugins,
    quantisation,
    soundness,
    spaces,
    teaching,
    worth,
    zoo,
)
from nas.agents.errands import Agent
from nas.codec import encode
from nas.datasets import DatasetError, DatasetInfo, Look
from nas.devices.remote import Remote
from nas.networks.architecture import Images, Knobs
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.objective import UNITS, Objective
from nas.plans.reach import require_within_reach
from nas.recipes import Recipe
from nas.records import PARENT
from nas.refusal import Faults, Refusal, one_line, shown
from nas.roots import Outside, Roots
from nas.spaces import SearchSpace
from nas.specs import ProxySpec, SearchSpec, Spec
from nas.store import Store
from nas.worth import Worth

Answer = TypeVar("Answer")
Parented = TypeVar("Parented", SearchSpec, ProxySpec)

LONGEST_NAME = 200
MOST_BYTES = 2**38  # of memory that a worker elsewhere is trusted to have


def admit(spec: SearchSpec, store: Store, roots: Roots, *, remote_workers: bool = False) -> SearchSpec:
    """What is stored of `spec`: with its images as they are now, the epochs and folds that its recipe leaves open, what
    its trainings are worth, and its parent by a name that the workers know. Raises Problem naming every value that
    cannot work.

    Images in folders have to be in the `roots`. A device may be one of the store's agents; with `remote_workers` it
    need not be on this machine.
    """
    faults, models = Faults(), store.model
    checked = faults.check
    checked("/name", spec.name, lambda: name(spec.name))
    before = len(faults)
    checked("/searcher", spec.searcher, lambda: plugins.check_searcher(spec.searcher, elsewhere=remote_workers))
    if len(faults) == before:
        proposing.options(faults, spec)
        checked("/learn_from", spec.learn_from, lambda: lessons.learning(spec))
    check_devices(faults, spec.devices, store.agents.all(), remote_workers)
    checked("/objective/target", spec.objective.target, lambda: target(spec.objective))
    checked("/objective/precision", spec.objective.precision, lambda: precision(spec, remote_workers))
    space = checked("/space", spec.space, lambda: spaces.load(spec.space))
    info = checked("/dataset", spec.dataset, lambda: described(spec.dataset, roots, spec.contents))
    if info:
        recipe = admit_recipe(faults, "recipe", spec.recipe, info, roots, models, remote_workers=remote_workers)
        spec = dataclasses.replace(spec, recipe=recipe)
    spec, space = around(faults, spec, space, info, roots, models, remote_workers=remote_workers)
    images = info.as_seen(spec.resolution) if info else None
    if space and images:
        space = sound(faults, spec.space, space, images)
    if space and images:
        if spec.weights == "shared":
            spec = dataclasses.replace(spec, knobs=spaces.nested(space, images) | spec.knobs)
        knobs = checked("/knobs", spec.knobs, lambda: spaces.narrowed(space.knobs(images), spec.knobs))
        if knobs and spec.weights == "shared":
            shared(faults, spec, space, knobs, images)
        checked("/resolution", images.resolution, lambda: fits(space, images))
        for index, baseline in enumerate(spec.baselines):
            checked(f"/baselines/{index}", baseline, lambda: compared(baseline, spec, images))  # noqa: B023  # at once
    if not faults and images:
        proposing.made(faults, spec, images)
    if not faults and images:
        within(faults, spec, images)
    if faults or info is None:
        raise together(faults)
    recipe = dataclasses.replace(spec.recipe, folds=1) if spec.weights == "shared" else spec.recipe
    recipe, each = settled(recipe, info, parent=spec.parent is not None)
    stored = {**about(info, spec.dataset), "recipe": recipe, "worth": each}
    whole = checked("/fidelity", encode(spec.fidelity), lambda: dataclasses.replace(spec, **stored))
    if whole is None:
        raise together(faults)
    learnt = [
        checked(f"/learn_from/{index}", name, lambda: lessons.source(whole, name, store))  # noqa: B023  # at once
        for index, name in enumerate(spec.learn_from)
    ]
    if faults:
        raise together(faults)
    return dataclasses.replace(whole, learn_from=tuple(filter(None, learnt)))


def around(
    faults: Faults,
    spec: Parented,
    space: SearchSpace | None,
    info: DatasetInfo | None,
    roots: Roots,
    models: Models,
    *,
    remote_workers: bool,
) -> tuple[Parented, SearchSpace | None]:
    """What is stored of `spec`, with its parent by a name that the workers know and the resolution at which images are
    seen, and the space around that; both as they are where it has none. Notes what cannot work."""
    if (parent := spec.parent) is None:
        return spec, space
    if space:
        faults.check("/space", spec.space, lambda: spaces.check_around(spec.space))
    kept = faults.check("/parent", parent, lambda: descent.parent(parent, roots, models, remote_workers=remote_workers))
    resolution = spec.resolution
    if info and kept:
        seen = info.as_seen(resolution or parents.described(kept).pixels)
        faults.check("/parent", parent, lambda: descent.fits(parent, kept, seen))
        resolution = seen.resolution
    spec = dataclasses.replace(spec, parent=kept, resolution=resolution)
    return spec, None if faults else faults.check("/parent", parent, lambda: spaces.load(spec.space, kept))


def admit_recipe(
    faults: Faults,
    field: str,
    recipe: Recipe,
    info: DatasetInfo,
    roots: Roots,
    models: Models,
    *,
    final: bool = False,
    remote_workers: bool = False,
) -> Recipe:
    """The recipe in that field of a request, with its teacher by the name that the workers know. Notes what it names
    that the dataset has not, or that cannot teach. Of `final` trainings nothing is held out."""

    def taught() -> str | None:
        if recipe.teacher is None:
            return None
        teacher = descent.parent(recipe.teacher, roots, models, remote_workers=remote_workers)
        teaching.order(parents.described(teacher), info.classes, info.channels)
        return teacher

    def grouped() -> None:
        if recipe.group:
            folds = 1 if final else worth.settled(recipe, info).folds
            names = datasets.names(datasets.absolute(info.name), home.folder("datasets"), roots)
            groups.require(names, recipe.group, max(2, folds))

    faults.check(f"/{field}/group", recipe.group, grouped)
    weights, teacher = recipe.class_weights, recipe.teacher
    faults.check(f"/{field}/class_weights", weights, lambda: recipe.require_classes(info.classes))
    return dataclasses.replace(recipe, teacher=faults.check(f"/{field}/teacher", teacher, taught))


def settled(recipe: Recipe, info: DatasetInfo, *, parent: bool = False) -> tuple[Recipe, Worth]:
    """`recipe` as candidates of that dataset are trained by it, and what such a training is worth."""
    recipe = worth.settled(recipe, info)
    return recipe, worth.worth(recipe, info, parent=parent)


def name(text: str) -> None:
    """Raise Refusal unless `text` may stand on a line."""
    if len(text) > LONGEST_NAME:
        raise Refusal(f"name {shown(text, 40)} has {len(text):,} characters: give at most {LONGEST_NAME}", field="name")
    if not one_line(text):
        raise Refusal(f"name {text!r} has control characters: give one line of text", field="name")


def check_devices(faults: Faults, named: Sequence[str], agents: Sequence[Agent], remote_workers: bool) -> None:
    """Note which of the devices cannot measure, or are there before, spelled otherwise.

    One that is neither an agent's nor on this machine may be among them where there are `remote_workers`.
    """
    before: dict[str, str] = {}

    def check(name: str) -> None:
        device, _ = devices.find(name)
        if isinstance(device, Remote):
            reason = absence(device.agent, agents)
        else:
            reason = None if remote_workers else devices.absence(name)
        if reason:
            raise ValueError(f"device {name!r} cannot measure here: {reason}")
        if (other := before.setdefault(devices.canonical(name), name)) != name:
            raise ValueError(f"device {name!r} is {other!r} once more: name each once")

    for index, name in enumerate(named):
        faults.check(f"/devices/{index}", name, lambda: check(name))  # noqa: B023  # called at once


def absence(name: str, agents: Sequence[Agent]) -> str | None:
    """Why the agent of that name cannot measure; None where it can."""
    agent = next((agent for agent in agents if agent.name == name), None)
    if agent is None:
        known = ", ".join(agent.name for agent in agents)
        return f"no agent {name!r} has registered: there {f'are {known}' if known else 'is none'}"
    if not agent.online:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(agent.heard_at))
        return f"agent {name!r} is offline, it was last heard of at {since}: start it again there"
    return None


def described(dataset: str, roots: Roots, contents: DatasetInfo | None = None) -> DatasetInfo:
    """What is known of a dataset that a request names, which has to be as in `contents` where they are given; nobody
    else here asks for it. Raises UnknownPlugin, and DatasetError: Outside where its images lie in none of the `roots`,
    Changed where they are others."""
    info = _read(dataset, roots, datasets.describe)
    datasets.require_same(contents, info)
    return info


def looked(dataset: str, roots: Roots) -> Look:
    """What is seen of such a dataset; raises as `described` does."""
    return _read(dataset, roots, datasets.look)


def strip(dataset: str, label: int, roots: Roots) -> bytes:
    """Some images of a class of such a dataset, as a JPEG file; raises as `described` does."""
    return _read(dataset, roots, lambda name, cache, within: datasets.strip(name, label, cache, within))


def _read(dataset: str, roots: Roots, ask: Callable[[str, Path, Roots], Answer]) -> Answer:
    datasets.check(dataset)
    try:
        return ask(datasets.absolute(dataset), home.folder("datasets"), roots)
    except Outside as outside:  # in the words of the request, which do not tell where this process runs
        raise Outside(dataset.partition(":")[2], outside.link) from None


def dataset(text: str, roots: Roots, resolution: int | None = None) -> Images:
    """What its images give a network. Raises ValueError."""
    return described(text, roots).as_seen(resolution)


def about(info: DatasetInfo, text: str) -> dict[str, Any]:
    """What a spec says of its dataset: a name that means the same from any folder, and what is there now."""
    return {"dataset": datasets.absolute(text), "contents": info if info.digest else None}


def unchanged(spec: Spec, roots: Roots) -> None:
    """Raise Problem where a run's images are not what they were when it was submitted."""
    if spec.contents is None:
        return
    try:
        described(spec.dataset, roots, spec.contents)
    except DatasetError as error:
        raise Problem(409, str(error)) from error


def target(objective: Objective) -> None:
    """Raise ValueError for another cost whose target was left at the default, which counts multiply-adds."""
    if objective.cost != "mult_adds" and objective.target == Objective().target:
        unit = UNITS[objective.cost]
        raise ValueError(f"target {objective.target:g} is the default for mult_adds: give one in {unit}")


def precision(spec: SearchSpec, remote_workers: bool) -> None:
    """Raise ValueError where 8 bits cannot be had here, or latency would be that of another precision."""
    if spec.objective.precision == "float32":
        return
    if not remote_workers and (reason := quantisation.missing()):
        raise ValueError(reason)
    counts_latency = "latency_ms" in spec.objective.costs or spec.limits.latency_ms is not None
    try:
        _, options = devices.find(spec.devices[0])
    except ValueError:
        return  # which is said of the device
    if counts_latency and options.dtype not in quantisation.INT8:
        raise ValueError(
            f"precision 'int8' needs latencies in 8 bits, and device {spec.devices[0]!r} measures in {options.dtype}: "
            f"name cpu:dtype=int8 first, or remote:NAME:dtype=int8"
        )


def shared(faults: Faults, spec: SearchSpec | ProxySpec, space: SearchSpace, knobs: Knobs, images: Images) -> None:
    """Note why no network of the space has all others of these knobs as parts, where that is so."""
    try:
        nesting.largest(space, knobs, images)
    except Refusal as error:
        faults.add(f"/{error.field}", getattr(spec, error.field), str(error))


def within(faults: Faults, spec: SearchSpec, images: Images) -> None:
    """Note which limit leaves the search without any network."""
    try:
        require_within_reach(spec, images)
    except Refusal as error:
        faults.add(f"/limits/{error.field}", getattr(spec.limits, error.field), str(error))


def compared(baseline: str, spec: SearchSpec, images: Images) -> None:
    """Raise ValueError unless there is such a baseline, and the images are large enough for it."""
    if baseline != PARENT:
        published(baseline, images)
    elif spec.parent is None:
        raise ValueError(f"baseline {baseline!r} is the parent of a search, and this one has none: give parent")


def published(baseline: str, images: Images) -> None:
    """Raise ValueError unless the zoo has that network, and the images are large enough for it."""
    try:
        zoo.architecture(baseline, images)
    except (zoo.UnknownNetwork, plugins.BrokenPlugin):
        raise
    except ValueError as error:
        raise ValueError(f"baseline {baseline!r} does not fit the images: {error}") from error


def sound(faults: Faults, name: str, space: SearchSpace, images: Images) -> SearchSpace | None:
    """The space, where it can be searched for such images; notes what is wrong with one of the user's own."""
    return faults.check("/space", name, lambda: soundness.sound(name, space, images))


def fits(space: SearchSpace, images: Images) -> None:
    """Raise ValueError where the space's networks reduce these images to nothing."""
    space.architecture({knob: choices[0] for knob, choices in space.knobs(images).items()}, images)


def roomy(architecture: AnyArchitecture, remote_workers: bool) -> None:
    """Raise ValueError for a network that the workers have no memory for; it is counted, and nothing is built."""
    if reason := too_large(architecture, remote_workers):
        raise ValueError(f"the network does not fit into the memory: {reason}")


def too_large(architecture: AnyArchitecture, remote_workers: bool) -> str | None:
    """Why the workers have no memory for a network; None where they have."""
    room = MOST_BYTES if remote_workers else limits.memory_bytes()
    return limits.over_memory(counts(architecture), room)
