"""Runs over HTTP: their lists in pages, counts, forecasts, wishes and budgets; every answer is held against OpenAPI."""

import dataclasses
import io
import time
from typing import Any

import pytest
from rich.console import Console

from api.answering import LEAST_BYTES
from api.cli import summaries
from api.views.run import remaining_seconds
from nas.codec import encode
from nas.measurements import Measurement
from nas.objective import Objective
from nas.outlines import summed
from nas.recipes import Recipe
from nas.records import Progress
from nas.specs import Fidelity, SearchSpec
from tests.service import OWNER, PLAIN, POINTS, SMALLEST, Service


def test_lists_are_paged_newest_first(service: Service) -> None:
    made = [service.post("/v1/searches", SMALLEST)["id"] for _ in range(3)]
    grown = service.growth(service.search([(0.9, 1000)])).id
    later = [service.post("/v1/searches", SMALLEST)["id"] for _ in range(2)]
    first = service.get("/v1/searches?limit=2")
    assert [search["id"] for search in first["searches"]] == later[::-1]
    second = service.get(first["next"])
    assert made[::-1][0] == second["searches"][1]["id"]
    runs = [run["id"] for run in service.get("/v1/runs?limit=3")["runs"]]
    assert runs == [*later[::-1], grown]
    assert service.get("/v1/growths?limit=1")["growths"][0]["id"] == grown

    seen, address = [], "/v1/runs?limit=4"
    while address:
        page = service.get(address)
        seen += [run["id"] for run in page["runs"]]
        address = page["next"]
    assert seen == [run.id for run in service.store.runs(limit=1000)]


def test_trials_and_events_are_paged_by_what_was_seen_last(service: Service) -> None:
    run = service.search(POINTS, running=1)
    address = f"/v1/searches/{run.id}"
    page = service.get(f"{address}/trials?limit=2")
    assert [trial["number"] for trial in page["trials"]] == [0, 1]
    page = service.get(page["next"])
    assert [trial["number"] for trial in page["trials"]] == [2, 3]
    page = service.get(page["next"])
    assert [trial["state"] for trial in page["trials"]] == ["running"]
    assert page["next"] is None
    assert [trial["number"] for trial in service.get(f"{address}/trials?state=running")["trials"]] == [4]
    assert len(service.get(f"{address}/trials?state=done&limit=3")["trials"]) == 3

    events = service.get(f"{address}/events")["events"]
    assert [event["kind"] for event in events] == ["added", "claimed"]
    assert service.get(f"{address}/events?after={events[0]['id']}")["events"] == events[1:]


def test_a_search_shows_counts_best_and_forecast(service: Service) -> None:
    run = service.search(
        POINTS, running=1, trials=10, parallel=2, objective=Objective(target=4e6, w_under=-0.5, w_over=-0.5)
    )
    progress = Progress(run=run.id, number=4, phase="training", epoch=1, epochs=2, loss=0.5)
    service.store.claims.progress(OWNER, progress)
    shown = service.get(f"/v1/searches/{run.id}")
    assert shown["counts"] == {"running": 1, "done": 4, "refused": 0, "failed": 0, "cancelled": 0}
    assert shown["best"]["number"] == 0
    assert shown["best"]["reward"] == pytest.approx(1.6)
    assert shown["best"]["model"] is None
    assert shown["seconds"] == 0  # nobody has renewed its claim
    assert shown["remaining_seconds"] >= 0
    trials = service.get(f"/v1/searches/{run.id}/trials")["trials"]
    assert trials[4]["progress"] == encode(progress)
    assert [trial["reward"] for trial in trials[:2]] == pytest.approx([1.6, 0.9])
    assert trials[4]["reward"] is None
    service.store.claims.end(OWNER, 4, run.id, "failed", error="boom")
    service.store.claims.release(run.id, OWNER, "finished")
    shown = service.get(f"/v1/searches/{run.id}")
    assert (shown["state"], shown["counts"]["failed"], shown["remaining_seconds"]) == ("finished", 1, None)
    assert shown["seconds"] == pytest.approx(shown["ended_at"] - shown["started_at"])
    spent = [trial.compute_seconds or 0 for trial in service.store.trials(run.id)]
    assert len(spent) == 5
    assert shown["compute_seconds"] == pytest.approx(sum(spent), abs=0)


