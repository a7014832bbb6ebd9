"""The plan of a search: a searcher's proposals, made into jobs, filtered by what is known before training."""

import dataclasses
import heapq
import statistics
from typing import cast

from nas import parents, plugins, spaces, surroundings, zoo
from nas.confirmation import Measured, confirmation
from nas.kinship import fitted, obstacles
from nas.latency_predictor import Predictor
from nas.limits import far_over, over_limit
from nas.networks.architecture import Choices, Images, Knobs
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.plans import FAILURES
from nas.plans.problem import problem
from nas.plans.rungs import Rungs
from nas.records import Job, Measurement
from nas.refusal import Refusal
from nas.searchers import REFUSALS, Costed, MakeSearcher, Outcome, Searcher
from nas.specs import Limits, SearchSpec

PARENT = "parent"  # the baseline that is the search's parent, whole
ATTEMPTS = 1000  # proposals per trial before the space counts as exhausted
LED = 200  # where limits are so tight that only what is led within them fits, each by much arithmetic
ASTRAY = 30  # where not even that does
PATIENCE = 3  # proposals in a row of which too little is expected, so that one lucky or unlucky trial ends nothing


class SearchPlan:
    """Hands out the baselines; then, around a parent, that itself, if knobs and limits leave it. Then proposes each
    network once, and none that is over a limit on parameters or multiply-adds, or far over the one on latency by what
    `predictor` says. What has done well is trained again before anything new is proposed: longer where there are rungs,
    and from another seed where a lead is to be confirmed.

    A predictor holds for one machine and runtime: at the first latency that was taken on another one it is given up.
    """

    def __init__(
        self, run: str, spec: SearchSpec, trials: int, images: Images, predictor: Predictor | None = None
    ) -> None:
        self._run, self._spec, self._images = run, spec, images
        self._space = spaces.load(spec.space, spec.parent)
        self._whole = _whole(self._space.knobs(images), spec.knobs) if spec.parent else None
        self._predictor = predictor
        self._searcher = searcher(spec, images, predictor)
        self._told: list[tuple[Choices, Costed | None]] = []
        self._parent = parents.described(spec.parent).architecture if spec.parent else None
        self._baselines = [self._baseline(name) for name in spec.baselines]
        self._gains: dict[int, float] = {}  # by the trial's number, what was expected of it
        self._rungs = Rungs(spec.fidelity, spec.objective) if spec.fidelity else None
        self._recipes = spec.fidelity.recipes(spec.recipe) if spec.fidelity else (spec.recipe,)
        self._highest = len(self._recipes) - 1 if spec.fidelity else None
        self._begun: dict[str, dict[int | None, Job]] = {}  # the first job of each network, by rung
        self._running: dict[int, Job] = {}
        self._weights: dict[int, str | None] = {}  # by the trial's number, what was saved of it
        self._repeats: dict[int, int] = {}  # a trial, and which one's network it trained once more
        # On the highest rung, by the first trial of a network: its job, and what came of it and its repetitions.
        self._measured: dict[int, tuple[Job, list[Outcome]]] = {}
        self.trials, self.patience = trials, FAILURES
        self.exhausted: str | None = None

    def ask(self, number: int) -> Job | None:
        if number >= self.trials:
            return None
        if number < len(self._baselines):
            job: Job | None = self._job(number, {}, self._highest, baseline=self._spec.baselines[number])
        else:
            job = self._promotion(number) or self._confirmation(number) or self._proposal(number)
        if job is not None:
            self.begun(job)
        return job

    def begun(self, job: Job) -> None:
        network = self._network(job)
        self._begun.setdefault(network, {}).setdefault(job.rung, job)
        self._running[job.number] = job
        if job.repeats is not None:
            self._repeats[job.number] = job.repeats
        if job.expected_gain is not None:
            self._gains[job.number] = job.expected_gain
        if self._rungs and job.rung is not None and job.baseline is None:
            self._rungs.begin(network, job.rung)

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        self.begun(job)
        del self._running[job.number]
        self._weights[job.number] = measurement.weights if measurement else None
        if job.baseline is None:
            self._learn(job, self._outcome(measurement))
        latency = measurement.latencies.get(self._spec.devices[0]) if measurement else None
        if self._predictor and latency and latency.fingerprint != self._predictor.fingerprint:
            self._predictor, self._searcher = None, searcher(self._spec, self._images)
            for arguments in self._told:
                self._searcher.tell(*arguments)

    def _learn(self, job: Job, told: Costed | None) -> None:
        outcome = told if isinstance(told, Outcome) else None
        if outcome and job.rung == self._highest:
            first = job.number if job.repeats is None else job.repeats
            self._measured.setdefault(first, (job, []))[1].append(outcome)
        if self._rungs and job.rung is not None:
            if job.repeats is None:
                self._rungs.end(self._network(job), job.rung, outcome)
            if outcome and (told := self._rungs.level(job.rung, outcome)) is None:
                return  # nothing yet to compare it with
        self._told.append((job.choices, told))
        self._searcher.tell(job.choices, told)

    def _promotion(self, number: int) -> Job | None:
        """The next network that has done well enough on its rung to be trained on the one above."""
        promoted = self._rungs.promotion() if self._rungs else None
        if promoted is None:
            return None
        network, rung = promoted
        below = self._begun[network][rung - 1]
        job = self._job(number, below.choices, rung, promotes=below.number)
        done = self._spec.fidelity.epochs_done(self._recipes, rung) if self._spec.fidelity else 0
        weights = self._weights.get(below.number)
        return dataclasses.replace(job, parent=weights, epochs_done=done) if done and weights else job

    def _confirmation(self, number: int) -> Job | None:
        """The training of a leading network from another seed; `confirm` of them are spread over all trials."""
        if len(self._repeats) + 1 > self._spec.confirm * (number + 1) / self.trials:
            return None
        running = [job.repeats for job in self._running.values()]
        measured = [
            Measured(
                costs=tuple(map(statistics.fmean, zip(*(outcome.costs for outcome in outcomes)))),
                accuracies=tuple(outcome.accuracy for outcome in outcomes),
                error=statistics.fmean(outcome.error for outcome in outcomes),
                pending=running.count(first),
            )
            for first, (_, outcomes) in self._measured.items()
        ]
        doubtful = confirmation(measured, self._spec.objective)
        if doubtful is None:
            return None
        first, (job, _) = list(self._measured.items())[doubtful]
        seed = self._spec.seed + 1 + list(self._repeats.values()).count(first)
        return self._job(number, job.choices, self._highest, repeats=first, seed=seed)

    def _proposal(self, number: int) -> Job | None:
        """The training of a network that is new."""
        self.exhausted = self.exhausted or self._saturated()
        if self.exhausted:
            return None
        rung = self._rungs.entry() if self._rungs else None
        if self._whole and (job := self._untried(self._job(number, self._whole, rung))):
            return job
        pending = [job.choices for job in self._running.values() if job.baseline is None and not job.anew]
        refused: list[Choices] = []
        broken: str | None = None
        astray = 0  # proposals before the first that was within the limits
        for attempt in range(ATTEMPTS):
            choices = self._searcher.ask(number, [*pending, *refused], attempt=attempt)
            if choices is None:
                break
            job = self._job(number, choices, rung)
            over = over_limit(job.limits, counts(job.architecture))
            if over is None and self._predictor:
                over = far_over(job.limits, self._predictor(job.architecture), self._predictor.error)
            if over is None and self._network(job) not in self._begun:
                return dataclasses.replace(job, expected_gain=getattr(self._searcher, "expected_gain", None))
            if over:
                broken, astray = over, astray + (astray == attempt)
            if astray == ASTRAY or (attempt == LED and astray >= REFUSALS):
                break
            if choices not in refused:
                refused.append(choices)
        within = "" if self._spec.limits == Limits() else " within the limits"
        last = f": the last proposal had {broken}" if broken else ""
        self.exhausted = f"no untried network{within} was found for trial {number}{last}"
        return None

    def _untried(self, job: Job) -> Job | None:
        """The job, where its network is within the limits and new."""
        over = over_limit(job.limits, counts(job.architecture))
        return job if over is None and self._network(job) not in self._begun else None

    def _saturated(self) -> str | None:
        """Why nothing more is worth a trial, where too little was expected of each of the last ones.

        Of trials that run side by side as many more, since they were proposed with the same known.
        """
        least, wanted = self._spec.least_gain, PATIENCE + self._spec.parallel - 1
        last = heapq.nlargest(wanted, self._gains)
        if least is None or len(last) < wanted or max(self._gains[number] for number in last) >= least:
            return None
        most = max(self._gains[number] for number in last)
        return f"no gain of {least:g} is expected any more: of the last {wanted} proposals {most:.2g} at most"

    def _baseline(self, name: str) -> AnyArchitecture:
        if name == PARENT and self._parent:
            return fitted(self._parent, self._images)
        return zoo.architecture(name, self._images)

    def _network(self, job: Job) -> str:
        """Equal for jobs whose choices build the same network, though grown they may differ (a skip inert at B0)."""
        if job.baseline is not None:
            return job.architecture.digest()
        return self._space.architecture(self._space.canonical(job.choices, self._images), self._images).digest()

    def _job(
        self,
        number: int,
        choices: Choices,
        rung: int | None,
        *,
        baseline: str | None = None,
        promotes: int | None = None,
        repeats: int | None = None,
        seed: int | None = None,
    ) -> Job:
        """A baseline has no choices of the space, so the searcher never hears of it, and no limits. It begins with the
        parent's weights too, where it is a relative."""
        architecture = self._baselines[number] if baseline else self._space.architecture(choices, self._images)
        related = self._parent and not (baseline and obstacles(self._parent, architecture))
        inherit = self._spec.fidelity is not None and self._spec.fidelity.inherit
        handed_on = inherit and rung != self._highest and not self._spec.save_weights
        reduced = architecture.images.resolution != self._images.resolution
        return Job(
            run=self._run,
            number=number,
            space=self._spec.space,
            architecture=architecture,
            choices=choices,
            whole=choices == self._whole,
            pixels=self._images.resolution if reduced else None,
            baseline=baseline,
            dataset=self._spec.dataset,
            contents=self._spec.contents.digest if self._spec.contents else None,
            devices=self._spec.devices,
            recipe=self._recipes[rung or 0],
            parent=self._spec.parent if related else None,
            limits=Limits() if baseline else self._spec.limits,
            seed=self._spec.seed if seed is None else seed,
            shuffle=0 if seed is None else seed - self._spec.seed,
            save_weights=self._spec.save_weights or handed_on,
            handed_on=handed_on,
            promotes=promotes,
            repeats=repeats,
            rung=rung,
        )

    def _outcome(self, measurement: Measurement | None) -> Costed | None:
        if measurement is None:
            return None
        names, device, limit_ms = self._spec.objective.costs, self._spec.devices[0], self._spec.limits.latency_ms
        costs = [cost for name in names if (cost := measurement.cost(name, device)) is not None]
        if len(costs) < len(names):
            return None
        latency_ms = measurement.cost("latency_ms", device)
        costed = Costed(
            cost=costs[0],
            also=costs[1] if costs[1:] else None,
            load=latency_ms / limit_ms if latency_ms and limit_ms else None,
        )
        if measurement.accuracy is None:
            return costed if measurement.refused else None
        metric = self._spec.objective.metric
        if (value := measurement.value(metric)) is None:
            return None
        return Outcome(**dataclasses.asdict(costed), accuracy=value, error=measurement.value_error(metric) or 0.0)


def _whole(knobs: Knobs, subset: Knobs) -> Choices | None:
    """The choices that are the parent, where they are among those that are searched."""
    choices = surroundings.whole(knobs)
    return choices if all(choice in subset.get(knob, (choice,)) for knob, choice in choices.items()) else None


def searcher(spec: SearchSpec, images: Images, predictor: Predictor | None = None) -> Searcher:
    """The searcher that `spec` names, on its problem. Raises ValueError for an unknown name, knob or option."""
    make = cast(MakeSearcher, plugins.load("nas.searchers", spec.searcher).Searcher)
    try:
        return make(problem(spec, images, predictor), seed=spec.seed, **spec.options)
    except TypeError as error:
        detail = f"searcher {spec.searcher!r} does not take these options: {error}"
        raise Refusal(detail, field="options") from error
