"""What the searcher bench says of a search is true of the product's."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from optuna.samplers import RandomSampler

from api.views import search
from bench import _tables
from bench._lifts import lifts
from bench._peers import Constrained
from bench._searcher_runs import Course, Trail, best_measured, follow, landscape, objective, true_reward
from bench.demo import OTHER_SECONDS, WORKS, Work, fitting
from nas import plugins
from nas.confirmation import Measured
from nas.measurements import Measurement
from nas.networks.architecture import Architecture, Choices, Images, Knobs, Stage
from nas.objective import Objective
from nas.records import Job, Trial
from nas.searchers import Outcome, Problem, Searcher
from tests.waiting import eventually, heeded

NETWORK = Architecture(
    images=Images(resolution=28, channels=1, classes=10),
    stem=8,
    stem_stride=2,
    stages=(Stage(op="conv", kernel=3, stride=1, expand=1, channels=8, repeats=1),),
    head=0,
)


def trials(measured: list[Measured]) -> list[Trial]:
    """The first training of each network, then the further ones."""
    rows: list[Trial] = []
    for training in range(max(len(one.accuracies) for one in measured)):
        for network, one in enumerate(measured):
            if training < len(one.accuracies):
                job = Job(
                    run="r", number=len(rows), space="mbconv", architecture=NETWORK, devices=("cpu",),
                    repeats=network if training else None,
                )  # fmt: skip
                result = Measurement(params=1, mult_adds=round(one.costs[0]), accuracy=one.accuracies[training])
                rows.append(
                    Trial(run="r", number=job.number, state="done", job=job, measurement=result, started_at=0.0)
                )
    return rows


def test_the_demo_does_as_much_as_fits_into_its_minutes() -> None:
    fast, slow = (5_000, 2_700, 2_200, 1_200), (500, 270, 220, 120)
    seconds = [work.seconds(slow) for work in WORKS]
    assert seconds == sorted(seconds, reverse=True)
    assert fitting(10, fast) == WORKS[0]
    some = fitting(10, slow)
    assert WORKS.index(some) > 0
    assert some.seconds(slow) <= 600 < WORKS[WORKS.index(some) - 1].seconds(slow)
    assert fitting(0.01, slow) == WORKS[-1]


def test_the_demo_reckons_with_two_trainings_at_once() -> None:
    work = Work(candidates=4, candidate_images=1_000, epochs=2, images=3_000)
    searched = 4 * 2 * 1_000 / 100 / 2
    assert work.seconds((100, 100, 100, 100)) == pytest.approx(OTHER_SECONDS + searched + 4 * 60 / 2)
    assert work.seconds((100, 100, 100, 10)) == pytest.approx(OTHER_SECONDS + searched + 600)


DEMO = """
import sys, time
from pathlib import Path
from bench import demo

