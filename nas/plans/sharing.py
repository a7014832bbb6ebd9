"""What a search with shared weights does besides: its supernet comes first, and the best of its candidates last."""

from dataclasses import replace

from nas import spaces
from nas.measurements import Measurement
from nas.nesting import largest
from nas.networks.architecture import Images
from nas.plans.rungs import ranked
from nas.records import Job
from nas.searchers import Outcome
from nas.specs import FINAL_SEEDS, SearchSpec

SUPERNET = "supernet"  # the baseline whose weights all candidates have
FINAL_RATE = 1 / 4  # of the learning rate, for what has been trained by it


class Sharing:
    """Candidates are on rung 0, and finals on rung 1. All that it knows is what it was told."""

    def __init__(self, spec: SearchSpec, images: Images) -> None:
        space = spaces.load(spec.space, spec.parent)
        self._spec, self._knobs = spec, spaces.narrowed(space.knobs(images), spec.knobs)
        self.largest = largest(space, self._knobs, images)
        self.weights: str | None = None
        self._ended: dict[int, tuple[Job, Outcome]] = {}  # of candidates
        self._finals: dict[int, Job] = {}
        self._last = 0  # the number of the last candidate

    @property
    def finals(self) -> int:
        """Trials that the end of the search is kept for."""
        return FINAL_SEEDS * self._spec.finals

    def supernet(self, job: Job) -> Job:
        """`job`, which trains the largest network, with all that are parts of it."""
        return replace(job, children=dict(self._knobs), rung=0, save_weights=True)

    def heir(self, job: Job) -> Job:
        """`job`, of a candidate or a final, with the weights that it has from the supernet. These are bent by smaller
        steps than made them."""
        final, recipe = job.rung == 1, self._spec.recipe
        return replace(
            job,
            recipe=replace(recipe, learning_rate=recipe.learning_rate * FINAL_RATE) if final else job.recipe,
            parent=self.weights,
            calibrated=not final,
            shuffle=0,  # these weights have seen what other folds would hold out
            save_weights=final or job.save_weights,
        )

    def begin(self, job: Job) -> None:
        if job.compared is None and job.rung == 0:
            self._last = max(self._last, job.number)
        elif job.compared is None:
            self._finals[job.number] = job

    def end(self, job: Job, measurement: Measurement | None, outcome: Outcome | None) -> None:
        if job.children and measurement:
            self.weights = measurement.weights
        elif job.compared is None and job.rung == 0 and outcome:
            self._ended[job.number] = job, outcome

    def next_final(self) -> tuple[Job, Job | None] | None:
        """The candidate that is trained on next, and its first such training where another seed is to do it again;
        None where all finals since the last candidate have begun, or nothing is there to be trained."""
        begun = [job for number, job in sorted(self._finals.items()) if number > self._last]
        if len(begun) >= self.finals:
            return None
        if len(begun) % FINAL_SEEDS:
            first = next(job for job in reversed(begun) if job.promotes is not None)
            return self._ended[first.promotes or 0][0], first
        before = {job.promotes for job in self._finals.values()}
        rows = [(job, outcome) for job, outcome in self._ended.values() if job.number not in before]
        best = ranked(self._spec.objective, [outcome for _, outcome in rows])
        return (rows[best[0]][0], None) if best else None
