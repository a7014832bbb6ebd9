"""The plan of a growth: one architecture scaled into a family, each member trained whole."""

import dataclasses
from collections.abc import Iterable, Sequence

from nas.families import dominated, known
from nas.measurements import Measurement
from nas.networks.counts import counts
from nas.networks.members import Scaled, is_measured
from nas.plans import FAILURES
from nas.plans.budgets import Quest
from nas.plans.fitting import Expectations, Grid
from nas.recipes import Recipe
from nas.records import Job
from nas.specs import GrowthSpec


class GrowthPlan:
    """Where members are wanted by their latency, networks are measured until these are known. Then one job a member and
    seed, the most expensive first so that the others fill the time it takes; where members inherit, the smallest first,
    and each as soon as the one before has ended; and whatever teaches the others before these. Of a fit that may skip
    candidates each follows from what those before it came to; and what is tested at the end, from all."""

    def __init__(self, run: str, spec: GrowthSpec) -> None:
        self._run, self._spec = run, spec
        self.trials, self.patience = spec.trials, FAILURES
        self.exhausted: str | None = None
        self.again: Sequence[int] = ()
        measured = [name for name in spec.members if is_measured(name)]
        self._quests = {name: Quest(spec.architecture, name, spec.scaling) for name in measured}
        self._candidates = spec.fit.candidates(spec.architecture) if spec.fit else {}
        self._grid = Grid(spec.architecture, spec.fit) if spec.fit and spec.fit.timed else None
        self._measuring: dict[int, str] = {}  # the member that a trial measures for
        self._open: set[Quest | Grid] = set()  # those for which a network is measured now
        self._jobs: list[Job] | None = None
        self._came: dict[int, Measurement | None] = {}  # of the trainings that have ended
        self._weights: dict[int, str | None] = {}  # what there is to inherit from a job that has ended
        self._saved: dict[int, str | None] = {}  # what it has saved itself
        self._scaled: dict[str, Scaled] = {}
        self._expectations: Expectations | None = None
        self._pending: list[str] = []  # candidates that are being trained
        self._tested = spec.scored_on != "both"  # or are going to be
        if not (self._quests or self._grid):
            self._begin()

    def ask(self, number: int) -> Job | None:
        if self._jobs is None:
            return self._measurement(number)
        first = len(self._measuring)
        if number - first >= len(self._jobs):
            return None
        job, before = self._jobs[number - first], number - self._spec.seeds
        if self._spec.teacher and job.member != self._spec.teacher:
            taught = self._taught(job, first + (number - first) % self._spec.seeds)
            if taught is None:
                return None
            job = taught
        if not self._spec.inherit or before < first:
            return job
        return dataclasses.replace(job, parent=self._weights[before]) if before in self._weights else None

    def begun(self, job: Job) -> None:
        if job.recipe is None and job.member is not None:
            self._measuring[job.number] = job.member
            self._open.add(self._asking(job.member))

    def tell(self, job: Job, measurement: Measurement | None) -> None:
        """Whoever comes after one that failed inherits what it would have."""
        if job.recipe is not None:
            self._came[job.number] = measurement
            self._saved[job.number] = measurement.weights if measurement else None
            self._weights[job.number] = self._saved[job.number] or job.parent
            self._go_on(job.member)
            return
        self.begun(job)
        assert job.member is not None
        asking = self._asking(job.member)
        self._open.discard(asking)
        asking.tell(measurement.cost("latency_ms", self._spec.devices[0]) if measurement else None)
        if all(each.proposal() is None for each in self._askings()):
            self._begin()

    def _askings(self) -> list[Quest | Grid]:
        return [*self._quests.values(), *([self._grid] if self._grid else [])]

    def _asking(self, member: str) -> Quest | Grid:
        """What a network is measured for, by the member that its job names."""
        asking = self._quests.get(member) or self._grid
        assert asking, member
        return asking

    def _taught(self, job: Job, own: int) -> Job | None:
        """The job, taught by what the teacher's trial `own` has saved, which is of the same seed, or, where that
        failed, by one of another seed; None until one has ended."""
        assert job.recipe
        first, seeds = len(self._measuring), self._spec.seeds
        if own not in self._saved:
            return None
        ended = [self._saved.get(number) for number in (own, *range(first, first + seeds))]
        teacher = next(filter(None, ended), None)
        if teacher is None:
            if all(number in self._saved for number in range(first, first + seeds)):
                self.exhausted = f"{self._spec.teacher}, which was to teach the others, has failed"
            return None
        return dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, teacher=teacher))

    def _measurement(self, number: int) -> Job | None:
        for asking in self._askings():
            if asking not in self._open and (network := asking.proposal()):
                job = Job(
                    run=self._run,
                    number=number,
                    space=self._spec.space,
                    architecture=network,
                    member=asking.member,
                    devices=self._spec.devices[:1],
                    precision=self._spec.precision,
                )
                self.begun(job)
                return job
        return None

    def _begin(self) -> None:
        """With the trainings, once it is known what there is to train."""
        spec, networks = self._spec, self._networks()
        self._scaled, self._jobs = networks, []
        least_gain = spec.fit.least_gain if spec.fit else None
        if least_gain is not None:
            candidates = [name for name in self._candidates if name in networks]  # the published factors first
            self._expectations = Expectations(candidates, spec.architecture, least_gain, spec.seed)
            networks = {name: network for name, network in networks.items() if name not in self._candidates}
        sizes = {name: counts(member.architecture).mult_adds for name, member in networks.items()}
        members = sorted(networks, key=sizes.__getitem__, reverse=not spec.inherit)
        members.sort(key=lambda name: name != spec.teacher)  # it comes before those that wait for it
        self._add(members, final=spec.scored_on == "test")
        self._go_on(None)

    def _go_on(self, member: str | None) -> None:
        """With what follows from all that has been told, now that a training of this member has ended."""
        if self._expectations:
            self._expect(self._expectations, member)
        jobs = self._jobs or []
        if not self._tested and all(job.number in self._came for job in jobs):
            self._tested = True
            measured = self._measured()
            sizes = {name: counts(member.architecture).mult_adds for name, member in self._scaled.items()}
            worse = dominated(known(measured, sizes, self._spec, final=False))
            self._add([name for name in self._scaled if name in measured and name not in worse], final=True)
            if worse:
                self.exhausted = f"{', '.join(worse)}: no better than smaller members, and not tested"

    def _expect(self, expectations: Expectations, ended: str | None) -> None:
        """Add as many candidates as may be trained side by side, as long as something is expected of them."""
        measured = self._measured()
        if ended in self._pending and all(job.number in self._came for job in self._jobs or [] if job.member == ended):
            self._pending.remove(ended)
            expectations.tell(ended, measured.get(ended, []), self._spec.metric)
        while len(self._pending) < self._spec.parallel:
            name = expectations.next(self._pending)
            if name is None:
                break
            self._pending.append(name)
            self._add([name], final=False)
        left = self._scaled.keys() & self._candidates.keys() - {job.member for job in self._jobs or []}
        if left and not self._pending:
            self.exhausted = (
                f"{len(left)} candidates are skipped: none is expected to raise the best score by more than "
                f"{expectations.expected:.2g}"
            )

    def _measured(self) -> dict[str, list[Measurement]]:
        """What each member's trainings came to."""
        measured: dict[str, list[Measurement]] = {}
        for job in self._jobs or []:
            if job.member and (row := self._came.get(job.number)):
                measured.setdefault(job.member, []).append(row)
        return measured

    def _add(self, members: Iterable[str], *, final: bool) -> None:
        """Their trainings, one for each seed, behind those that there are."""
        spec, jobs = self._spec, self._jobs
        assert jobs is not None
        for name in members:
            for repetition in range(spec.seeds):
                job = Job(
                    run=self._run,
                    number=len(self._measuring) + len(jobs),
                    space=spec.space,
                    architecture=self._scaled[name].architecture,
                    member=name,
                    dataset=spec.dataset,
                    contents=spec.contents.digest if spec.contents else None,
                    devices=spec.devices,
                    recipe=self._recipe(name, self._scaled[name].phi),
                    parent=spec.parent,
                    precision=spec.precision,
                    seed=spec.seed + repetition,
                    final=final,
                    save_weights=True,
                    processes=spec.processes,
                )
                jobs.append(job)

    def _recipe(self, name: str, phi: float | None) -> Recipe:
        """Of a member, whose augmentation may be stronger the larger it is; the teacher has no teacher."""
        spec, recipe = self._spec, self._spec.recipe
        if name == spec.teacher:
            recipe = dataclasses.replace(recipe, teacher=None)
        if spec.scaling and phi:
            recipe = dataclasses.replace(recipe, augment=spec.scaling.augmented(recipe.augment, phi))
        return recipe

    def _networks(self) -> dict[str, Scaled]:
        """Of the members that there are, in the order in which they are named."""
        near = self._grid.answer() if self._grid else None
        networks, missing = {}, []
        for name in self._spec.members:
            if near is not None and name in self._candidates and name not in near:
                continue
            quest = self._quests.get(name)
            member = quest.answer() if quest else self._spec.scaled(name)
            if member:
                networks[name] = member
            else:
                missing.append(name)
        if missing:
            self.exhausted = f"no network of the family that was measured is within {' or '.join(missing)}"
        if self._grid and len(near or []) < 2:
            self.exhausted = f"no candidate of the grid has about twice the latency: {self._grid.nearest()}"
        return networks
