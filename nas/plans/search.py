"""The plan of a search: a searcher's proposals, made into jobs, filtered by what is known before training."""

from typing import cast

from nas import plugins
from nas.architecture import Choices, Images, Knobs, SearchSpace
from nas.counts import counts
from nas.records import Job, Measurement, Refusal, SearchSpec
from nas.searchers import MakeSearcher, Outcome, Searcher

ATTEMPTS = 1000  # proposals per trial before the space counts as exhausted
_STRIDE = 2**32  # between the proposal numbers of a trial's attempts, so that they meet no other trial's


class SearchPlan:
    """Proposes each network once, and none that is over a limit on parameters or multiply-adds."""

    def __init__(self, run: str, spec: SearchSpec, trials: int, images: Images) -> None:
        self._run, self._spec, self._trials, self._images = run, spec, trials, images
        self._space = space(spec.space)
        self._searcher = searcher(spec, images)
        self._proposed: set[str] = set()
        self.exhausted = False

    def ask(self, number: int) -> Job | None:
        if number >= self._trials or self.exhausted:
            return None
        for attempt in range(ATTEMPTS):
            job = self._job(number, self._searcher.ask(number + attempt * _STRIDE))
            network = self._network(job)
            if network not in self._proposed and over_limit(job) is None:
                self._proposed.add(network)
                return job
        self.exhausted = True
        return None

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        self._proposed.add(self._network(job))
        self._searcher.tell(job.choices, self._outcome(measurement))

    def _network(self, job: Job) -> str:
        """Equal for jobs whose choices build the same network, though grown they may differ (a skip inert at B0)."""
        return self._space.architecture(self._space.canonical(job.choices, self._images), self._images).digest()

    def _job(self, number: int, choices: Choices) -> Job:
        return Job(
            run=self._run,
            number=number,
            space=self._spec.space,
            architecture=self._space.architecture(choices, self._images),
            choices=choices,
            dataset=self._spec.dataset,
            device=self._spec.device,
            recipe=self._spec.recipe,
            limits=self._spec.limits,
            seed=self._spec.seed,
            save_weights=self._spec.save_weights,
        )

    def _outcome(self, measurement: Measurement | None) -> Outcome | None:
        cost = measurement.cost(self._spec.objective.cost) if measurement else None
        if measurement is None or measurement.accuracy is None or cost is None:
            return None
        return Outcome(accuracy=measurement.accuracy, cost=cost)


def over_limit(job: Job) -> str | None:
    """Which limit the job's network breaks that is known by arithmetic, in words; None if it breaks none."""
    counted = counts(job.architecture)
    for name, value in (("params", counted.params), ("mult_adds", counted.mult_adds)):
        limit = getattr(job.limits, name)
        if limit is not None and value > limit:
            return f"{name} {value:,} over the limit of {limit:,}"
    return None


def space(name: str) -> SearchSpace:
    return cast(SearchSpace, plugins.load("search_spaces", name))


def narrowed(knobs: Knobs, chosen: Knobs) -> Knobs:
    """`knobs` with those in `chosen` cut down to the choices named there. Raises Refusal naming what is unknown."""
    for knob, choices in chosen.items():
        if knob not in knobs:
            raise Refusal(f"unknown knob {knob!r}: there are {', '.join(knobs)}")
        for choice in choices:
            if choice not in knobs[knob]:
                raise Refusal(f"knob {knob!r} has no choice {choice!r}: there are {', '.join(map(repr, knobs[knob]))}")
    return {knob: tuple(c for c in choices if c in chosen.get(knob, choices)) for knob, choices in knobs.items()}


def searcher(spec: SearchSpec, images: Images) -> Searcher:
    """The searcher that `spec` names, on its knobs. Raises ValueError for an unknown name, knob or option."""
    chosen = space(spec.space)
    knobs = narrowed(chosen.knobs(images), spec.knobs)
    make = cast(MakeSearcher, plugins.load("nas.searchers", spec.searcher).Searcher)

    def mult_adds(choices: Choices) -> float:
        return float(counts(chosen.architecture(choices, images)).mult_adds)

    def canonical(choices: Choices) -> Choices:
        representative = chosen.canonical(choices, images)
        return {knob: choice if (choice := representative[knob]) in knobs[knob] else choices[knob] for knob in knobs}

    try:
        return make(
            knobs,
            spec.objective,
            seed=spec.seed,
            cost=mult_adds if spec.objective.cost == "mult_adds" else None,
            canonical=canonical,
            **spec.options,
        )
    except TypeError as error:
        raise Refusal(f"searcher {spec.searcher!r} does not take these options: {error}") from error
