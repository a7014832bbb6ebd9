"""The problem that a searcher is to solve: a space and its knobs, and what is known of a network before training."""

import functools

from nas import spaces
from nas.latency_predictor import Predictor
from nas.limits import excess
from nas.networks.architecture import Choice, Choices, Images
from nas.networks.counts import Counts, counts
from nas.objective import Cost
from nas.plans.asked import Asked, made
from nas.searchers import CostOf, Earlier, Problem
from nas.specs import SearchSpec

REMEMBERED = 50_000  # networks whose counts are kept: arithmetic, but more of it than a proposal


def problem(
    spec: SearchSpec, images: Images, predictor: Predictor | None = None, earlier: tuple[Earlier, ...] = ()
) -> Problem:
    """What `spec` searches for, on its knobs; where there is a `predictor`, latency is a cost that is known, and what
    `earlier` searches found is. Raises ValueError for an unknown space, parent or knob."""
    space = spaces.load(spec.space, spec.parent)
    knobs, precision = spaces.narrowed(space.knobs(images), spec.knobs), spec.objective.precision
    first = {knob: options[0] for knob, options in knobs.items()}

    @functools.lru_cache(maxsize=REMEMBERED)
    def sized(row: tuple[Choice, ...]) -> Counts:
        return counts(space.architecture(dict(zip(knobs, row)), images))

    @functools.lru_cache(maxsize=REMEMBERED)
    def timed(row: tuple[Choice, ...]) -> float:
        assert predictor is not None
        return predictor(space.architecture(dict(zip(knobs, row)), images))

    def counted(choices: Choices) -> Counts:
        return sized(tuple(choices[knob] for knob in knobs))

    def predicted(choices: Choices) -> float:
        return timed(tuple(choices[knob] for knob in knobs))

    def allowed(choices: Choices) -> float:
        if predictor is None:
            return excess(spec.limits, counted(choices), precision=precision)
        return excess(spec.limits, counted(choices), predicted(choices), predictor.error, precision)

    def cost_of(name: Cost | None) -> CostOf | None:
        if name is None:
            return None
        if name == "latency_ms":
            return predicted if predictor else None
        return lambda choices: counted(choices).cost(name, precision)

    def canonical(choices: Choices) -> Choices:
        """Where narrowed knobs leave the representative out, the same stand-in for all choices that it represents."""
        representative = space.canonical(choices, images)
        if all(choice in knobs[knob] for knob, choice in representative.items()):
            return representative
        for other in (first, choices):
            mixed = {knob: choice if (choice := representative[knob]) in knobs[knob] else other[knob] for knob in knobs}
            if space.canonical(mixed, images) == representative:
                return mixed
        return choices

    return Problem(
        knobs=knobs,
        objective=spec.objective,
        cost=cost_of(spec.objective.cost),
        also=cost_of(spec.objective.also),
        canonical=canonical,
        allowed=allowed,
        trials=spec.trials,
        earlier=earlier,
        wirings=spaces.wirings(space, images),
    )


def searcher(
    spec: SearchSpec, images: Images, predictor: Predictor | None = None, earlier: tuple[Earlier, ...] = ()
) -> Asked:
    """The searcher that `spec` names, on its problem. Raises ValueError for an unknown or broken one, an unknown knob
    and an option that it does not take."""
    return made(spec.searcher, problem(spec, images, predictor, earlier), seed=spec.seed, options=spec.options)
