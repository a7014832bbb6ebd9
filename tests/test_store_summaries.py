"""What is shown of a run is kept in rows, and is what all its trials would say; on SQLite and on PostgreSQL alike."""

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.views.front import AGAIN, named, outlined, ranked
from api.views.search import among, stand, standing
from api.views.trial import Scored, page
from nas.codec import encode
from nas.objective import Form, Objective
from nas.outlines import summed
from nas.pareto import front
from nas.records import Job, Run, Trial
from nas.specs import Fidelity, SearchSpec
from nas.store import Store
from nas.store.tables import OUTLINE, RUN, TALLY, TRIAL
from tests.stored import MEASUREMENT, SEARCH, claimed, job
from tests.test_store_migrations import holding

OBJECTIVE = Objective(target=5e6, w_under=0.0, w_over=-0.5)


def history(store: Store, trials: int, *, seed: int = 0, again: float = 0.1, **changes: Any) -> Run:
    """A claimed search whose trials were drawn: few accuracies and costs, so that many are alike; some repeat another
    or measure it again, some are baselines, refused, failed, cancelled or running still."""
    dice = random.Random(seed)
    run = claimed(store, **{"objective": OBJECTIVE, "trials": 500, **changes})
    assert isinstance(run.spec, SearchSpec)
    rungs = run.spec.fidelity.rungs if run.spec.fidelity else 0
    began: list[Job] = []
    for number in range(trials):
        new = dataclasses.replace(job(run.id, number), final=False, expected_gain=dice.choice((None, number / 100)))
        new = dataclasses.replace(new, rung=dice.randrange(rungs) if rungs else None)
        if number < 2:
            new = dataclasses.replace(new, baseline="LeNet-5", rung=rungs - 1 if rungs else None)
        elif number > 5 and dice.random() < again:
            first = dice.choice([old for old in began if not old.anew and old.baseline is None])
            if dice.random() < 0.3:
                new = dataclasses.replace(new, measures=first.number, rung=None)
            else:
                new = dataclasses.replace(new, repeats=first.number, rung=first.rung)
        began.append(new)
        store.claims.begin("anna", new)
        came(store, new, dice, running=number >= trials - 2)
    return store.run(run.id)


def came(store: Store, own: Job, dice: random.Random, *, running: bool) -> None:
    lot = dice.random()
    measured = dataclasses.replace(
        MEASUREMENT,
        mult_adds=1_000_000 * dice.randrange(1, 9),
        accuracy=round(0.6 + 0.04 * dice.randrange(9), 2),
        accuracy_error=0.01,
        weights=None,
    )
    if running:
        return
    if own.measures is not None:
        refused = "latency_ms 2 over the limit of 1" if lot < 0.4 else None
        again = dataclasses.replace(measured, accuracy=None, refused=refused, train_seconds=0.0)
        store.claims.end("anna", own.number, own.run, "refused" if refused else "done", again, compute_seconds=1.0)
        return
    if lot < 0.05:
        store.claims.end("anna", own.number, own.run, "failed", error=f"KeyError: {own.number}", compute_seconds=3.0)
    elif lot < 0.1:
        store.claims.end("anna", own.number, own.run, "cancelled")
    elif lot < 0.2:
        over = dataclasses.replace(measured, accuracy=None, refused=f"params {own.number}", train_seconds=0.0)
        store.claims.end("anna", own.number, own.run, "refused", over, compute_seconds=2.0)
    else:
        store.claims.end("anna", own.number, own.run, "done", measured, compute_seconds=12.0)


def leading(store: Store, run: Run) -> list[Trial]:
    return store.these(
        run.id, [number for number, place in store.outlines(run.id, ("number", "place"), place=...) if place > 0]
    )


@pytest.mark.parametrize("form", ["product", "absolute"])
@pytest.mark.parametrize("fidelity", [None, Fidelity(eta=2, rungs=2)])
def test_the_front_and_the_best_are_among_those_that_lead(store: Store, form: Form, fidelity: Fidelity | None) -> None:
    for seed in range(3):
        objective = dataclasses.replace(OBJECTIVE, form=form)
        run = history(store, 50, seed=seed, objective=objective, fidelity=fidelity)
        assert isinstance(run.spec, SearchSpec)
        trials, few = store.trials(run.id), leading(store, run)
        whole, part = (standing(among(its, objective, "cpu"), objective) for its in (trials, few))
        assert part == whole
        assert whole[1] is not None
        assert len(few) < 40 or fidelity
        assert store.summary(run.id).counts == summed(trials, run.spec).counts
        store.claims.release(run.id, "anna", "stopped")


