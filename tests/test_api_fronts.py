"""The Pareto front over HTTP: ranked, compared with published networks, by device. OpenAPI describes every answer."""

import math
from dataclasses import replace
from typing import Any

import pytest

from api.views import search
from nas.measurements import Measurement
from nas.objective import Objective
from nas.recipes import Recipe
from nas.specs import Fidelity
from tests.service import OWNER, PLAIN, POINTS, SMALLEST, Service, latency


def test_the_front_is_ranked_by_the_searchs_own_objective(service: Service) -> None:
    run = service.search(POINTS, running=1, objective=Objective(target=4e6, w_under=0.0, w_over=-1.0))
    found = service.get(f"/v1/searches/{run.id}/pareto")
    assert (found["search"], found["measured"]) == (run.id, 4)
    assert [row["number"] for row in found["front"]] == [0, 1, 3]
    assert [row["cost"] for row in found["front"]] == [1e6, 4e6, 16e6]
    # Free up to the target, and a quarter of the accuracy at four times the target.
    assert [row["reward"] for row in found["front"]] == pytest.approx([0.8, 0.9, 0.2375])
    assert found["best"] == found["front"][1]


def test_a_front_may_have_two_costs(service: Service) -> None:
    run = service.search(POINTS, objective=Objective(form="front", also="params"))
    address = f"/v1/searches/{run.id}/pareto"
    both = service.get(address)
    assert [row["number"] for row in both["front"]] == [0, 1, 3]
    assert [row["also"] for row in both["front"]] == [row["params"] for row in both["front"]]
    swapped = service.get(f"{address}?cost=params&target=1e5")
    assert (swapped["objective"]["cost"], swapped["objective"]["also"]) == ("params", "mult_adds")
    assert service.get(f"{address}?form=product")["objective"]["also"] is None
    problem = service.get(f"{address}?form=front&also=mult_adds", status=422)
    assert problem["errors"][0]["pointer"] == "?also"
    latency = service.get(f"{address}?also=latency_ms")
    assert [row["also"] for row in latency["front"]] == [row["latencies_ms"]["cpu"] for row in latency["front"]]


@pytest.mark.parametrize(
    ("query", "rewards", "best"),
    [
        # (1/4)^-0.5 = 2, (4/4) = 1, (16/4)^-0.5 = 1/2
        ("target=4e6&w=-0.5", [1.6, 0.9, 0.475], 0),
        ("w=0", [0.8, 0.9, 0.95], 3),
        ("target=1e6&w=-1", [0.8, 0.225, 0.059375], 0),
        ("target=16e6&w=0,-1", [0.8, 0.9, 0.95], 3),
        ("target=16e6", [0.8, 0.9, 0.95], 3),
        ("target=4000000&w_under=0&w_over=-0.5", [0.8, 0.9, 0.475], 1),
        ("target=4e6&w=-0.5&w_under=0", [0.8, 0.9, 0.475], 1),
    ],
)
def test_another_objective_ranks_again_what_was_measured(
    service: Service, query: str, rewards: list[float], best: int
) -> None:
    run = service.search(POINTS)
    before = service.get(f"/v1/searches/{run.id}/pareto")
    found = service.get(f"/v1/searches/{run.id}/pareto?{query}")
    assert [row["reward"] for row in found["front"]] == pytest.approx(rewards)
    assert found["best"]["number"] == best
    assert service.get(f"/v1/searches/{run.id}/pareto") == before


def test_a_front_by_latency_needs_a_target_of_its_own_and_measured_latencies(service: Service) -> None:
    run = service.search(POINTS)
    problem = service.get(f"/v1/searches/{run.id}/pareto?cost=latency_ms", status=422)
    assert "latency_ms" in problem["detail"]
    assert problem["errors"][0]["pointer"] == "?target"
    found = service.get(f"/v1/searches/{run.id}/pareto?cost=latency_ms&target=2")
    assert (found["front"], found["best"], found["measured"]) == ([], None, 0)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("target=0", "target 0.0 is not a positive number"),
        ("target=-1", "target -1.0"),
        ("target=nan", "target nan"),
        ("target=inf", "target inf"),
        ("target=lots", '"lots" is not a valid number'),
        ("w=1", "w 1.0 is not between -10 and 0"),
        ("w=nan", "w nan"),
        ("w=a", "'a' is neither a number nor two"),
        ("w=0,0,0", "'0,0,0'"),
        ("w_over=-11", "w_over -11.0"),
        ("cost=flops", "\"flops\" is not 'latency_ms', 'mult_adds', 'params', 'peak_memory' or 'model_bytes'"),
        ("goal=1", "unknown parameter 'goal': there are cost, target, w, w_under, w_over, form, also, metric, device"),
    ],
)
def test_an_objective_that_is_none_is_refused(service: Service, query: str, words: str) -> None:
    run = service.search([])
    assert words in service.get(f"/v1/searches/{run.id}/pareto?{query}", status=422)["detail"]


