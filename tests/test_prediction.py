"""What a search knows of latencies before it measures any, from a real database."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.measurements import Measurement
from nas.objective import Objective
from nas.records import Job, Run
from nas.specs import Limits
from tests.past import OWNER, SEARCH, Past
from tests.test_latency_predictor import cost
from workers.prediction import prediction

SPEC = dataclasses.replace(SEARCH, objective=Objective(cost="latency_ms", target=1.0), limits=Limits())


class Exact(Past):
    """Its device takes for a network what its layers cost, but for some noise."""

    noise, slower = 0.0, 1.0

    def measured(self, job: Job) -> Measurement:
        found = super().measured(job)
        milliseconds = self.slower * cost(job.architecture) * (1 + self.noise * self.dice.choice((-1, 1)))
        (latency,) = found.latencies.values()
        return dataclasses.replace(
            found, latencies={latency.device: dataclasses.replace(latency, median_ms=milliseconds)}
        )


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exact]:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    its = Exact.beginning(tmp_path)
    yield its
    its.store.close()


def begun(past: Exact, **changes: object) -> Run:
    past.clock.now += 1
    return past.search(dataclasses.replace(SPEC, **changes), 0)  # type: ignore[arg-type]


def said(past: Exact, run: Run) -> list[str]:
    return [event.text for event in past.store.events(run.id) if event.kind == "prediction"]


def test_latency_is_learnt_from_what_was_measured_before_and_from_nothing_since(past: Exact) -> None:
    before = past.search(SEARCH, 60)
    run = begun(past)
    found = prediction(past.store, run)
    assert found is not None
    assert (found.networks, found.error < 0.03) == (60 - 1, True), "one of them failed"
    (text,) = said(past, run)
    assert text.startswith("latency on cpu is predicted before it is measured, learnt from 59 networks: ")
    unseen = past.store.trial(past.search(dataclasses.replace(SEARCH, seed=9), 5).id, 4).job.architecture
    assert found(unseen) == pytest.approx(cost(unseen), rel=0.1)
    past.search(dataclasses.replace(SEARCH, seed=3), 20)
    again = prediction(past.store, past.store.run(run.id))
    assert again == found, "a run that is taken up again has the same predictor"
    past.store.claims.begin(OWNER, dataclasses.replace(past.store.trial(before.id, 0).job, run=run.id))
    prediction(past.store, run)
    assert len(said(past, run)) == 1 + 1, "and says so no more once it has trials"


@pytest.mark.parametrize(
    ("changes", "is_there"),
    [
        ({"devices": ("cpu:threads=1", "cpu_eager")}, True),
        ({"objective": Objective(), "limits": Limits(latency_ms=2.0)}, True),
        ({"objective": Objective(form="front", also="latency_ms")}, True),
        ({"objective": Objective()}, False),
        ({"predict_within": 0.0}, False),
        ({"devices": ("cpu_eager", "cpu")}, False),
    ],
)
def test_it_is_there_for_who_needs_it(past: Exact, changes: dict[str, object], is_there: bool) -> None:
    past.search(SEARCH, 40)
    assert (prediction(past.store, begun(past, **changes)) is not None) == is_there


def test_a_new_device_borrows_from_what_is_known_of_others(past: Exact) -> None:
    past.search(SEARCH, 60)
    past.slower = 3.0
    new = dataclasses.replace(SEARCH, seed=5, devices=("cpu:threads=2",))
    past.search(new, 9)
    assert prediction(past.store, begun(past, devices=new.devices)) is None
    past.search(dataclasses.replace(new, seed=6), 3)
    run = begun(past, devices=new.devices)
    found = prediction(past.store, run)
    assert found is not None
    assert found.networks == 12
    (text,) = said(past, run)
    assert text.startswith(
        "latency on cpu:threads=2 is predicted before it is measured, learnt from 12 networks and what they take "
        "elsewhere: "
    )
    unseen = past.store.trial(past.search(dataclasses.replace(SEARCH, seed=9), 5).id, 4).job.architecture
    assert found(unseen) == pytest.approx(3 * cost(unseen), rel=0.1)
    past.search(dataclasses.replace(new, seed=7), 12)
    run = begun(past, devices=new.devices)
    assert prediction(past.store, run)
    assert "learnt from 24 networks and what they take elsewhere: " in said(past, run)[0]


def test_too_little_is_said(past: Exact) -> None:
    past.search(SEARCH, 15)
    run = begun(past)
    assert prediction(past.store, run) is None
    few = "15 measured networks are too few to learn latency from: give 20 or more, or 10 where other devices are known"
    assert said(past, run) == [f"latency on cpu is not predicted: {few}"]


def test_what_tells_too_little_is_not_believed(past: Exact) -> None:
    past.noise = 0.3
    past.search(SEARCH, 60)
    run = begun(past)
    assert prediction(past.store, run) is None
    (text,) = said(past, run)
    assert text.startswith("latency on cpu is not predicted: what 59 networks tell is ")
    assert text.endswith("% off, more than 10%")
    assert prediction(past.store, begun(past, predict_within=1.0)) is not None
