"""What runs, what waits, and for what."""

from dataclasses import replace

from api.views.queue import queue
from nas.records import Progress, Run
from nas.specs import SearchSpec
from tests.command_line import nas, unwrapped
from tests.service import OWNER, Service


def run(name: str, state: str, by: str | None = None) -> Run:
    spec = SearchSpec(dataset="fashion_mnist", name=name)
    return Run(id=name, kind="search", spec=spec, state=state, wish="run", trials=9, created_at=0.0, submitted_by=by)  # type: ignore[arg-type]


def test_whatever_ends_first_lets_in_the_oldest_of_whoever_has_fewest() -> None:
    runs = [
        *(run("long", "running", "anna"), run("short", "running", "anna"), run("unknown", "running", "anna")),
        *(run("hers", "queued", "anna"), run("his", "queued", "bert"), run("his next", "queued", "bert")),
    ]
    seen = queue(runs, {"long": 900.0, "short": 60.0, "unknown": None}, 0)
    assert seen.running == ("long", "short", "unknown")
    assert [(row.run, row.behind, row.seconds) for row in seen.waiting] == [
        ("his", "short", 60.0),  # who has none
        ("hers", "long", 900.0),  # one each then, and hers is older
        ("his next", "unknown", None),
    ]


def test_what_is_to_pause_waits_for_nothing() -> None:
    seen = queue([replace(run("first", "queued"), wish="pause"), run("second", "queued")], {}, 0)
    assert [row.run for row in seen.waiting] == ["second"]


def test_behind_nobody_they_wait_for_a_coordinator() -> None:
    seen = queue([run("first", "queued"), run("second", "queued")], {}, 0)
    assert [(row.run, row.behind, row.behind_name, row.seconds) for row in seen.waiting] == [
        ("first", None, None, None),
        ("second", None, None, None),
    ]


def test_it_is_told_over_http(service: Service) -> None:
    running = service.search([(0.9, 10)], name="Shapes", trials=4)
    waiting = service.store.add_run("search", SearchSpec(dataset="fashion_mnist", name="Clothes"))
    ended = service.store.add_run("search", SearchSpec(dataset="fashion_mnist"))
    service.store.wish(ended.id, "cancel")
    answer = service.get("/v1/queue")
    assert answer["running"] == [running.id]
    [row] = answer["waiting"]
    assert (row["run"], row["behind"], row["behind_name"]) == (waiting.id, running.id, "Shapes")
    assert row["seconds"] >= 0
    service.store.write_label(running.id, name="Circles")
    assert service.get("/v1/queue")["waiting"][0]["behind_name"] == "Circles"
    service.store.claims.release(running.id, OWNER, "finished")
    assert service.get("/v1/queue")["waiting"][0]["behind"] is None


def test_what_waits_is_moved_over_http_and_by_the_command_line(service: Service) -> None:
    ids = [service.store.add_run("search", SearchSpec(dataset="fashion_mnist", name=name)).id for name in "ab"]
    places = [row["run"] for row in service.post(f"/v1/queue/{ids[1]}/first", status=200)["waiting"]]
    assert places.index(ids[1]) < places.index(ids[0])
    assert nas("queue", ids[1], "last", "--json").json["waiting"][-1]["run"] == ids[1]
    shown = nas("queue")
    assert shown.out.index(ids[0]) < shown.out.index(ids[1])
    service.post(f"/v1/queue/{ids[1]}/middle", status=404)
    service.store.wish(ids[1], "cancel")
    assert "only runs that wait have places" in service.post(f"/v1/queue/{ids[1]}/first", status=409)["detail"]
    assert "say first or last" in nas("queue", ids[0]).error
    for run in service.store.queue():
        if run.state == "queued":
            service.store.wish(run.id, "cancel")
    assert "nothing waits" in nas("queue").out


def test_trials_that_wait_for_a_processor_are_told_of(service: Service) -> None:
    assert service.get("/v1/queue")["waiting_trials"] == 0
    held_up = service.search([(0.9, 10)], running=2, trials=4)
    assert service.get("/v1/queue")["waiting_trials"] == 2
    running = len(service.get("/v1/queue")["running"])
    words = f"{running} running, 2 trials wait for a processor, a GPU or a quota, no run waits"
    assert unwrapped(nas("queue").out) == words
    service.store.claims.progress(OWNER, Progress(run=held_up.id, number=1, phase="training"))
    assert ", 1 trial waits for" in nas("queue").out
    service.store.claims.release(held_up.id, OWNER, "paused")
    assert service.get("/v1/queue")["waiting_trials"] == 0