def test_a_lead_that_was_trained_again_is_judged_by_its_mean(service: Service) -> None:
    """Trial 1 leads, is trained again as trials 2 and 3, and is tied with trial 0 on its mean."""
    points = [(0.90, 1_000_000), (0.94, 4_000_000), (0.88, 4_000_000), (0.91, 1_000_000)]
    run = service.search(points, objective=PLAIN, confirm=2, trials=4, error=0.004)
    trials = service.get(f"/v1/searches/{run.id}/trials")["trials"]
    assert [trial["job"]["repeats"] for trial in trials] == [None, None, 1, 0]
    assert [trial["reward"] for trial in trials] == [0.90, 0.94, 0.88, 0.91]
    found = service.get(f"/v1/searches/{run.id}/pareto")
    assert found["measured"] == 2
    assert [(row["number"], row["trainings"], row["tied_with"]) for row in found["front"]] == [(0, 2, [1]), (1, 2, [0])]
    assert [row["accuracy"] for row in found["front"]] == pytest.approx([0.905, 0.91])
    of_seeds = ((0.005**2 + 0.03**2) * 2 / 2) / 2  # of a mean of two, from the variances of both networks
    error = (of_seeds + 0.004**2) ** 0.5
    assert [row["accuracy_error"] for row in found["front"]] == pytest.approx([error, error])
    assert found["best"] == found["front"][1] == service.get(f"/v1/searches/{run.id}")["best"]


def test_networks_of_a_front_that_chance_may_have_put_in_order_are_tied(service: Service) -> None:
    """By the error of so many images, where each was trained once; and with none, nothing is tied."""
    points = [(0.90, 1_000_000), (0.905, 2_000_000), (0.93, 3_000_000)]
    run = service.search(points, objective=PLAIN, error=0.004)
    front = service.get(f"/v1/searches/{run.id}/pareto")["front"]
    assert [row["tied_with"] for row in front] == [[1], [0], []]
    unknown = service.search(points, objective=PLAIN)
    assert all(not row["tied_with"] for row in service.get(f"/v1/searches/{unknown.id}/pareto")["front"])


def test_a_low_rung_is_never_compared_with_a_high_one(service: Service) -> None:
    """The front and the best are of the highest rung that was reached, though lower ones look better."""
    points = [(0.99, 1_000_000), (0.98, 2_000_000), (0.5, 1_000_000)]
    spec: dict[str, Any] = {
        "objective": PLAIN,
        "fidelity": Fidelity(eta=2, rungs=2),
        "recipe": Recipe(epochs=4),
        "trials": 3,
    }
    below = service.search(points[:2], **spec)
    address = f"/v1/searches/{below.id}"
    assert [row["rung"] for row in service.get(f"{address}/pareto")["front"]] == [0]
    run = service.search(points, **spec)
    address = f"/v1/searches/{run.id}"
    trials = service.get(f"{address}/trials")["trials"]
    assert [(trial["job"]["rung"], trial["job"]["promotes"]) for trial in trials] == [(0, None), (0, None), (1, 0)]
    assert [trial["job"]["recipe"]["epochs"] for trial in trials] == [2, 2, 4]
    front = service.get(f"{address}/pareto")
    assert (front["measured"], [row["number"] for row in front["front"]]) == (1, [2])
    assert service.get(address)["best"]["number"] == 2
    grown = service.post("/v1/growths", {"search": run.id, "members": ["B0"]})
    assert grown["spec"]["source"] == [run.id, 2]


def test_a_baseline_is_compared_once_the_search_has_come_as_high(service: Service) -> None:
    points = [(0.8, 5_000_000), (0.9, 1_000_000), (0.91, 2_000_000), (0.95, 2_000_000)]
    spec: dict[str, Any] = {
        "objective": PLAIN,
        "fidelity": Fidelity(eta=2, rungs=2),
        "recipe": Recipe(epochs=4),
        "trials": 4,
        "baselines": ("ResNet-20 (CIFAR)",),
    }
    early = service.search(points[:3], **spec)
    assert service.get(f"/v1/searches/{early.id}/pareto")["measured"] == 2
    whole = service.search(points, **spec)
    found = service.get(f"/v1/searches/{whole.id}/pareto")
    assert (found["measured"], found["best"]["number"]) == (2, 3)


