"""The plan of a search: a searcher's proposals, made into jobs, filtered by what is known before training."""

from collections.abc import Sequence
from dataclasses import replace

from nas import parents, plugins, spaces, surroundings, zoo
from nas.kinship import fitted, obstacles
from nas.latency_predictor import Predictor
from nas.limits import far_over, load, over_limit
from nas.measurements import Measurement
from nas.nesting import within
from nas.networks.architecture import Choices, Images
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.plans import FAILURES
from nas.plans.gains import Gains
from nas.plans.leads import Leads, Tried, measuring
from nas.plans.problem import searcher
from nas.plans.rungs import Rungs
from nas.plans.sharing import SUPERNET, Sharing
from nas.records import PARENT, Job
from nas.searchers import REFUSALS, Costed, Earlier, Outcome
from nas.specs import Limits, SearchSpec

ATTEMPTS = 1000  # proposals per trial before the space counts as exhausted
LED = 200  # where limits are so tight that only what is led within them fits, each by much arithmetic
ASTRAY = 30  # where not even that does


class SearchPlan:
    """Hands out the baselines; then, around a parent, that itself, if knobs and limits leave it: a candidate as others
    are, also where it was to be a baseline. Then proposes each network once, and none that is over a limit on
    parameters or multiply-adds, or far over the one on latency by what `predictor` says. What has done well is trained
    again before anything new is proposed: longer where there are rungs, and from another seed where a lead is to be
    confirmed. With shared weights the first trial is their training; the others wait for it, and at the end some of the
    best are trained on. A rough latency that something hangs on is measured again once the host is quieter.

    A predictor holds for one machine and runtime: at the first latency that was taken on another one it is given up.
    `earlier` is what its searcher knows of networks before it begins.
    """

    def __init__(
        self,
        run: str,
        spec: SearchSpec,
        trials: int,
        images: Images,
        predictor: Predictor | None = None,
        earlier: tuple[Earlier, ...] = (),
    ) -> None:
        self._run, self._spec, self._images = run, spec, images
        self._space = spaces.load(spec.space, spec.parent)
        self._whole = surroundings.searched(self._space.knobs(images), spec.knobs) if spec.parent else None
        if spec.limits != Limits() and PARENT in spec.baselines:
            self._whole = None  # some limits show only once it is measured, and a baseline is trained whatever they say
        named = tuple(name for name in spec.baselines if name != PARENT or not self._whole)
        self._predictor, self._earlier = predictor, earlier
        self._searcher = searcher(spec, images, predictor, earlier)
        self._tells_kinds_apart = plugins.learns(spec.searcher)
        self._told: dict[int, tuple[Choices, Costed | None]] = {}  # by the trial's number
        self._parent = parents.described(spec.parent).architecture if spec.parent else None
        self._baselines = [self._baseline(name) for name in named]
        self._gains = Gains(spec.least_gain, spec.parallel)
        self._rungs = Rungs(spec.fidelity, spec.objective) if spec.fidelity else None
        self._sharing = Sharing(spec, images) if spec.weights == "shared" else None
        self._baselines = [*([self._sharing.largest.architecture] if self._sharing else []), *self._baselines]
        self._named = (*([SUPERNET] if self._sharing else []), *named)
        self._recipes = spec.fidelity.recipes(spec.recipe) if spec.fidelity else (spec.recipe,)
        self._highest = 1 if self._sharing else len(self._recipes) - 1 if spec.fidelity else None
        self._begun: dict[str, dict[int | None, Tried]] = {}  # the first trial of each network, by rung
        self._running: dict[int, Job] = {}
        self._tried: dict[int, Tried] = {}  # all that trained, by number
        self._weights: dict[int, str | None] = {}  # by the trial's number, what was saved of it
        self._leads = Leads(spec.objective, spec.limits, spec.devices[0])  # on the highest rung
        self.trials, self.patience = trials, FAILURES
        self.exhausted: str | None = None
        self.again: Sequence[int] = ()

    def ask(self, number: int) -> Job | None:
        if number >= self.trials:
            return None
        if number < len(self._baselines):
            job: Job | None = self._job(number, {}, self._highest, baseline=self._named[number])
        elif wanted := self._wanted(number):
            job = wanted
        elif self._sharing:
            job = self._heir(self._sharing, number)
        else:
            again = self._promotion(number) or self._leads.rough(number) or self._confirmation(number)
            job = again or (None if self._awaits(number) else self._proposal(number))
        if job is not None:
            self.begun(job)
        return job

    def begun(self, job: Job) -> None:
        self._running[job.number] = job
        self._leads.begin(job)
        if job.measures is not None:
            return
        tried, network = Tried(job.number, job.choices, job.rung), self._network(job)
        self._tried.setdefault(job.number, tried)
        if not job.children:  # a supernet's network is a candidate as well
            self._begun.setdefault(network, {}).setdefault(job.rung, tried)
        if self._sharing:
            self._sharing.begin(job)
        self._gains.tell(job.number, job.expected_gain)
        if self._rungs and job.rung is not None and job.compared is None:
            self._rungs.begin(network, job.rung)

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        self.begun(job)
        del self._running[job.number]
        self._leads.hear(job, measurement)
        if job.measures is not None:
            self._correct(job.measures)
            return
        self._weights[job.number] = measurement.weights if measurement else None
        told = self._outcome(self._leads.revised(job, measurement))
        if self._sharing:
            self._sharing.end(job, measurement, told if isinstance(told, Outcome) else None)
            if job.children and self._sharing.weights is None:
                self.exhausted = "the supernet was not trained, whose weights all networks share"
        if job.compared is None and not (self._sharing and job.rung):
            self._learn(job, told)
        latency = measurement.latencies.get(self._spec.devices[0]) if measurement else None
        if self._predictor and latency and latency.fingerprint != self._predictor.fingerprint:
            self._predictor = None
            self._retell()

    def _correct(self, first: int) -> None:
        """What came of a network counts with the latency that is known better now."""
        before = dict(self._told)
        for rough in self._leads.trainings(first):
            told = self._outcome(self._leads.revised(rough.job, rough.measurement))
            self._leads.tell(rough.job, told)
            if rough.job.number in self._told:
                self._told[rough.job.number] = rough.job.choices, self._level(rough.job, told)
        if self._told != before:
            self._retell()

    def _retell(self) -> None:
        """A searcher learns from what it is told and cannot be told otherwise: another one is."""
        self._searcher = searcher(self._spec, self._images, self._predictor, self._earlier)
        for choices, told in self._told.values():
            self._searcher.tell(choices, told)

    def _learn(self, job: Job, told: Costed | None) -> None:
        outcome = told if isinstance(told, Outcome) else None
        if outcome and job.rung == self._highest:
            self._leads.tell(job, outcome)
        if self._rungs and job.rung is not None and job.repeats is None:
            self._rungs.end(self._network(job), job.rung, outcome)
        if (leveled := self._level(job, told)) is None and told:
            return  # nothing yet to compare it with
        self._told[job.number] = job.choices, leveled
        self._searcher.tell(job.choices, leveled)

    def _level(self, job: Job, told: Costed | None) -> Costed | None:
        """What the searcher is told: of which rung an accuracy is, or where it minds none, what it would have been on
        the lowest."""
        if self._rungs is None or job.rung is None or self._highest is None or not isinstance(told, Outcome):
            return told
        if self._tells_kinds_apart:
            return replace(told, kind=self._highest - job.rung)
        return self._rungs.level(job.rung, told)

    def _heir(self, sharing: Sharing, number: int) -> Job | None:
        """The next network with shared weights: a new one, or at the end one of the best, which is trained on."""
        if sharing.weights is None:
            return None
        if number < self.trials - sharing.finals and (job := self._proposal(number)):
            return job
        if any(job.compared is None and job.rung == 0 for job in self._running.values()):
            return None  # which may be among the best
        if (final := sharing.next_final()) is None:
            return None
        candidate, first = final
        if first is None:
            return self._job(number, candidate.choices, 1, promotes=candidate.number)
        return self._job(number, candidate.choices, 1, repeats=first.number, seed=self._spec.seed + 1)

    def _awaits(self, number: int) -> bool:
        """Whether the trials that are left are for networks that go up, or for confirmations, and none of these can be
        told before what runs has ended."""
        left = self.trials - number
        climbing = self._rungs is not None and left <= self._rungs.missing
        doubting = left <= self._spec.confirm - self._leads.repeated and not self._leads.comparable
        return bool(self._running) and (climbing or doubting)

    def _wanted(self, number: int) -> Job | None:
        """The measuring of a latency that somebody wants measured again."""
        under_way = {job.measures for job in self._running.values()}
        first = next((first for first in self.again if first not in under_way), None)
        if first is None:
            return None
        tried, baseline = self._tried[first], self._named[first] if first < len(self._named) else None
        return measuring(number, self._job(first, tried.choices, tried.rung, baseline=baseline), self._spec.devices)

    def _promotion(self, number: int) -> Job | None:
        """The next network that has done well enough on its rung to be trained on the one above."""
        promoted = self._rungs.promotion(self.trials - number) if self._rungs else None
        if promoted is None:
            return None
        network, rung = promoted
        below = self._begun[network][rung - 1]
        job = self._job(number, below.choices, rung, promotes=below.number)
        done = self._spec.fidelity.epochs_done(self._recipes, rung) if self._spec.fidelity else 0
        weights = self._weights.get(below.number)
        if not done or not weights:
            return job
        return replace(job, parent=weights, ancestor=job.parent, epochs_done=done)

    def _confirmation(self, number: int) -> Job | None:
        """The training of a leading network from another seed; `confirm` of them are spread over all trials."""
        if self._leads.repeated + 1 > self._spec.confirm * (number + 1) / self.trials:
            return None
        if (doubtful := self._leads.doubtful(self._running.values())) is None:
            return None
        job, repeated = doubtful
        seed = self._spec.seed + 1 + repeated
        return self._job(number, job.choices, self._highest, repeats=job.number, seed=seed)

    def _proposal(self, number: int) -> Job | None:
        """The training of a network that is new."""
        self.exhausted = self.exhausted or self._gains.saturated()
        if self.exhausted:
            return None
        rung = self._rungs.entry() if self._rungs else 0 if self._sharing else None
        if self._whole and (job := self._untried(self._job(number, self._whole, rung))):
            return job
        pending = [job.choices for job in self._running.values() if job.compared is None and not job.anew]
        refused: list[Choices] = []
        broken: str | None = None
        astray = 0  # proposals before the first that was within the limits
        for attempt in range(ATTEMPTS):
            choices = self._searcher.ask(number, [*pending, *refused], attempt=attempt)
            if choices is None:
                break
            job = self._job(number, choices, rung)
            over = over_limit(job.limits, counts(job.architecture), job.precision)
            if over is None and self._predictor:
                predicted_ms = self._predictor(job.architecture)
                job = replace(job, predicted_ms=predicted_ms)
                over = far_over(job.limits, predicted_ms, self._predictor.error)
            if over is None and self._network(job) not in self._begun:
                return replace(job, expected_gain=self._searcher.expected_gain)
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
        over = over_limit(job.limits, counts(job.architecture), job.precision)
        return job if over is None and self._network(job) not in self._begun else None

    def _baseline(self, name: str) -> AnyArchitecture:
        if name == PARENT and self._parent:
            return fitted(self._parent, self._images)
        return zoo.architecture(name, self._images)

    def _network(self, job: Job) -> str:
        """Equal for jobs whose choices build the same network, though grown they may differ (a skip inert at B0)."""
        if job.network is not None:
            return job.network
        if job.compared:
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
        if self._sharing and not baseline:
            architecture = within(self._sharing.largest.architecture, architecture)
        related = self._parent and not (baseline and obstacles(self._parent, architecture))
        inherit = self._spec.fidelity is not None and self._spec.fidelity.inherit
        handed_on = inherit and rung != self._highest and not self._spec.save_weights
        reduced = architecture.images.resolution != self._images.resolution
        job = Job(
            run=self._run,
            number=number,
            space=self._spec.space,
            architecture=architecture,
            choices=choices,
            whole=baseline == PARENT or choices == self._whole,
            pixels=self._images.resolution if reduced else None,
            baseline=None if baseline == PARENT else baseline,
            dataset=self._spec.dataset,
            contents=self._spec.contents.digest if self._spec.contents else None,
            devices=self._spec.devices,
            recipe=self._recipes[rung or 0] if self._rungs else self._spec.recipe,
            precision=self._spec.objective.precision,
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
        job = replace(job, network=self._network(job))
        if self._sharing is None or (baseline and baseline != SUPERNET):
            return job
        return self._sharing.supernet(job) if baseline else self._sharing.heir(job)

    def _outcome(self, measurement: Measurement | None) -> Costed | None:
        if measurement is None:
            return None
        names, device, limits = self._spec.objective.costs, self._spec.devices[0], self._spec.limits
        costs = [cost for name in names if (cost := measurement.cost(name, device)) is not None]
        if len(costs) < len(names):
            return None
        costed = Costed(
            cost=costs[0],
            also=costs[1] if costs[1:] else None,
            load=load(limits, measurement.rounding, measurement.cost("latency_ms", device)),
            cost_error=measurement.latency_error(device),
        )
        if measurement.accuracy is None:
            return costed if measurement.refused else None
        metric = self._spec.objective.metric
        if (value := measurement.value(metric)) is None:
            return None
        return Outcome(**vars(costed), accuracy=value, error=measurement.value_error(metric) or 0.0)