@pytest.mark.parametrize(
    ("verb", "wish"), [("pause", "pause"), ("resume", "run"), ("stop", "stop"), ("cancel", "cancel")]
)
def test_wishes_are_written_down(service: Service, verb: str, wish: str) -> None:
    search = service.search([(0.9, 1000)])
    growth = service.growth(search)
    for run, address in ((search, f"/v1/searches/{search.id}"), (growth, f"/v1/growths/{growth.id}")):
        assert service.post(f"{address}/{verb}", status=200)["wish"] == wish
        assert service.store.run(run.id).wish == wish


def test_an_ended_run_takes_no_wish(service: Service) -> None:
    run = service.search([])
    service.store.claims.release(run.id, OWNER, "cancelled")
    problem = service.post(f"/v1/searches/{run.id}/pause", status=409)
    assert problem["detail"] == f"run {run.id} is cancelled: it cannot pause any more"
    problem = service.ask("PATCH", f"/v1/searches/{run.id}", 409, json={"trials": 50})
    assert f"run {run.id} is cancelled" in problem["detail"]


def test_a_budget_is_raised(service: Service) -> None:
    run = service.search(POINTS, trials=4)
    service.store.claims.release(run.id, OWNER, "finished")
    raised = service.ask("PATCH", f"/v1/searches/{run.id}", 200, json={"trials": 6})
    assert (raised["trials"], raised["state"]) == (6, "queued")
    problem = service.ask("PATCH", f"/v1/searches/{run.id}", 409, json={"trials": 3})
    assert "trials 3" in problem["detail"]
    assert "at least 4" in problem["detail"]


def test_hours_are_raised_alone_or_with_trials(service: Service) -> None:
    run = service.search(POINTS, trials=9, hours=1.0)
    raised = service.ask("PATCH", f"/v1/searches/{run.id}", 200, json={"hours": 2, "compute_hours": 3.5})
    assert (raised["trials"], raised["spec"]["hours"], raised["spec"]["compute_hours"]) == (9, 2.0, 3.5)
    events = service.get(f"/v1/searches/{run.id}/events")["events"]
    assert events[-1]["text"] == "2 hours instead of 1, 3.5 compute hours at most"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"trials": 0}, "trials 0 is not between 1 and 100000"),
        ({"trials": 10**9}, "trials 1000000000"),
        ({"trials": "9"}, '"9" is not a valid integer'),
        ({}, "trials, hours and compute_hours are all left out: give one"),
        ({"trials": 9, "seed": 1}, "unknown field 'seed': there are trials, hours, compute_hours"),
        ({"hours": 0}, "hours 0.0 is not a positive number"),
        ({"hours": 1e307}, "is not a positive number up to 1,000,000,000"),
        ({"compute_hours": -1}, "compute_hours -1.0 is not a positive number"),
    ],
)
def test_a_budget_that_is_none_is_refused(service: Service, body: Any, words: str) -> None:
    run = service.search([])
    assert words in service.ask("PATCH", f"/v1/searches/{run.id}", 422, json=body)["detail"]


def test_a_run_of_the_other_kind_is_not_there(service: Service) -> None:
    search = service.search([(0.9, 1000)])
    growth = service.growth(search)
    problem = service.get(f"/v1/searches/{growth.id}", status=404)
    assert problem["detail"] == f"run {growth.id} is a growth"
    assert service.get(problem["elsewhere"])["id"] == growth.id
    assert service.post(f"/v1/growths/{search.id}/stop", status=404)["elsewhere"] == f"/v1/searches/{search.id}"
    assert service.get("/v1/searches/nobody", status=404)["elsewhere"] is None
    service.ask("PATCH", f"/v1/searches/{growth.id}", 404, json={"trials": 5})