def test_each_device_has_a_front_and_a_best_network_of_its_own(service: Service) -> None:
    run = service.on_two_devices()
    here = service.get(f"/v1/searches/{run.id}/pareto")
    assert (here["device"], [row["number"] for row in here["front"]], here["best"]["number"]) == ("cpu", [0, 1], 0)
    assert service.get(f"/v1/searches/{run.id}/pareto?device=cpu") == here
    there = service.get(f"/v1/searches/{run.id}/pareto?device=cpu_eager")
    assert (there["device"], [row["number"] for row in there["front"]]) == ("cpu_eager", [1])
    assert (there["best"]["cost"], there["best"]["latencies_ms"]) == (1.0, {"cpu": 4.0, "cpu_eager": 1.0})
    for query, words in (
        ("device=cpu_compile", "was not measured on device 'cpu_compile': there are cpu, cpu_eager"),
        ("device=cpu&cost=mult_adds&target=1e6", "device 'cpu' has no part in cost 'mult_adds'"),
    ):
        problem = service.get(f"/v1/searches/{run.id}/pareto?{query}", status=422)
        assert words in problem["detail"]
        assert problem["errors"][0]["pointer"] == "?device"


def test_of_several_trainings_what_is_well_known_of_latency_counts_for_more(service: Service) -> None:
    """And for the same where nothing is known of the errors."""
    objective = Objective(cost="latency_ms", target=2.0)
    first, *others = service.store.trials(service.search([], running=3, objective=objective).id)
    jobs = [first.job, *(replace(first.job, number=trial.number, repeats=first.number) for trial in others)]
    errors_ms = ((9.0, 3.0), (1.0, 0.1), (2.0, 0.1))
    here = [replace(latency(median_ms), error_ms=error_ms) for median_ms, error_ms in errors_ms]
    there = [latency(9.0), latency(8.0), replace(latency(4.0), error_ms=0.1)]
    trials = [
        replace(
            first,
            number=job.number,
            job=job,
            measurement=Measurement(params=1, mult_adds=1, accuracy=0.9, latencies={"cpu": one, "cpu_eager": other}),
        )
        for job, one, other in zip(jobs, here, there)
    ]
    ((network, _),) = search.among(trials, objective, "cpu")
    weights = (1 / 9, 100, 100)
    mean = (9 * weights[0] + weights[1] + 2 * weights[2]) / sum(weights)
    assert network.trainings == 3
    assert network.cost == pytest.approx(mean)
    assert network.latencies_ms == {"cpu": pytest.approx(mean), "cpu_eager": 7.0}
    assert network.latency_errors_ms == {"cpu": pytest.approx(1 / math.sqrt(sum(weights)))}
    ((network, _),) = search.among(trials, objective, "cpu_eager")
    assert network.cost == 7.0


def test_a_search_is_compared_with_published_networks(service: Service) -> None:
    names = [row["name"] for row in service.get("/v1/published")["published"]]
    assert "LeNet-5" in names
    made = service.post("/v1/searches", {**SMALLEST, "baselines": ["ResNet-20 (CIFAR)"]})
    assert made["spec"]["baselines"] == ["ResNet-20 (CIFAR)"]
    run = service.search([(0.99, 1000), (0.8, 2000)], baselines=("ResNet-20 (CIFAR)",))
    front = service.get(f"/v1/searches/{run.id}/pareto")
    assert [row["baseline"] for row in front["front"]] == ["ResNet-20 (CIFAR)"]
    assert front["best"]["number"] == 1  # what the search found is what is grown
    assert front["best"]["baseline"] is None


def test_the_front_tells_how_it_grew_and_can_be_ranked_by_another_form(service: Service) -> None:
    points = [(0.8, 4_000_000), (0.7, 9_000_000), (0.9, 8_000_000), (0.85, 3_000_000)]
    run = service.search(points, objective=Objective(form="front"))
    shown = service.get(f"/v1/searches/{run.id}/pareto")
    assert shown["objective"]["form"] == "front"
    # The front is from 3 M, 0.85 to 8 M, 0.9: areas above 0.845 and up to 8.5 M.
    expected = [[1, 0.0], [2, 0.0], [3, 0.055 * 0.5 / (0.005 * 5.5 + 0.05 * 0.5)], [4, 1.0]]
    assert [[count, pytest.approx(share)] for count, share in expected] == shown["hypervolumes"]
    other = service.get(f"/v1/searches/{run.id}/pareto?form=absolute&w=-0.1&target=8e6")
    assert other["objective"]["form"] == "absolute"
    assert [row["reward"] for row in other["front"]] == pytest.approx([0.85 - 0.1 * 5 / 8, 0.9])
    service.get(f"/v1/searches/{run.id}/pareto?form=sum", status=422)
    assert service.get(f"/v1/searches/{service.search([]).id}/pareto")["hypervolumes"] == []