demo.STATE = Path(sys.argv[1])
demo.LOG = demo.STATE / "serve.log"
demo.side_by_side = lambda: [1000.0] * 4
demo.wait_for = lambda url, process: print("serves", process.pid, flush=True)
demo.main_job = lambda url, work: time.sleep(3600)
sys.argv[1:] = []
sys.exit(demo.main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_ended_leaves_no_service(number: int, tmp_path: Path) -> None:
    with heeded(signal.SIGTERM, signal.SIGINT):
        demo = subprocess.Popen([sys.executable, "-c", DEMO, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with demo:
        assert demo.stdout
        service = next(int(line.split()[1]) for line in demo.stdout if line.startswith("serves"))
        demo.send_signal(number)
        assert demo.wait() == 130
    eventually(lambda: not _there(service))


def _there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_bench_hands_over_what_a_search_does() -> None:
    """Among networks with luck, ties and costs over the target."""
    aim = Objective(target=5.0, w_under=0, w_over=-1, cost="mult_adds")
    draw = random.Random(0)
    for _ in range(300):
        measured = [
            Measured(
                costs=(float(draw.randint(2, 6)),),
                accuracies=tuple(draw.choice((0.90, 0.92, 0.94)) for _ in range(draw.choice((1, 1, 2, 3)))),
            )
            for _ in range(8)
        ]
        best = search.best(search.among(trials(measured), aim, "cpu"), aim)
        assert best is not None
        assert best_measured(measured, aim) == best.number


def test_a_belief_is_reported_and_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course(
        landscape="synthetic 2 stages", searcher="random", goal="accuracy", filtered=False, seed=0, trials=40,
        confirm=10,
    )  # fmt: skip
    plain = follow(course)
    assert len(set(plain.points)) < 40, "no lead was confirmed"
    assert not plain.believed

    def in_the_first(searcher: Searcher, networks: Sequence[Choices]) -> list[float]:
        return [1.0, *[0.0] * (len(networks) - 1)]

    monkeypatch.setattr(plugins.load("nas.searchers", "random").Searcher, "believed", in_the_first, raising=False)
    believing = follow(course)
    cost, accuracy = believing.points[0]
    aim = objective(course.goal, landscape(course.landscape).targets)
    first = true_reward(course.goal, aim, cost, accuracy)
    assert believing.believed == {25: first, 40: first}
    assert believing.handed == plain.handed
    assert first < min(plain.handed.values())


def test_cells_that_are_one_network_are_its_trainings(tmp_path: Path) -> None:
    """Of three cells the second has an edge that leads nowhere."""
    codes = np.array([[0, 0, 0, 3, 0, 0], [3, 0, 0, 3, 0, 0], [0, 0, 0, 1, 0, 0]], np.uint8)
    accuracies, latencies = np.array([70.0, 72.0, 10.0]), np.array([5.0, 6.0, 1.0])
    np.savez(tmp_path / _tables.NASBENCH201, codes=codes, acc12_cifar10_val=accuracies, ms_pixel3=latencies)
    land = landscape(str(tmp_path / f"{_tables.NASBENCH201},cifar10,pixel3"))
    assert land.networks is not None
    one, other = land.networks
    dead = {**one, "node1.from0": "nor_conv_3x3"}
    assert land.canonical(dead) == one
    assert land.trainings(dead) == land.trainings(one) == pytest.approx((0.7, 0.72))
    assert (land.cost(dead), land.cost(other)) == (5.0, 1.0)
    assert _tables.missing(tmp_path) == [_tables.MACRO, _tables.GRAPH]


def test_choices_of_a_graph_that_build_nothing_are_not_tried(tmp_path: Path) -> None:
    """Its first choices build one network, its last none."""
    mapping = np.arange(9**5) // 2
    mapping[-1], count = -1, 9**5 // 2
    values = np.linspace(0.1, 0.9, count + 1)
    np.savez(tmp_path / _tables.GRAPH, mapping=mapping, arxiv_valid_perf=values, arxiv_latency=values)
    land = landscape(str(tmp_path / f"{_tables.GRAPH},arxiv"))
    first, second, last = ({knob: options[place] for knob, options in land.knobs.items()} for place in (0, 0, -1))
    second["operation4"] = land.knobs["operation4"][1]
    assert land.canonical(second) == land.canonical(first) == first
    assert land.exists(second)
    assert not land.exists(last)


def test_a_lift_is_of_medians_and_a_run_that_never_came_near_took_all_its_trials(
    capsys: pytest.CaptureFixture[str],
) -> None:
    land = landscape("synthetic 2 stages")
    ranked = sorted(land.networks or (), key=land.accuracy)
    worst, best = ((land.cost(one), land.accuracy(one)) for one in (ranked[0], ranked[-1]))
    results = {
        Course(landscape=land.name, searcher=name, goal="accuracy", filtered=False, seed=seed, trials=20):
            Trail([*[worst] * (count - 1), *[best] * (21 - count)], {}, {})
        for name, counts in {"surrogate": (5, 5, 4), "random": (10, 21, 21)}.items()
        for seed, count in enumerate(counts)
    }  # fmt: skip
    lifts(land, "accuracy", results, "surrogate", 20)
    *shares, lift = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(row["value"], row["holds"]) for row in shares] == [(1, True), (pytest.approx(1 / 3, rel=0.01), None)]
    assert (lift["value"], lift["peer"], lift["peer_value"], lift["ratio"], lift["holds"]) == (5, "random", 20, 4, True)
    assert lift["interval"][0] == 2
    assert lift["interval"][1] == 5


def test_where_there_is_a_limit_a_peer_may_be_told_of_it_as_its_constraint() -> None:
    """By the share that a cost is over it."""
    knobs: Knobs = {"width": (1.0, 2.0)}
    peer = Constrained(Problem(knobs=knobs, objective=Objective(target=2.0)), RandomSampler(seed=0))
    for width in (1.0, 2.0):
        peer.tell({"width": width}, Outcome(accuracy=0.5, cost=3 * width))
    assert [list(trial.constraints.values()) for trial in peer.trials] == [[0.5], [2.0]]
    assert peer.ask(2, [])["width"] in knobs["width"]