@pytest.mark.parametrize("refused", [None, "latency_ms 1.5 over the limit of 1.4"])
def test_a_network_that_was_measured_again_is_worth_what_is_known_better(store: Store, refused: str | None) -> None:
    objective = Objective(cost="latency_ms", target=1.0)
    run = claimed(store, objective=objective, trials=9)
    cpu = MEASUREMENT.latencies["cpu"]
    for number, (accuracy, median_ms) in enumerate(((0.9, 1.0), (0.85, 1.2), (0.8, 0.9), (None, 1.5))):
        again, own = accuracy is None, dataclasses.replace(job(run.id, number), final=False)
        if again:
            own = dataclasses.replace(own, measures=0, dataset=None, recipe=None)
        error_ms = 0.01 if again else 0.1
        its = {"cpu": dataclasses.replace(cpu, median_ms=median_ms, error_ms=error_ms)}
        measured = dataclasses.replace(MEASUREMENT, accuracy=accuracy, latencies=its, weights=None)
        measured = dataclasses.replace(measured, refused=refused if again else None)
        store.claims.begin("anna", own)
        store.claims.end("anna", number, run.id, "refused" if measured.refused else "done", measured)
    trials, few = store.trials(run.id), leading(store, run)
    shown, best = standing(among(trials, objective, "cpu"), objective)
    assert {row.number: row.cost for row in shown} == {2: 0.9, 1: 1.2} | ({} if refused else {0: 1.5})
    assert standing(among(few, objective, "cpu"), objective) == (shown, best)
    columns, _ = outlined(store.outlines(run.id, named(objective), accuracy=...), objective, 0)
    again_rows = store.outlines(run.id, AGAIN, repeats=..., params=...)
    answer = ranked(run, columns, again_rows, objective, "cpu", lambda numbers: store.these(run.id, numbers)).pareto
    assert (answer.front, answer.best) == (shown, best)


def test_a_front_of_two_costs_is_among_those_that_lead(store: Store) -> None:
    objective = Objective(form="front", also="params")
    run = history(store, 40, objective=objective)
    whole, part = (
        standing(among(its, objective, "cpu"), objective) for its in (store.trials(run.id), leading(store, run))
    )
    assert part == whole


def test_what_led_once_is_known_with_how_many_had_been_measured(store: Store) -> None:
    run = history(store, 60, again=0.0)
    assert isinstance(run.spec, SearchSpec)
    rows = store.outlines(run.id, ("number", "place", "reward", "role"), place=...)
    own = [(number, abs(place), reward) for number, place, reward, role in rows if role == "own"]
    best = stand(run.spec, leading(store, run), own)
    measured = [trial for trial in store.trials(run.id) if trial.state == "done"]
    for count in (10, 20, len(measured)):
        rewards = [
            OBJECTIVE.reward(trial.measurement.accuracy or 0.0, trial.measurement.mult_adds)
            for trial in measured[:count]
            if trial.measurement and not trial.job.baseline
        ]
        assert max(reward for place, reward in best.rewards if place <= count) == max(rewards)


def test_tallies_are_the_sums_of_all_trials(store: Store) -> None:
    run = history(store, 60, fidelity=Fidelity(eta=2, rungs=2))
    kept, sums = store.summary(run.id), summed(store.trials(run.id), run.spec)
    assert {(each.state, each.role, each.rung): each for each in kept.tallies} == {
        (each.state, each.role, each.rung): each for each in sums.tallies
    }
    assert (kept.begun_at, kept.shares_done) == (sums.begun_at, sums.shares_done)
    assert kept.expected_gain == sums.expected_gain
    assert kept.compute_seconds == pytest.approx(sum(trial.compute_seconds or 0 for trial in store.trials(run.id)))
    assert len({each.state for each in kept.tallies}) == 5


