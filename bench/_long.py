"""A search of many ended trials, written in bulk as its coordinator would have one by one."""

import dataclasses
import random
from collections.abc import Iterator
from typing import Any

from sqlalchemy import insert

from nas.measurements import Latency, Measurement
from nas.networks.architecture import Images, random_choices
from nas.networks.counts import counts
from nas.objective import Objective
from nas.outlines import Tally, added, columns, comparable, tally
from nas.recipes import RECIPES
from nas.records import Job, Run, Trial
from nas.specs import SearchSpec
from nas.store import Store
from nas.store.leads import Leaders
from nas.store.rows import EDITION
from nas.store.tables import OUTLINE, TALLY, TRIAL
from nas.store.text import packed, written
from search_spaces import mbconv

IMAGES = Images(resolution=28, channels=1, classes=10)
OBJECTIVE = Objective(target=5e6)
NETWORKS = 500  # different ones; more differ in their digests alone
FAILED, REFUSED = 0.01, 0.05
IMAGES_SCORED = 10_000
BATCH = 1000  # rows that are written at once


def long(store: Store, count: int) -> Run:
    """A finished search of so many trials of random networks, measured by formula; one in a hundred failed, and one in
    twenty was refused."""
    spec = SearchSpec(name="long", dataset="fashion_mnist", objective=OBJECTIVE, trials=count, searcher="random")
    run, leaders, places = store.add_run("search", spec), Leaders(), dict[int, int]()
    tallies: dict[str, Tally] = {}
    trials: list[dict[str, Any]] = []
    outlines: list[dict[str, Any]] = []
    networks = 0
    for trial in _trials(run, count):
        texts = {"job": written(trial.job), "measurement": trial.measurement and written(trial.measurement)}
        trials.append({**vars(trial), **texts})
        own: dict[str, Any] = dict.fromkeys(column.name for column in OUTLINE.c)
        own |= columns(spec, trial)
        own["latencies"] = own["latencies"] and packed(own["latencies"])
        outlines.append(own | {"run": run.id, "number": trial.number, "edition": EDITION})
        more = tally(trial, comparable(spec, trial.job, trial.measurement))
        tallies[more.state] = added(tallies[more.state], more) if more.state in tallies else more
        networks += more.networks
        before = set(leaders.points)
        if own["reward"] is not None and leaders.add(trial.number, own["reward"], (own["cost"], own["value"])):
            places[trial.number] = networks
            places |= {number: -places[number] for number in before - set(leaders.points)}
        if len(trials) == BATCH or trial.number == count - 1:
            with store._database.writing() as connection:
                connection.execute(insert(TRIAL), trials)
                connection.execute(insert(OUTLINE), outlines)
            trials, outlines = [], []
    with store._database.writing() as connection:
        for sums in tallies.values():
            connection.execute(insert(TALLY).values(run=run.id, **vars(sums) | {"rung": -1}))
        for number, place in places.items():
            where = (OUTLINE.c.run == run.id) & (OUTLINE.c.number == number)
            connection.execute(OUTLINE.update().where(where).values(place=place))
    return run


def jobs(run: str) -> Iterator[Job]:
    """Without an end."""
    draw, number = random.Random(1), 0
    knobs = mbconv.knobs(IMAGES)
    drawn = [random_choices(knobs, draw) for _ in range(NETWORKS)]
    made = [(choices, mbconv.architecture(choices, IMAGES)) for choices in drawn]
    while True:
        for choices, architecture in made:
            yield Job(
                run=run,
                number=number,
                space="mbconv",
                architecture=architecture,
                choices=choices,
                network=f"{number:064x}",
                dataset="fashion_mnist",
                devices=("cpu",),
                recipe=RECIPES["search"],
            )
            number += 1


def _trials(run: Run, count: int) -> Iterator[Trial]:
    dice = random.Random(2)
    for job in jobs(run.id):
        if job.number == count:
            return
        lot, came = dice.random(), measured(job, dice)
        trial = Trial(
            run=run.id,
            number=job.number,
            state="done",
            job=job,
            measurement=came,
            finished=job.number + 1,
            started_at=run.created_at + 20.0 * job.number,
            ended_at=run.created_at + 20.0 * job.number + 40.0,
            compute_seconds=35.0,
        )
        if lot < FAILED:
            trial = dataclasses.replace(
                trial, state="failed", measurement=None, error="RuntimeError: loss is not finite"
            )
        elif lot < FAILED + REFUSED:
            over = dataclasses.replace(
                came, accuracy=None, refused="latency_ms 9 over the limit of 4", train_seconds=0.0
            )
            trial = dataclasses.replace(trial, state="refused", measurement=over)
        yield trial


def measured(job: Job, dice: random.Random) -> Measurement:
    counted = counts(job.architecture)
    milliseconds = 0.1 + counted.mult_adds / 6e6 * dice.uniform(0.8, 1.3)
    latency = Latency(
        device="cpu",
        median_ms=milliseconds,
        p95_ms=1.2 * milliseconds,
        minimum_ms=0.95 * milliseconds,
        spread=0.02,
        runs=200,
        error_ms=0.01 * milliseconds,
        fingerprint={"processor": "a processor of some length", "threads": "1", "runtime": "onnxruntime 1.20"},
    )
    promise = 0.92 - 0.2 * 2 ** (-counted.mult_adds / 2e6) + dice.gauss(0, 0.01)
    return Measurement(
        params=counted.params,
        mult_adds=counted.mult_adds,
        latencies={"cpu": latency},
        accuracy=round(promise * IMAGES_SCORED) / IMAGES_SCORED,
        accuracy_error=0.003,
        train_seconds=30.0,
        seconds=33.0,
        trained_on="a processor of some length",
    )
