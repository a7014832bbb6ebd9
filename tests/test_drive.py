"""The drive loop over a real store, with a formula in place of training."""

import dataclasses
import errno
import json
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nas import plugins
from nas.measurements import Latency, Measurement
from nas.networks.architecture import Choice, Images
from nas.networks.counts import counts
from nas.plans import FAILURES, Plan, plan_for
from nas.plans.leads import SHARE
from nas.records import Job, Notice, Progress, Run, Wish
from nas.specs import BenchmarkSpec, GrowthSpec, Limits, SearchSpec
from nas.store import Conflict, Store, StoreError
from tests.test_architecture import b0
from tests.test_leads import SPEC as LEADING
from tests.test_leads import noisy_at_first, told
from tests.test_plans import measured
from tests.waiting import eventually
from workers.drive import Evaluation, EvaluationFailed, Pool, drive

IMAGES = Images(resolution=28, channels=1, classes=10)
SPEC = SearchSpec(dataset="none", searcher="random", trials=6, parallel=2)
LEASE_SECONDS = 600.0  # no coordinator renews the claim while a searcher thinks

Report = Callable[[Progress | Notice], None]
Function = Callable[[Job, Report], Measurement]


class Inbox:
    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[Progress | Notice] = queue.SimpleQueue()

    def put(self, message: Progress | Notice) -> None:
        self._messages.put(message)

    def drain(self) -> Iterable[Progress | Notice]:
        while not self._messages.empty():
            yield self._messages.get()


def by_formula(job: Job, report: Report) -> Measurement:
    report(Progress(run=job.run, number=job.number, phase="training", epoch=1, epochs=1))
    return measured(job)


class Never:
    """Its evaluations do not end."""

    def __init__(self) -> None:
        self.begun: list[Evaluation] = []

    def evaluate(self, job: Job, report: Report) -> Evaluation:
        self.begun.append(Evaluation())
        return self.begun[-1]


class Inline:
    """Evaluates at once, so that what ends first is certain; each holds a processor for so many seconds."""

    def __init__(self, function: Function = by_formula, compute_seconds: float | None = None) -> None:
        self._function, self._compute_seconds = function, compute_seconds

    def evaluate(self, job: Job, report: Report) -> Evaluation:
        evaluation = Evaluation()
        self._end(evaluation, job, report)
        return evaluation

    def _end(self, evaluation: Evaluation, job: Job, report: Report) -> None:
        evaluation.compute_seconds = self._compute_seconds
        try:
            evaluation.set_result(self._function(job, report))
        except Exception as error:
            evaluation.set_exception(error)


class Deferred(Inline):
    """Evaluates when it is told to."""

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        self._waiting: list[tuple[Evaluation, Job, Report]] = []

    def evaluate(self, job: Job, report: Report) -> Evaluation:
        self._waiting.append((Evaluation(), job, report))
        return self._waiting[-1][0]

    def work(self, most: int | None = None) -> None:
        for waiting in self._waiting[:most]:
            self._end(*waiting)
        del self._waiting[:most]


class Threads(Inline):
    """Evaluates up to eight at once."""

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        self._threads = ThreadPoolExecutor(8)

    def evaluate(self, job: Job, report: Report) -> Evaluation:
        evaluation = Evaluation()
        self._threads.submit(self._end, evaluation, job, report)
        return evaluation