def test_pages_are_what_is_stored_and_what_an_earlier_version_stored_is_completed(store: Store) -> None:
    run = history(store, 12)
    trials = store.trials(run.id)
    rewards = dict(store.outlines(run.id, ("number", "reward")))
    whole = [encode(Scored(**vars(trial), reward=rewards[trial.number])) for trial in trials]
    assert json.loads(page(store.lines(run.id, -1, 12), None)) == {"trials": whole, "next": None}
    with store._database.writing() as connection:
        text = connection.scalars(select(TRIAL.c.job).where(TRIAL.c.number == 3)).one()
        short = json.dumps({name: value for name, value in json.loads(text).items() if name != "network"})
        connection.execute(TRIAL.update().where(TRIAL.c.number == 3).values(job=short))
        connection.execute(OUTLINE.update().where(OUTLINE.c.number == 3).values(edition=""))
    assert json.loads(page(store.lines(run.id, 2, 1), "x")) == {"trials": whole[3:4], "next": "x"}


def test_trials_of_a_state_and_in_the_order_of_their_ends(store: Store) -> None:
    run = history(store, 60)
    trials = store.trials(run.id)
    for state in ("done", "failed", "running"):
        own = [trial for trial in trials if trial.state == state]
        assert store.trials(run.id, state=state) == own
        assert store.trials(run.id, state=state, after=own[0].number, limit=1) == own[1:2]
        assert store.last(run.id, state) == own[-1]
    ended = sorted((trial for trial in trials if trial.finished), key=lambda trial: trial.finished or 0)
    assert store.ended(run.id) == ended
    assert store.ended(run.id, after=3) == ended[3:]
    assert store.ended(run.id, after=len(ended)) == []
    trained = [trial for trial in trials if trial.measurement and trial.measurement.train_seconds]
    assert store.trained(run.id, 5) == trained[:-6:-1]
    assert store.told(run.id, ("number",), 3, 2) == [(trial.number,) for trial in ended[3:5]]


def rows(store: Store, table: Any) -> list[dict[str, Any]]:
    with store._database.reading() as connection:
        found = [dict(row._mapping) for row in connection.execute(select(table))]
    found = [row for row in found if row.get("trials") != 0]  # a tally of none is as good as no tally
    return sorted(
        found, key=lambda row: [str(row.get(name)) for name in ("run", "id", "number", "state", "role", "rung")]
    )


SINCE = ("expected_gain", "label", "turn", "again", "sent_as", "sent")  # columns of runs that there were none of then


@pytest.mark.parametrize("again", [0.0, 0.1])
def test_a_database_of_before_gets_the_same_rows(store: Store, tmp_path: Path, again: float) -> None:
    run = history(store, 60, again=again, fidelity=Fidelity(eta=2, rungs=2))
    store.claims.release(run.id, "anna", "stopped")
    other = store.add_run("search", SEARCH)
    plain = {"run": [{k: v for k, v in row.items() if k not in SINCE} for row in rows(store, RUN)]}
    url = f"sqlite:///{tmp_path}/before.db"
    holding(url, plain | {"trial": rows(store, TRIAL)}, "0012")
    later = Store(url)
    for table in (RUN, TALLY, OUTLINE):
        left, right = rows(store, table), rows(later, table)
        for row in [*left, *right]:
            row.pop("edition", None)
            if again and (row.get("place") or 0) < 0:  # what a mean took the lead from
                row["place"] = None
            if again and row.get("place"):
                row["place"] = 1
        assert left == right
    assert later.lines(run.id, -1, 60) == store.lines(run.id, -1, 60)
    assert later.summary(other.id).tallies == ()
    later.close()


def test_a_quick_front_is_that_of_all_pairs() -> None:
    dice = random.Random(0)
    for width in (2, 3):
        points = [tuple(float(dice.randrange(12)) for _ in range(width)) for _ in range(60)]
        beaten = {
            index
            for index, own in enumerate(points)
            for place, other in enumerate(points)
            if other[-1] >= own[-1]
            and all(a <= b for a, b in zip(other[:-1], own[:-1]))
            and (other != own or place < index)
        }
        assert set(front(points)) == set(range(60)) - beaten