def test_what_is_refused_before_training_is_counted_with_what_it_saved(service: Service) -> None:
    search = service.search([], running=6)
    address = f"/v1/searches/{search.id}"
    assert service.get(address)["saved_seconds"] is None
    refused = Measurement(params=1, mult_adds=1, refused="latency_ms 3 over the limit of 2", seconds=0.1)
    for number in (0, 1, 2):
        service.store.claims.end(OWNER, number, search.id, "refused", refused)
    assert service.get(address)["saved_seconds"] is None, "nothing to tell from how long a training takes"
    for number, seconds in ((3, 100.0), (4, 140.0)):
        trained = Measurement(params=1, mult_adds=1, accuracy=0.5, train_seconds=seconds, seconds=seconds + 1)
        service.store.claims.end(OWNER, number, search.id, "done", trained)
    late = Measurement(params=1, mult_adds=1, refused="latency_ms 3 over the limit of 2", train_seconds=120.0)
    service.store.claims.end(OWNER, 5, search.id, "refused", late)
    shown = service.get(address)
    assert (shown["counts"]["refused"], shown["saved_seconds"]) == (4, 3 * 120.0), "one was trained all the same"
    out = io.StringIO()
    Console(file=out, width=120).print(summaries.run(shown))
    assert "6 of 20 ended (2 done, 4 refused; about 6 min of training saved)" in out.getvalue()


def test_before_a_trial_has_ended_the_forecast_is_by_the_epochs_of_those_that_run(service: Service) -> None:
    run = service.search([], running=2, trials=10, parallel=2)
    shown = f"/v1/searches/{run.id}"
    assert service.get(shown)["remaining_seconds"] is None, "no epoch has ended"
    progress = Progress(run=run.id, number=1, phase="training", epoch=1, epochs=4, loss=0.5)
    service.store.claims.progress(OWNER, progress)
    kept, begun = service.store.summary(run.id), service.store.trial(run.id, 1).started_at
    assert kept.shares_done == (0, 0.25)
    assert remaining_seconds(run, kept, begun + 100) == pytest.approx((10 * 400 - 2 * 100) / 2, rel=0.01)
    assert "left" in summaries.left(service.get(shown))
    assert isinstance(run.spec, SearchSpec)
    rungs = dataclasses.replace(run, spec=dataclasses.replace(run.spec, fidelity=Fidelity(eta=2, rungs=2)))
    longer = remaining_seconds(rungs, kept, begun + 100)
    assert longer is not None
    assert longer > 2000, "those of the higher rung take longer"
    service.store.claims.end(OWNER, 0, run.id, "failed", error="boom")
    assert service.store.summary(run.id).shares_done == ()


def test_the_forecast_minds_the_hours(service: Service) -> None:
    now = time.time()
    run = service.search([(0.9, 1000)], trials=1000, hours=0.5, parallel=1)
    trial = dataclasses.replace(service.store.trial(run.id, 0), started_at=now - 100, ended_at=now)
    for worked, left in ((1200, 600 + 100), (3600, 100)):
        assert remaining_seconds(dataclasses.replace(run, worked_seconds=worked), summed([trial]), now) == left


def test_the_forecast_minds_the_compute_hours(service: Service) -> None:
    now = time.time()
    run = service.search([(0.9, 1000)], running=1, trials=1000, compute_hours=0.5, parallel=2)
    ended, running = service.store.trials(run.id)
    ended = dataclasses.replace(ended, started_at=now - 500, ended_at=now, compute_seconds=400)
    running = dataclasses.replace(running, started_at=now - 100)
    # 1,400 of 1,800 seconds are left: four more trials, one of which is running, two at once.
    assert remaining_seconds(run, summed([ended, running]), now) == pytest.approx((4 * 500 - 100) / 2)
    dear = dataclasses.replace(ended, compute_seconds=1800)
    assert remaining_seconds(run, summed([dear, running]), now) == pytest.approx(400)  # it still ends


