"""The images of a run are those that it was submitted with: written down with it, and others are not taken for them."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas import datasets, home
from nas.codec import encode
from nas.measurements import Measurement
from nas.networks.architecture import Images
from nas.plans import plan_for
from nas.records import Run
from nas.specs import SearchSpec
from tests.dataset_files import draw, fill
from tests.service import OWNER, Service
from workers import coordinator


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    fill(tmp_path / "pets")
    (tmp_path / "pets" / "cat" / "notes.txt").touch()
    return tmp_path / "pets"


def texts(service: Service, run: str, kind: str = "images") -> list[str]:
    return [event.text for event in service.store.events(run) if event.kind == kind]


def submitted(service: Service, pets: Path, **spec: Any) -> Any:
    return service.post("/v1/searches", {"dataset": f"folder:{pets}", "searcher": "random", "trials": 4, **spec})


def test_they_are_written_down_and_told_of(service: Service, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pets.parent)
    answer = service.post("/v1/searches", {"dataset": "folder:pets"})
    assert answer["spec"]["dataset"] == f"folder:{pets}"
    info = datasets.describe(f"folder:{pets}", home.folder("datasets"))
    spec = service.store.run(answer["id"]).spec
    assert (spec.dataset, spec.contents) == (f"folder:{pets}", info)
    said = "files that are left out, as they are no images that can be opened: 1 .txt"
    assert [remark["text"] for remark in answer["spec"]["contents"]["remarks"]] == [said]
    assert texts(service, answer["id"]) == [said]
    proxy = service.post("/v1/proxies", {"dataset": "folder:pets", "candidates": 4})
    assert (proxy["spec"]["dataset"], texts(service, proxy["id"])) == (f"folder:{pets}", [said])
    assert service.get(f"/v1/datasets/folder:{pets}")["info"]["remarks"][0]["text"] == said


def test_more_trials_on_other_images_are_refused(service: Service, pets: Path) -> None:
    run = submitted(service, pets)
    raised = service.ask("PATCH", f"/v1/searches/{run['id']}", 200, json={"trials": 5})
    assert raised["trials"] == 5
    (pets / "dog").rename(pets / "hound")
    problem = service.ask("PATCH", f"/v1/searches/{run['id']}", 409, json={"trials": 6})
    assert problem["detail"].startswith(
        "class 'dog' is gone; class 'hound' is new, other than when the run was submitted"
    )
    assert "put the images of folder:" in problem["detail"]
    assert service.store.run(run["id"]).trials == 5
    (pets / "hound").rename(pets / "dog")
    service.ask("PATCH", f"/v1/searches/{run['id']}", 200, json={"trials": 6})


def test_a_spec_that_is_sent_again_means_its_images(service: Service, pets: Path) -> None:
    spec = submitted(service, pets)["spec"]
    assert service.post("/v1/searches", spec)["spec"] == spec
    draw(pets / "cat" / "new.png", (1, 2, 3))
    (fault,) = service.post("/v1/searches", spec, status=422)["errors"]
    assert fault["pointer"] == "/dataset"
    assert fault["detail"].startswith("there are 19 train images instead of 18")


def test_what_was_stored_before_they_were_written_down_goes_on(service: Service, pets: Path) -> None:
    run = service.store.add_run("search", SearchSpec(dataset=f"folder:{pets}"))
    draw(pets / "cat" / "new.png", (1, 2, 3))
    service.ask("PATCH", f"/v1/searches/{run.id}", 200, json={"trials": 30})


def coordinated(service: Service) -> None:
    slots = SimpleNamespace(deal=lambda: None, limit=lambda _most: None)
    pool: Any = SimpleNamespace(slots=slots, roots=None)
    coordinator.coordinate(service.store, pool, threading.Event(), once=True)


def waiting(service: Service) -> list[Run]:
    return [run for run in service.store.runs() if run.state == "queued"]


def test_a_run_whose_images_have_changed_waits_for_them(service: Service, pets: Path) -> None:
    for run in waiting(service):
        service.store.wish(run.id, "cancel")
    run = submitted(service, pets)["id"]
    draw(pets / "cat" / "new.png", (1, 2, 3))
    coordinated(service)
    paused = service.store.run(run)
    assert (paused.state, paused.wish, paused.error) == ("paused", "pause", None)
    (text,) = texts(service, run, "images changed")
    assert text.startswith("there are 19 train images instead of 18")
    assert text.endswith("resume this one when they are back")
    service.post(f"/v1/searches/{run}/stop", status=200)
    assert service.store.run(run).state == "stopped"


def measured(service: Service, pets: Path) -> Run:
    """A search of these images, of which one trial is measured."""
    info = datasets.describe(f"folder:{pets}", home.folder("datasets"))
    spec = SearchSpec(dataset=info.name, contents=info, searcher="random")
    run = service.claimed(service.store.add_run("search", spec))
    job = plan_for(run, Images(resolution=32, channels=3, classes=2)).ask(0)
    assert job is not None
    assert job.contents == info.digest
    service.store.claims.begin(OWNER, job)
    service.end(job, Measurement(params=1, mult_adds=1, accuracy=0.9))
    return run


def test_a_family_is_grown_on_the_images_as_they_are_and_that_is_said(service: Service, pets: Path) -> None:
    run = measured(service, pets)
    before = service.post("/v1/growths", {"search": run.id})["spec"]
    assert before["contents"] == encode(run.spec.contents)
    draw(pets / "cat" / "new.png", (1, 2, 3))
    after = service.post("/v1/growths", {"search": run.id})
    assert after["spec"]["contents"]["train_images"] == 19
    assert f"since search {run.id}, there are 19 train images instead of 18" in texts(service, after["id"])
    fill(pets, classes=("eel",))
    problem = service.post("/v1/growths", {"search": run.id}, status=422)
    assert problem["errors"][0]["pointer"] == "/search"
    assert "has 3 channels and 3 classes, and the network is for 3 and 2" in problem["detail"]
