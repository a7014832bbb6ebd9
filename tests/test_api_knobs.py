"""Which knobs of a search mattered, over HTTP and on the command line. OpenAPI describes every answer."""

import re

import pytest

from nas.importance import importances
from nas.measurements import Measurement
from nas.networks.architecture import Choices, Knobs
from nas.records import Run
from tests.command_line import nas, unwrapped
from tests.service import PLAIN, UNKNOWN, Service


def decided(service: Service, networks: int) -> tuple[Run, str]:
    """A search in which the choice of one knob alone decides, and that knob's name."""
    run = service.search([], running=networks, objective=PLAIN, trials=networks)
    jobs = [service.store.trial(run.id, number).job for number in range(networks)]
    knob = max(jobs[0].choices, key=lambda name: len({job.choices[name] for job in jobs}))
    order = sorted({job.choices[knob] for job in jobs}, key=str)
    for job in jobs:
        place = order.index(job.choices[knob])
        accuracy = 0.5 + 0.1 * place + 1e-4 * (job.number % 7)
        measured = Measurement(params=1000 + job.number, mult_adds=10**6 * (1 + place), accuracy=accuracy)
        service.end(job, measured)
    return run, knob


def test_the_knob_that_decides_comes_first(service: Service) -> None:
    run, knob = decided(service, 60)
    found = service.get(f"/v1/searches/{run.id}/knobs")
    first = found["knobs"][0]
    assert first["name"] == knob
    assert first["importance"] > max(other["importance"] for other in found["knobs"][1:])
    assert sum(each["importance"] for each in found["knobs"]) == pytest.approx(1)
    assert sum(its["networks"] for its in first["choices"]) == found["measured"] == 60
    by_choice = {str(its["choice"]): its for its in first["choices"]}
    for place, choice in enumerate(sorted(by_choice)):
        assert by_choice[choice]["value"] == pytest.approx(0.5 + 0.1 * place, abs=1e-3)
        assert by_choice[choice]["cost"] == 10**6 * (1 + place)
    for its in found["knobs"]:
        offered = [each["choice"] for each in its["choices"]]
        assert isinstance(offered[0], str) or offered == sorted(offered)
    for network in found["networks"][:5]:
        choices = service.store.trial(run.id, network["number"]).job.choices
        for its, place in zip(found["knobs"], network["choices"]):
            assert its["choices"][place]["choice"] == choices[its["name"]]


def test_by_another_objective_other_networks_are_best(service: Service) -> None:
    run, knob = decided(service, 30)
    own, other = (
        next(its for its in service.get(f"/v1/searches/{run.id}/knobs?{query}")["knobs"] if its["name"] == knob)
        for query in ("", "cost=params&target=1&w=-9")
    )
    assert all(its["cost"] < 2000 for its in other["choices"])
    assert [its["best"] for its in own["choices"]] != [its["best"] for its in other["choices"]]
    service.get(f"/v1/searches/{run.id}/knobs?cost=params", 422)
    service.get(f"/v1/searches/{UNKNOWN}/knobs", 404)


def test_few_networks_say_nothing_of_importance(service: Service) -> None:
    run, _ = decided(service, 8)
    assert {its["importance"] for its in service.get(f"/v1/searches/{run.id}/knobs")["knobs"]} == {None}
    assert "told from 20 networks on" in nas("knobs", run.id).out
    nothing = service.search([])
    assert service.get(f"/v1/searches/{nothing.id}/knobs")["knobs"] == []
    assert "No two choices" in nas("knobs", nothing.id).out


def test_on_the_command_line(service: Service) -> None:
    run, knob = decided(service, 40)
    shown = nas("knobs", run.id)
    assert shown.code == 0, shown.error
    (first, *_) = service.get(f"/v1/searches/{run.id}/knobs")["knobs"]
    line = next(line for line in shown.out.splitlines() if line.startswith(knob))
    assert f"{100 * first['importance']:.0f} %" in line
    assert re.search(r"Means of 40 networks, and the best of each", unwrapped(shown.out))
    assert max(map(len, shown.out.splitlines())) <= 80


def test_knobs_that_decide_together_share_it() -> None:
    knobs: Knobs = {"a": (1, 2), "b": ("x", "y"), "c": (True, False)}
    networks: list[Choices] = [{"a": 1 + n % 2, "b": "xy"[n // 2 % 2], "c": n // 4 % 2 == 0} for n in range(64)]
    shares = importances(knobs, networks, [float(its["a"] == 2 and its["b"] == "y") for its in networks])
    assert shares["a"] == pytest.approx(shares["b"])
    assert shares["c"] < 0.05
    assert importances(knobs, networks[:19], [1.0] * 19) == {}
