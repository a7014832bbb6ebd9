"""Runs as Plotly figures, asked of the real service."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nas import figures
from nas.client import Client
from nas.objective import Objective
from nas.records import Run
from tests.service import PLAIN, POINTS, Service


@pytest.fixture(scope="module")
def run(service: Service) -> Run:
    return service.search(POINTS, error=0.01, name="clothes", objective=PLAIN)


def test_a_front_is_drawn_over_all_that_was_measured(run: Run, client: Client) -> None:
    measured, front, best = figures.pareto(run.id).data
    assert list(measured.x) == [cost for _, cost in POINTS]
    assert list(front.y) == [0.8, 0.9, 0.95]
    assert list(front.error_y.array) == [0.01] * 3
    assert (best.x[0], best.text[0]) == (16e6, "trial 3")
    again = figures.pareto(run.id, client=client, cost="params", target=1e5, w=-1)
    assert again.layout.xaxis.title.text == "Parameters"
    assert list(again.data[1].x) == [1e5, 4e5, 16e5]
    assert again.data[2].text[0] == "trial 0"


def test_latencies_are_those_of_the_device_that_is_named(service: Service) -> None:
    two = service.on_two_devices().id
    assert list(figures.pareto(two, device="cpu_eager").data[0].x) == [4.0, 1.0]
    assert list(figures.pareto(two).data[0].x) == [1.0, 4.0]


def test_runs_are_laid_over_each_other(service: Service, run: Run) -> None:
    growth = service.growth(run, tested=(0.97, 0.95))
    front, family = figures.compare(run.id, growth.id).data
    assert (front.name, family.name) == ("clothes", f"{growth.id} (test images)")
    assert list(family.text) == ["B0", "B1"]
    (alone,) = figures.family(growth.id).data
    assert list(alone.error_y.array) == [0.002, 0.002]
    (grown,) = figures.progress(run.id, growth.id).data
    assert list(grown.y) == [0.8, 0.9, 0.9, 0.95]
    assert json.loads(figures.progress(run.id).to_json())["layout"]["xaxis"]["title"]["text"] == "Compute, hours"


def test_columns_come_whole_where_they_come_in_parts(
    service: Service, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.search([(0.5, 100 + number) for number in range(5)], objective=Objective(target=1e2))
    whole, ask = client.columns(run.id), client._json
    monkeypatch.setattr(client, "_json", lambda *where, parameters: ask(*where, parameters={**parameters, "limit": 2}))
    assert client.columns(run.id) == whole
    assert whole["mult_adds"] == [100, 101, 102, 103, 104]
    assert whole["baseline"] == []


def test_without_plotly_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['plotly'] = None; import nas.figures"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert "NotInstalled: nas.figures needs plotly: pip install 'nas-service[figures]'" in ran.stderr