class Held(Inline):
    """Of the evaluations one ends a turn of the loop, whose inbox it is too: when all have begun that may begin."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._under_way: list[tuple[Evaluation, Job, Report]] = []

    def evaluate(self, job: Job, report: Report) -> Evaluation:
        self._under_way.append((Evaluation(), job, report))
        self.most = max(self.most, len(self._under_way))
        return self._under_way[-1][0]

    def put(self, message: Progress | Notice) -> None:
        pass

    def drain(self) -> Iterable[Progress | Notice]:
        if self._under_way:
            self._end(*self._under_way.pop(0))
        return ()


class Turn(Evaluation):
    """Of one whose turn it has to be."""

    works = False
    compute_seconds: float | None = 0.0

    @property
    def begun(self) -> bool:
        return self.works


class InTurn(Deferred):
    """Room for one evaluation, whose inbox it is too: it ends in each turn of the loop, but one in which a wish is made
    once so many have ended."""

    def __init__(self, wish: Callable[[], object] | None = None, after: int = 0) -> None:
        super().__init__(by_formula)
        self.evaluated: list[int] = []
        self._wish, self._after = wish, after

    def evaluate(self, job: Job, report: Report) -> Evaluation:
        self._waiting.append((Turn(), job, report))
        self._next()
        return self._waiting[-1][0]

    def put(self, message: Progress | Notice) -> None:
        pass

    def drain(self) -> Iterable[Progress | Notice]:
        self._next()
        if self._wish and len(self.evaluated) == self._after:
            self._wish()
            self._wish = None
        elif self._waiting:
            self.evaluated.append(self._waiting[0][1].number)
            self.work(1)
            self._next()
        return ()

    def _next(self) -> None:
        self._waiting = [each for each in self._waiting if not each[0].cancelled()]
        for evaluation, *_ in self._waiting[:1]:
            assert isinstance(evaluation, Turn)
            evaluation.works = True


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    yield store
    store.close()


@pytest.fixture(autouse=True)
def _long_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.drive.LEASE_SECONDS", LEASE_SECONDS)


def claimed(store: Store) -> tuple[Run, Plan]:
    run = store.claims.claim("me", LEASE_SECONDS)
    assert run is not None
    return run, plan_for(run, IMAGES)


def driven(store: Store, function: Function = by_formula, pool: Pool | None = None) -> Run | None:
    run, plan = claimed(store)
    return drive(store, "me", run, plan, pool or Inline(function), Inbox())


def test_a_search_is_driven_to_its_budget(sqlite: Store) -> None:
    run = sqlite.add_run("search", SPEC)
    left = driven(sqlite)
    assert left is not None
    assert left.state == "finished"
    trials = sqlite.trials(run.id)
    assert [trial.number for trial in trials] == list(range(6))
    assert {trial.state for trial in trials} == {"done"}
    assert [trial.measurement for trial in trials] == [measured(trial.job) for trial in trials]


def test_what_yardsticks_took_is_kept_for_all_machines(sqlite: Store) -> None:
    latency = Latency(
        device="cpu",
        median_ms=1.0,
        p95_ms=1.0,
        minimum_ms=1.0,
        spread=0.0,
        runs=9,
        fingerprint={"processor": "here"},
        yardstick_ms=0.5,
        yardstick="3 of abcd",
    )
    sqlite.add_run("search", SPEC)
    driven(sqlite, lambda job, _: dataclasses.replace(measured(job), latencies={"cpu": latency}))
    ((best,),) = (each.days for each in sqlite.yardsticks.known(["cpu"]))
    assert best.best_ms == 0.5


def test_a_latency_that_is_measured_again_is_an_event(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(LEADING, trials=SHARE))
    driven(sqlite, lambda job, _: noisy_at_first(job))
    again = sqlite.trial(run.id, SHARE - 1)
    assert again.job.measures is not None
    (event,) = (event for event in sqlite.events(run.id) if event.kind == "measured again")
    assert event.text.startswith(f"trial {SHARE - 1}: the latency of trial {again.job.measures} on cpu, ")
    assert re.search(r"\d ± [\d.]+ ms, is [\d.]+ ± [\d.]+ ms$", event.text)


def test_no_more_trials_run_at_once_than_asked_for(sqlite: Store) -> None:
    sqlite.add_run("search", dataclasses.replace(SPEC, trials=9, parallel=3))
    run, plan = claimed(sqlite)
    held = Held()
    assert drive(sqlite, "me", run, plan, held, held) is not None
    assert held.most == 3


def test_no_trial_begins_once_the_hours_have_passed_and_pauses_do_not_count(tmp_path: Path) -> None:
    now = [1000.0]
    store = Store(f"sqlite:///{tmp_path}/nas.db", lambda: now[0])
    run = store.add_run("search", dataclasses.replace(SPEC, hours=0.25, trials=50, parallel=1))

    def minutes(job: Job, report: Report) -> Measurement:
        now[0] += 400
        if job.number == 0:
            store.wish(run.id, "pause")
        return measured(job)

    left = driven(store, minutes)
    assert left is not None
    assert (left.state, left.worked_seconds) == ("paused", 400)
    now[0] += 1e6
    store.wish(run.id, "run")
    left = driven(store, minutes)
    assert left is not None
    assert (left.state, left.reason, left.worked_seconds) == ("finished", "its 0.25 hours have passed", 1200)
    assert len(store.trials(run.id)) == 3
    assert "finished: its 0.25 hours have passed" in [event.text for event in store.events(run.id)]
    store.close()


@pytest.mark.parametrize(("parallel", "begun"), [(1, 5), (2, 5), (4, 5), (8, 8)])
def test_no_trial_begins_once_the_compute_hours_are_spent_or_will_be(sqlite: Store, parallel: int, begun: int) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, compute_hours=2.4, trials=50, parallel=parallel))

    def failing(job: Job, report: Report) -> Measurement:
        if job.number == 1:
            raise RuntimeError("unlucky")
        return measured(job)

    left = driven(sqlite, pool=Inline(failing, compute_seconds=1800))
    assert left is not None
    assert (left.state, left.reason) == ("finished", "its 2.4 compute hours are spent")
    trials = sqlite.trials(run.id)
    assert len(trials) == begun
    assert {trial.compute_seconds for trial in trials} == {1800}
    with pytest.raises(Conflict, match=r"takes no more trials, its 2\.4 compute hours are spent"):
        sqlite.raise_budget(run.id, 60)


def test_what_was_spent_before_a_search_was_cut_off_counts(sqlite: Store) -> None:
    spec = dataclasses.replace(SPEC, compute_hours=2.0, trials=2, parallel=1)
    run = sqlite.add_run("search", spec)
    driven(sqlite, pool=Inline(compute_seconds=1800))
    assert sqlite.raise_budget(run.id, 50).state == "queued"
    left = driven(sqlite, pool=Inline(compute_seconds=1800))
    assert left is not None
    assert left.reason == "its 2 compute hours are spent"
    assert len(sqlite.trials(run.id)) == 4


def test_progress_reaches_the_store(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=1))
    sent = Progress(run=run.id, number=0, phase="training", epoch=2, epochs=3)

    def slow(job: Job, report: Report) -> Measurement:
        report(sent)
        eventually(lambda: sqlite.trial(run.id, 0).progress == sent)
        return measured(job)

    driven(sqlite, pool=Threads(slow))
    assert {trial.state for trial in sqlite.trials(run.id)} == {"done"}


@pytest.mark.parametrize("name", plugins.names("nas.searchers"))
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(sqlite: Store, name: str) -> None:
    spec = dataclasses.replace(SPEC, searcher=name, trials=10, parallel=1)
    whole, cut = sqlite.add_run("search", spec), sqlite.add_run("search", spec)
    driven(sqlite)
    run, plan = claimed(sqlite)
    leave = threading.Event()

    def until_the_fourth(job: Job, report: Report) -> Measurement:
        if job.number == 3:
            leave.set()
        return measured(job)

    assert drive(sqlite, "me", run, plan, Inline(until_the_fourth), Inbox(), leave) is None
    kept = sqlite.trials(cut.id)
    sqlite.claims.release(cut.id, "me", "running")
    left = driven(sqlite)
    assert left is not None
    assert left.id == cut.id
    assert sqlite.trials(cut.id)[: len(kept)] == kept
    assert [trial.job.choices for trial in sqlite.trials(cut.id)] == [
        trial.job.choices for trial in sqlite.trials(whole.id)
    ]


def test_a_trial_under_way_in_a_crash_is_evaluated_again_from_its_row(sqlite: Store) -> None:
    run = sqlite.add_run("search", SPEC)
    _, plan = claimed(sqlite)
    job = plan.ask(0)
    assert job is not None
    sqlite.claims.begin("me", job)
    sqlite.claims.release(run.id, "me", "running")
    seen: list[Job] = []

    def watched(job: Job, report: Report) -> Measurement:
        seen.append(job)
        return measured(job)

    driven(sqlite, watched)
    assert seen[0] == job
    assert sorted(job.number for job in seen) == list(range(6))
    assert len({job.architecture.digest() for job in seen}) == 6


@pytest.mark.parametrize(("wish", "state"), [("pause", "paused"), ("stop", "stopped")])
def test_a_wish_lets_running_trials_end_and_begins_no_more(sqlite: Store, wish: Wish, state: str) -> None:
    run = sqlite.add_run("search", SPEC)

    def wishing(job: Job, report: Report) -> Measurement:
        sqlite.wish(run.id, wish)
        return measured(job)

    left = driven(sqlite, wishing)
    assert left is not None
    assert left.state == state
    trials = sqlite.trials(run.id)
    assert 1 <= len(trials) <= 2
    assert {trial.state for trial in trials} == {"done"}


def test_what_waits_for_its_turn_does_not_begin_in_a_search_that_is_paused(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, parallel=3, trials=8))
    first, plan = claimed(sqlite)
    pool = InTurn(lambda: sqlite.wish(run.id, "pause"), after=3)
    left = drive(sqlite, "me", first, plan, pool, pool)
    assert left is not None
    assert left.state == "paused"
    assert pool.evaluated == [0, 1, 2, 3], "what had begun ended"
    assert [trial.state for trial in sqlite.trials(run.id)] == [*["done"] * 4, "running"]
    sqlite.wish(run.id, "run")
    again, plan = claimed(sqlite)
    drive(sqlite, "me", again, plan, pool := InTurn(), pool)
    assert pool.evaluated == [4, 5, 6, 7]
    assert {trial.state for trial in sqlite.trials(run.id)} == {"done"}
    assert "taken up" not in [event.kind for event in sqlite.events(run.id)], "it had not begun"


@pytest.mark.parametrize("name", plugins.names("nas.searchers"))
def test_a_search_that_was_paused_while_it_waited_goes_on_as_if_it_had_not_been(sqlite: Store, name: str) -> None:
    spec = dataclasses.replace(SPEC, searcher=name, trials=8, parallel=1)
    whole, cut = sqlite.add_run("search", spec), sqlite.add_run("search", spec)
    driven(sqlite)

    class Crowded(Inline):
        """The sixth trial waits, for longer than anybody wants."""

        def evaluate(self, job: Job, report: Report) -> Evaluation:
            if job.number < 5:
                return super().evaluate(job, report)
            sqlite.wish(cut.id, "pause")
            return Turn()

    left = driven(sqlite, pool=Crowded())
    assert left is not None
    assert left.state == "paused"
    assert [trial.state for trial in sqlite.trials(cut.id)] == [*["done"] * 5, "running"]
    sqlite.wish(cut.id, "run")
    driven(sqlite)
    assert [trial.job.choices for trial in sqlite.trials(cut.id)] == [
        trial.job.choices for trial in sqlite.trials(whole.id)
    ]


def test_what_was_set_aside_goes_on_where_a_search_is_resumed_before_it_has_paused(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, parallel=3))

    class Busy(InTurn):
        """What works ends only when the search has been resumed."""

        def drain(self) -> Iterable[Progress | Notice]:
            wishes = [event.text for event in sqlite.events(run.id) if event.kind == "wish"]
            if len(wishes) < 2:
                sqlite.wish(run.id, "run" if wishes else "pause")
                return ()
            return super().drain()

    first, plan = claimed(sqlite)
    left = drive(sqlite, "me", first, plan, pool := Busy(), pool)
    assert left is not None
    assert left.state == "finished"
    assert pool.evaluated == list(range(6))
    assert {trial.state for trial in sqlite.trials(run.id)} == {"done"}


def test_what_waits_for_its_turn_ends_unbegun_in_a_search_that_is_stopped(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, parallel=3))
    first, plan = claimed(sqlite)
    pool = InTurn(lambda: sqlite.wish(run.id, "stop"))
    left = drive(sqlite, "me", first, plan, pool, pool)
    assert left is not None
    assert left.state == "stopped"
    assert pool.evaluated == [0]
    trials = sqlite.trials(run.id)
    assert [trial.state for trial in trials] == ["done", "cancelled", "cancelled"]
    assert [trial.compute_seconds for trial in trials[1:]] == [0, 0]


@pytest.mark.parametrize(
    ("wish", "state", "trials"),
    [
        ("run", "finished", ["done"] * 6),
        ("pause", "paused", ["running"] * 3),
        ("stop", "stopped", ["cancelled", "done", "cancelled"]),
        ("cancel", "cancelled", ["cancelled"] * 3),
    ],
)
def test_of_what_a_coordinator_left_only_what_was_begun_ends_in_a_search_that_is_to_stop(
    sqlite: Store, wish: Wish, state: str, trials: list[str]
) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, parallel=3))
    _, plan = claimed(sqlite)
    for number in range(3):
        job = plan.ask(number)
        assert job is not None
        sqlite.claims.begin("me", job)
    sqlite.claims.progress("me", Progress(run=run.id, number=1, phase="training", epoch=1, epochs=3))
    sqlite.wish(run.id, wish)
    sqlite.claims.release(run.id, "me", "running")
    again, plan = claimed(sqlite)
    left = drive(sqlite, "me", again, plan, pool := InTurn(), pool)
    assert left is not None
    assert left.state == state
    assert [trial.state for trial in sqlite.trials(run.id)] == trials
    assert len(pool.evaluated) == trials.count("done")


def test_a_paused_search_is_left_alone_until_it_is_resumed(sqlite: Store) -> None:
    run = sqlite.add_run("search", SPEC)
    sqlite.wish(run.id, "pause")
    assert driven(sqlite) is not None
    assert sqlite.run(run.id).state == "paused"
    assert sqlite.claims.claim("me", LEASE_SECONDS) is None
    sqlite.wish(run.id, "run")
    left = driven(sqlite)
    assert left is not None
    assert left.state == "finished"
    assert len(sqlite.trials(run.id)) == 6


def test_a_cancelled_search_ends_its_trials(sqlite: Store) -> None:
    run = sqlite.add_run("search", SPEC)

    class Cancelled(Never):
        def evaluate(self, job: Job, report: Report) -> Evaluation:
            sqlite.wish(run.id, "cancel")
            return super().evaluate(job, report)

    left = driven(sqlite, pool=Cancelled())
    assert left is not None
    assert left.state == "cancelled"
    assert {trial.state for trial in sqlite.trials(run.id)} == {"cancelled"}


def test_a_search_whose_trials_all_fail_gives_up_and_says_why(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=50, parallel=1))

    def failing(job: Job, report: Report) -> Measurement:
        raise RuntimeError("the oven is cold")

    left = driven(sqlite, failing)
    assert left is not None
    assert left.state == "failed"
    assert "the oven is cold" in (left.error or "")
    trials = sqlite.trials(run.id)
    assert len(trials) == FAILURES
    assert {trial.error for trial in trials} == {"RuntimeError: the oven is cold"}


def test_what_is_given_up_does_not_go_on_with_what_was_under_way(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=50, parallel=2))

    class Failing(Never):
        """All but the first, which does not end."""

        def evaluate(self, job: Job, report: Report) -> Evaluation:
            evaluation = super().evaluate(job, report)
            if job.number > 0:
                evaluation.set_exception(RuntimeError("the oven is cold"))
            return evaluation

    left = driven(sqlite, pool=Failing())
    assert left is not None
    assert left.state == "failed"
    assert [trial.state for trial in sqlite.trials(run.id)] == ["cancelled", *["failed"] * FAILURES]


def test_a_failed_trial_keeps_the_traceback_of_what_failed(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=3, parallel=1))

    def failing(job: Job, report: Report) -> Measurement:
        if job.number == 0:
            raise KeyError("stage9.op")
        if job.number == 1:
            raise EvaluationFailed("KeyError: 'stage9.op'", traceback="as it was elsewhere")
        return measured(job)

    driven(sqlite, failing)
    here, elsewhere, done = sqlite.trials(run.id)
    assert here.error == elsewhere.error == "KeyError: 'stage9.op'"
    assert here.traceback is not None
    assert 'raise KeyError("stage9.op")' in here.traceback
    assert elsewhere.traceback == "as it was elsewhere"
    assert done.traceback is None


def test_what_evaluations_warn_of_becomes_an_event_once(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=3, parallel=1))

    def warning(job: Job, report: Report) -> Measurement:
        for text in ("graph not used", "graph not used", f"rate {job.number}", "words " * 10_000):
            report(Notice(run=job.run, number=job.number, text=text))
        report(Notice(run="another", number=job.number, text="not of this run"))
        report(Progress(run=job.run, number=job.number, phase="scoring"))
        return measured(job)

    driven(sqlite, warning)
    told = [event.text for event in sqlite.events(run.id) if event.kind == "warning"]
    assert [text for text in told if "words" not in text] == [
        "trial 0: graph not used", "trial 0: rate 0", "trial 1: rate 1", "trial 2: rate 2",
    ]  # fmt: skip
    (long,) = (text for text in told if "words" in text)
    assert len(long) < 1100
    assert [event.kind for event in sqlite.events(run.id)][-1] == "finished", "nothing of it comes later"


def test_one_failure_fails_one_trial(sqlite: Store) -> None:
    run = sqlite.add_run("search", SPEC)

    def failing(job: Job, report: Report) -> Measurement:
        if job.number == 2:
            raise RuntimeError("unlucky")
        return measured(job)

    left = driven(sqlite, failing)
    assert left is not None
    assert left.state == "finished"
    assert [trial.state for trial in sqlite.trials(run.id)] == ["done", "done", "failed", "done", "done", "done"]


def test_a_refused_candidate_is_a_refused_trial(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=1, limits=Limits(latency_ms=1.0)))

    def slow(job: Job, report: Report) -> Measurement:
        counted = counts(job.architecture)
        return Measurement(params=counted.params, mult_adds=counted.mult_adds, refused="latency_ms 2 over 1")

    driven(sqlite, slow)
    assert sqlite.trial(run.id, 0).state == "refused"


def test_a_full_disk_pauses_the_run_and_keeps_the_trial(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, parallel=1))

    def full(job: Job, report: Report) -> Measurement:
        raise OSError(errno.ENOSPC, "No space left on device")

    left = driven(sqlite, full)
    assert left is not None
    assert left.state == "paused"
    assert [trial.state for trial in sqlite.trials(run.id)] == ["running"]
    assert any("No space left" in event.text for event in sqlite.events(run.id))
    sqlite.wish(run.id, "run")
    left = driven(sqlite)
    assert left is not None
    assert left.state == "finished"
    assert {trial.state for trial in sqlite.trials(run.id)} == {"done"}


def test_a_full_disk_leaves_no_trial_behind_in_a_search_that_is_resumed_at_once(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, parallel=2))

    def full_once(job: Job, report: Report) -> Measurement:
        if job.number == 0 and sqlite.run(run.id).wish == "run" and not noted():
            raise OSError(errno.ENOSPC, "No space left on device")
        return measured(job)

    def noted() -> bool:
        return any(event.kind == "disk full" for event in sqlite.events(run.id))

    def progress() -> Iterable[Progress]:  # the first trial meets the disk; resumed, the second one ends
        if noted():
            sqlite.wish(run.id, "run")
        pool.work(1)
        return ()

    first, plan = claimed(sqlite)
    pool, inbox = Deferred(full_once), Inbox()
    inbox.drain = progress  # type: ignore[method-assign]
    left = drive(sqlite, "me", first, plan, pool, inbox)
    assert left is not None
    assert left.state == "finished"
    assert {trial.state for trial in sqlite.trials(run.id)} == {"done"}


def test_a_full_disk_leaves_no_trial_behind_in_a_search_that_is_stopped(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, parallel=1))

    def full(job: Job, report: Report) -> Measurement:
        raise OSError(errno.ENOSPC, "No space left on device")

    def progress() -> Iterable[Progress]:  # drained once a turn: the wish is seen before the trial meets the disk
        if sqlite.run(run.id).wish == "stop":
            pool.work()
        sqlite.wish(run.id, "stop")
        return ()

    first, plan = claimed(sqlite)
    pool, inbox = Deferred(full), Inbox()
    inbox.drain = progress  # type: ignore[method-assign]
    left = drive(sqlite, "me", first, plan, pool, inbox)
    assert left is not None
    assert left.state == "stopped"
    assert [trial.state for trial in sqlite.trials(run.id)] == ["failed"]


def test_weights_saved_where_the_coordinator_cannot_see_them_fail_the_trial(
    sqlite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path / "home"))
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=2, save_weights=True))

    def elsewhere(job: Job, report: Report) -> Measurement:
        weights = f"{job.number:064x}"
        if job.number == 1:
            (tmp_path / "home" / "artifacts" / f"{weights}.safetensors").write_bytes(b"weights")
        return dataclasses.replace(measured(job), weights=weights)

    (tmp_path / "home" / "artifacts").mkdir(parents=True)
    driven(sqlite, elsewhere)
    lost, kept = sqlite.trials(run.id)
    assert lost.state == "failed"
    assert "NAS_HOME" in (lost.error or "")
    assert kept.state == "done"
    assert [model.bytes for model in sqlite.models(run.id)] == [7]


def test_an_error_of_a_hundred_lines_is_cut_short(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=1))

    def failing(job: Job, report: Report) -> Measurement:
        raise RuntimeError("words " * 10_000)

    driven(sqlite, failing)
    error = sqlite.trial(run.id, 0).error or ""
    assert error.startswith("RuntimeError: words")
    assert len(error) < 1100


def test_what_breaks_the_loop_takes_what_is_under_way_with_it(sqlite: Store) -> None:
    sqlite.add_run("search", SPEC)
    first, plan = claimed(sqlite)
    ask, pool = plan.ask, Never()

    def broken(number: int) -> Job | None:
        if number == 1:
            raise ZeroDivisionError
        return ask(number)

    plan.ask = broken  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        drive(sqlite, "me", first, plan, pool, Inbox())
    assert [evaluation.cancelled() for evaluation in pool.begun] == [True]


def test_a_budget_raised_on_the_way_is_used(sqlite: Store) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=2))

    def raising(job: Job, report: Report) -> Measurement:
        if job.number == 1:
            sqlite.raise_budget(run.id, 5)
        return measured(job)

    driven(sqlite, raising)
    assert len(sqlite.trials(run.id)) == 5


def test_an_exhausted_space_finishes_early_and_says_so(sqlite: Store) -> None:
    knobs = plan_for(sqlite.add_run("search", SPEC), IMAGES).ask(0).choices  # type: ignore[union-attr]
    driven(sqlite)
    fixed: dict[str, tuple[Choice, ...]] = {knob: (choice,) for knob, choice in knobs.items()}
    fixed["stage3.width"] = (0.75, 1.0)
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=100, knobs=fixed))
    left = driven(sqlite)
    assert left is not None
    assert (left.state, left.reason) == ("finished", "no untried network was found for trial 2")
    assert len(sqlite.trials(run.id)) == 2
    assert f"finished: {left.reason}" in {event.text for event in sqlite.events(run.id)}


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_search_that_expects_too_little_finishes_early_and_says_so(sqlite: Store, parallel: int) -> None:
    spec = dataclasses.replace(SPEC, searcher="surrogate", trials=200, parallel=parallel, least_gain=0.02)
    run = sqlite.add_run("search", spec)
    left = driven(sqlite)
    assert left is not None
    assert left.state == "finished"
    assert left.reason is not None
    assert left.reason.startswith("no gain of 0.02 is expected any more")
    trials = sqlite.trials(run.id)
    assert 8 <= len(trials) < 60
    sqlite.raise_budget(run.id, 300)
    again = driven(sqlite)
    assert again is not None
    assert (again.state, again.reason) == (left.state, left.reason)
    assert sqlite.trials(run.id) == trials


def test_a_run_that_is_lost_is_not_written_to(sqlite: Store) -> None:
    run = sqlite.add_run("search", SPEC)
    first, plan = claimed(sqlite)

    def losing(job: Job, report: Report) -> Measurement:
        sqlite.claims.release(run.id, "me", "running")
        assert sqlite.claims.claim("other", LEASE_SECONDS) is not None
        return measured(job)

    assert drive(sqlite, "me", first, plan, Inline(losing), Inbox()) is None
    assert [trial.state for trial in sqlite.trials(run.id)] == ["running"]
    sqlite.claims.renew(run.id, "other", LEASE_SECONDS)


def test_a_growth_is_driven_member_by_member(sqlite: Store) -> None:
    spec = GrowthSpec(dataset="none", space="mbconv", architecture=b0(), members=("B0", "B1"), parallel=1)
    run = sqlite.add_run("growth", spec)
    left = driven(sqlite)
    assert left is not None
    assert left.state == "finished"
    assert [trial.job.member for trial in sqlite.trials(run.id)] == ["B1", "B0"]


def test_devices_that_are_missing_do_not_keep_the_last_one_from_being_measured(sqlite: Store) -> None:
    devices = ("cuda", "cuda_graph", "cuda_compile", "openvino", "cpu_compile", "cpu_eager", "cpu")
    run = sqlite.add_run("benchmark", BenchmarkSpec(images=IMAGES, networks=2, devices=devices))

    def missing(job: Job, report: Report) -> Measurement:
        if job.devices != ("cpu",):
            raise RuntimeError("it is not here")
        return measured(job)

    left = driven(sqlite, missing)
    assert left is not None
    assert left.state == "finished"
    assert [trial.state for trial in sqlite.trials(run.id)] == ([*["failed"] * 6, "done"]) * 2


def test_when_the_database_goes_away_nothing_is_left_running(sqlite: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sqlite.add_run("search", SPEC)
    claimed_run, plan = claimed(sqlite)
    pool = Never()

    renew = sqlite.claims.renew

    def away(run: str, owner: str, seconds: float) -> Run:
        if pool.begun:
            raise StoreError("it is away")
        return renew(run, owner, seconds)

    monkeypatch.setattr(sqlite.claims, "renew", away)
    with pytest.raises(StoreError, match="away"):
        drive(sqlite, "me", claimed_run, plan, pool, Inbox())
    assert [evaluation.cancelled() for evaluation in pool.begun] == [True, True]
    assert {trial.state for trial in sqlite.trials(run.id)} == {"running"}


def test_what_somebody_wants_measured_again_is_before_anything_else(sqlite: Store) -> None:
    """Of a search that has finished, by trials beyond its budget; the better known latency counts."""
    run = sqlite.add_run("search", dataclasses.replace(LEADING, trials=3, devices=("cpu", "cpu_eager")))

    def coming(job: Job, report: Report) -> Measurement:
        its = told(job, 0.003 if job.measures is not None else 0.5)
        return dataclasses.replace(its, latencies=dict.fromkeys(job.devices, its.latencies["cpu"]))

    driven(sqlite, coming)
    for number in (2, 0):
        assert sqlite.measure_again(run.id, number).state == "queued"
    left = driven(sqlite, coming)
    assert left is not None
    assert (left.state, left.trials, left.again) == ("finished", 5, ())
    again = sqlite.trials(run.id, after=2)
    assert [(trial.job.measures, trial.job.devices) for trial in again] == [
        (2, left.spec.devices),
        (0, left.spec.devices),
    ]
    assert [event.text for event in sqlite.events(run.id) if event.kind == "again"] == [
        "the latency of trial 2 is to be measured again",
        "the latency of trial 0 is to be measured again",
    ]
    ((_, latencies), *_) = sqlite.outlines(run.id, ("number", "latencies"))
    assert json.loads(latencies)[0][1] == pytest.approx(0.003 * json.loads(latencies)[0][0])


@pytest.mark.parametrize(("epoch", "words"), [(8, "goes on from epoch 8 of 20"), (0, "begins anew")])
def test_a_trial_that_was_cut_off_says_where_it_goes_on(sqlite: Store, epoch: int, words: str) -> None:
    run = sqlite.add_run("search", dataclasses.replace(SPEC, trials=2, parallel=1))
    held, plan = claimed(sqlite)
    job = plan.ask(0)
    assert job is not None
    sqlite.claims.begin("me", job)
    sqlite.claims.progress("me", Progress(run=run.id, number=0, phase="measuring"))
    sqlite.claims.release(held.id, "me", "running")

    def coming(job: Job, report: Report) -> Measurement:
        report(Progress(run=job.run, number=job.number, phase="measuring"))
        for done in (epoch, epoch + 1):
            report(Progress(run=job.run, number=job.number, phase="training", epoch=done, epochs=20))
        return measured(job)

    driven(sqlite, coming)
    assert [event.text for event in sqlite.events(run.id) if event.kind == "taken up"] == [f"trial 0 {words}"]