def test_what_was_predicted_stands_beside_what_was_measured(service: Service) -> None:
    run = service.search([(0.9, 4_000_000)], running=3)
    for number, predicted_ms, median_ms in ((1, 1.1, 1.0), (2, 1.8, 2.0), (3, 9.0, 3.0)):
        job = replace(service.store.trial(run.id, 0).job, number=number + 3, predicted_ms=predicted_ms)
        service.store.claims.begin(OWNER, job)
        if number < 3:  # the last one has not been measured yet
            service.end(job, Measurement(params=9, mult_adds=9, accuracy=0.5, latencies={"cpu": latency(median_ms)}))
    found = service.get(f"/v1/searches/{run.id}/predictions")
    assert [(row["number"], row["predicted_ms"], row["measured_ms"]) for row in found["networks"]] == [
        (4, 1.1, 1.0),
        (5, 1.8, 2.0),
    ]
    assert (found["device"], found["error"], found["rank"]) == ("cpu", pytest.approx(0.1), 1.0)
    none = service.get(f"/v1/searches/{service.search([(0.9, 4_000_000)]).id}/predictions")
    assert (none["error"], none["rank"], none["networks"]) == (None, None, [])


def test_a_latency_that_is_known_too_roughly_is_the_best_only_where_no_other_fits(service: Service) -> None:
    """Trial 0 has the highest reward, by a latency of ± 50 %; of the others trial 1 has."""
    objective = Objective(cost="latency_ms", target=2.0, w_under=0.0, w_over=-1.0)
    run = service.search([], running=3, objective=objective, trials=9)
    for number, accuracy, median_ms, error in ((0, 0.95, 1.0, 0.5), (1, 0.9, 1.5, 0.01), (2, 0.8, 3.0, 0.01)):
        took = latency(median_ms, error_ms=error * median_ms)
        measured = Measurement(params=9, mult_adds=9, accuracy=accuracy, latencies={"cpu": took})
        service.end(service.store.trial(run.id, number).job, measured)
    address = f"/v1/searches/{run.id}"
    found = service.get(f"{address}/pareto")
    assert [(row["number"], row["noisy"]) for row in found["front"]] == [(0, True)]
    shown = service.get(address)
    assert (found["best"]["number"], found["best"]["noisy"], shown["best"]["number"]) == (1, False, 1)
    words = "Trial 0 may be better, but its latency is known to ± 50 % only: measure it again."
    assert words in shown["verdict"].replace("\N{NO-BREAK SPACE}", " ")
    # Nothing that is well known is as fast as that.
    strict = service.get(f"{address}/pareto?target=1.2")
    assert (strict["best"]["number"], strict["best"]["noisy"]) == (0, True)
    assert service.get(f"{address}/pareto?cost=params&target=10")["best"]["noisy"] is False
    # With one exponent the target is no bound.
    assert service.get(f"{address}/pareto?target=1.2&w=-0.07")["best"]["number"] == 1


def test_a_latency_is_measured_again_when_somebody_asks(service: Service) -> None:
    objective = Objective(cost="latency_ms", target=2.0, w_under=0.0, w_over=-1.0)
    run = service.search([], running=1, objective=objective, trials=1)
    address, job = f"/v1/searches/{run.id}", service.store.trial(run.id, 0).job
    problem = service.post(f"{address}/trials/0/measure", status=409)
    assert problem["detail"] == f"trial 0 of run {run.id} is running and has no latency"
    rough = Measurement(params=9, mult_adds=9, accuracy=0.9, latencies={"cpu": latency(1.0, error_ms=1.3)})
    service.end(job, rough)
    service.store.claims.release(run.id, OWNER, "finished")
    asked = service.post(f"{address}/trials/0/measure", status=200)
    assert (asked["state"], asked["again"], asked["trials"]) == ("queued", [0], 2)
    assert service.post(f"{address}/trials/0/measure", status=200)["trials"] == 2  # once is enough
    again = service.claimed(service.store.run(run.id))
    assert again.again == (0,)
    service.store.claims.begin(OWNER, replace(job, number=1, measures=0, dataset=None, recipe=None))
    assert service.get(address)["again"] == []
    better = replace(rough, accuracy=None, latencies={"cpu": latency(1.2, error_ms=0.01)})
    service.store.claims.end(OWNER, 1, run.id, "done", better)
    best = service.get(address)["best"]
    assert (best["number"], best["cost"], best["noisy"]) == (0, 1.2, False)
    assert service.get(f"{address}/columns")["latencies"][0] == [[1.2, 0.01]]
    service.store.claims.release(run.id, OWNER, "stopped")
    problem = service.post(f"{address}/trials/0/measure", status=409)
    assert problem["detail"] == f"run {run.id} is stopped: it measures nothing any more, `nas measure` does"