def test_the_forecast_minds_the_rungs(service: Service) -> None:
    """Of twelve trials eight are on the lower rung and four on the higher, which takes twice as long at first."""
    now = time.time()
    spec: dict[str, Any] = {"fidelity": Fidelity(eta=2, rungs=2), "recipe": Recipe(epochs=4), "parallel": 1}
    run = service.search([(0.9, 1000), (0.8, 2000)], objective=PLAIN, trials=12, **spec)
    low = [
        dataclasses.replace(trial, started_at=now - 100, ended_at=now, compute_seconds=100)
        for trial in service.store.trials(run.id)
    ]
    assert [trial.job.rung for trial in low] == [0, 0]
    assert remaining_seconds(run, summed(low), now) == pytest.approx(6 * 100 + 4 * 200)
    high = dataclasses.replace(low[0], number=2, job=dataclasses.replace(low[0].job, rung=1), started_at=now - 500)
    assert remaining_seconds(run, summed([*low, high]), now) == pytest.approx(6 * 100 + 3 * 500)
    assert isinstance(run.spec, SearchSpec)
    limited = dataclasses.replace(run, spec=dataclasses.replace(run.spec, compute_hours=1000 / 3600))
    # 800 of 1,000 seconds are left, and a trial to come takes 140 on the average.
    assert remaining_seconds(limited, summed(low), now) == pytest.approx(6 * 140)
    measured = low[1].measurement
    assert measured
    over = dataclasses.replace(measured, refused="too slow")
    refused = dataclasses.replace(low[1], state="refused", started_at=now, measurement=over)
    # That half of them are refused at once says nothing of how long the higher rung takes.
    assert remaining_seconds(run, summed([low[0], refused]), now) == pytest.approx(6 * 50 + 4 * 200)


def test_a_search_comes_as_columns_with_what_ended_since(service: Service) -> None:
    run = service.search([(0.9123456789, 1000), (0.8, 2000)], running=2, trials=20)
    address = f"/v1/searches/{run.id}/columns"
    shown = service.get(address)
    first, second = (trial for trial in service.store.trials(run.id) if trial.ended_at)
    assert (shown["after"], shown["more"], shown["number"], shown["state"]) == (2, False, [0, 1], ["done", "done"])
    assert (shown["accuracy"], shown["mult_adds"], shown["params"]) == ([0.912346, 0.8], [1000, 2000], [100, 200])
    assert shown["seconds"] == [round(each.ended_at - each.started_at, 3) for each in (first, second) if each.ended_at]
    assert shown["rung"] == shown["macro_f1"] == shown["remark"] == [], "nothing is known of it"
    assert [trial["number"] for trial in shown["running"]] == [2, 3]
    assert service.get(f"{address}?limit=1") | {"running": []} == shown | {
        "running": [],
        "after": 1,
        "more": True,
        **{name: its[:1] for name, its in shown.items() if isinstance(its, list) and name != "running"},
    }
    service.store.claims.end(OWNER, 2, run.id, "failed", error="KeyError: 9 " * 90)
    later = service.get(f"{address}?after=2")
    assert (later["after"], later["number"], later["state"]) == (3, [2], ["failed"])
    assert later["remark"] == [("KeyError: 9 " * 90)[:200]]
    assert [trial["number"] for trial in later["running"]] == [3]
    assert service.get(f"{address}?after=3")["number"] == []


def test_what_is_there_already_is_not_sent_again_and_the_rest_compressed(service: Service) -> None:
    run = service.search([(0.9, 1000)], running=1, trials=20)
    for place, packs in (("columns", True), ("trials", False)):
        address = f"/v1/searches/{run.id}/{place}"
        plain = service.http.get(address, headers={"Accept-Encoding": "identity"})
        packed = service.http.get(address, headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in plain.headers
        assert packed.json() == plain.json()
        assert len(plain.content) >= LEAST_BYTES
        assert (packed.headers.get("Content-Encoding") == "gzip") == packs
        tag = packed.headers["ETag"]
        for known in (f'"x", {tag}', tag.removeprefix("W/"), "*"):
            assert service.http.get(address, headers={"If-None-Match": known}).status_code == 304
        service.store.claims.renew(run.id, OWNER, 60)
    assert service.http.get(f"/v1/searches/{run.id}/trials", headers={"If-None-Match": '"x"'}).status_code == 200
