"""Deleting runs and models, and pinning models, over HTTP and by `nas`; every answer is held against OpenAPI."""

import dataclasses

import pytest

from nas.client import Client, ServiceError
from nas.models.checkpoint import artifact
from nas.records import Run
from nas.specs import SearchSpec
from nas.store import Store
from tests.command_line import nas
from tests.service import OWNER, POINTS, UNKNOWN, Service

PLURALS = {"search": "searches", "growth": "growths", "benchmark": "benchmarks", "proxy": "proxies"}


@pytest.fixture
def search(service: Service) -> Run:
    return finished(service.store, service.search(POINTS))


@pytest.fixture
def growth(service: Service, search: Run) -> Run:
    return finished(service.store, service.growth(search))


def finished(store: Store, run: Run) -> Run:
    return store.claims.release(run.id, OWNER, "finished")


@pytest.mark.parametrize("kind", PLURALS)
def test_a_run_of_any_kind_is_deleted(service: Service, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    request = {
        "search": {"dataset": "fashion_mnist"},
        "benchmark": {"networks": 1, "images": {"resolution": 28, "channels": 1, "classes": 10}},
        "proxy": {"dataset": "fashion_mnist"},
    }
    if kind == "growth":
        run = service.growth(finished(service.store, service.search(POINTS))).id
        finished(service.store, service.store.run(run))
    else:
        run = service.post(f"/v1/{PLURALS[kind]}", request[kind])["id"]
    address = f"/v1/{PLURALS[kind]}/{run}"
    wrong = next(plural for each, plural in PLURALS.items() if each != kind)
    assert f"is a {kind}" in service.ask("DELETE", f"/v1/{wrong}/{run}", 404)["detail"]
    assert service.http.delete(address).status_code == 204
    service.get(address, status=404)
    service.get(f"{address}/trials", status=404)
    assert f"{kind} {run} deleted, by" in caplog.text


def test_a_run_that_is_worked_on_is_refused_with_the_way_out(service: Service) -> None:
    run = service.search(POINTS)
    detail = service.ask("DELETE", f"/v1/searches/{run.id}", 409)["detail"]
    assert detail == f"run {run.id} is running: pause or cancel it first, and wait until that has come about"
    ran = nas("delete", run.id)
    assert (ran.code, ran.out) == (1, "")
    assert detail in ran.error
    assert nas("delete", UNKNOWN).code == 1


def test_the_command_deletes_runs_and_models(service: Service, client: Client, growth: Run) -> None:
    b0, b1 = (row["models"][0] for row in service.get(f"/v1/growths/{growth.id}")["family"])
    ran = nas("delete", f"{growth.id}@b1")
    assert ran.out == f"The weights of model {b1} are deleted; what was measured of it stays.\n"
    assert [row["id"] for row in client.models(growth.id)] == [b0]
    assert nas("delete", growth.id, "--json").json == {"deleted": growth.id}
    with pytest.raises(ServiceError, match=f"there is no run '{growth.id}'"):
        client.run(growth.id)


def test_a_model_without_weights_says_why_and_how_to_have_them_again(
    service: Service, search: Run, growth: Run
) -> None:
    model = service.get(f"/v1/models/{growth.id}@b1")
    assert service.http.delete(f"/v1/models/{growth.id}@b1").status_code == 204
    assert not artifact(model["sha256"]).exists()
    assert service.get(f"/v1/models/{model['id']}") == model | {"removed": "deleted"}
    again = f"(deleted): train it again with nas grow {search.id} --trial 0 --members B1"
    for link in ("checkpoint", "card"):
        assert again in service.get(model["links"][link], status=410)["detail"]
    assert again in service.post(model["links"]["files"], status=410)["detail"]
    assert again in service.get(model["links"]["archive"], status=410)["detail"]
    assert again in nas("download", model["id"]).error
    detail = service.get(f"/v1/models/{growth.id}@b1", status=404)["detail"]
    assert detail.startswith(f"run {growth.id} has no model 'b1'")
    assert detail.endswith("it has b0")
    _, b1 = service.get(f"/v1/growths/{growth.id}")["family"]
    assert (b1["model"], b1["models"], b1["test_accuracy"]) == (None, [], 0.91)
    listed = {row["id"]: row["removed"] for row in service.get(f"/v1/models?run={growth.id}&removed=true")["models"]}
    assert listed == {f"{growth.id}-{number}": "deleted" if number == model["number"] else None for number in (0, 1)}
    service.ask("DELETE", f"/v1/models/{model['id']}", 409)
    body = {"dataset": "fashion_mnist", "parent": f"model:{model['id']}"}
    assert "its weights were removed (deleted)" in service.post("/v1/searches", body, status=422)["detail"]


def test_what_another_run_needs_is_refused_with_who_needs_it(service: Service, growth: Run) -> None:
    model = service.store.models(growth.id)[0]
    child = service.store.add_run("search", SearchSpec(dataset="fashion_mnist", parent=model.sha256))
    words = f"search {child.id}, which is queued, needs model {model.id} as its parent or teacher"
    for address in (f"/v1/models/{model.id}", f"/v1/growths/{growth.id}"):
        assert words in service.ask("DELETE", address, 409)["detail"]
    assert artifact(model.sha256).exists()
    assert service.http.delete(f"/v1/searches/{child.id}").status_code == 204
    assert service.http.delete(f"/v1/growths/{growth.id}").status_code == 204


def test_what_is_pinned_is_refused_until_it_is_not(service: Service, growth: Run) -> None:
    model = service.store.models(growth.id)[0].id
    assert "is pinned: its weights stay" in nas("pin", model).out
    assert service.get(f"/v1/models/{model}")["pinned"]
    for address in (f"/v1/models/{model}", f"/v1/growths/{growth.id}"):
        assert f"unpin it first (nas unpin {model})" in service.ask("DELETE", address, 409)["detail"]
    assert "may go like others" in nas("unpin", model).out
    assert service.http.delete(f"/v1/models/{model}").status_code == 204
    service.post(f"/v1/models/{model}/pin", status=409)


def test_the_best_network_of_a_search_is_no_model_once_its_weights_went(service: Service, search: Run) -> None:
    run = service.search([], running=1, save_weights=True)
    job = service.store.trial(run.id, 0).job
    measured = service.store.trial(search.id, 0).measurement
    assert measured is not None
    artifact("ab" * 32).write_bytes(b"1")
    service.end(job, dataclasses.replace(measured, weights="ab" * 32), 1)
    finished(service.store, run)
    assert service.get(f"/v1/searches/{run.id}")["best"]["model"] == f"{run.id}-0"
    service.http.delete(f"/v1/models/{run.id}-0")
    assert service.get(f"/v1/searches/{run.id}")["best"]["model"] is None
    assert "has no model: grow it" in service.get(f"/v1/models/{run.id}@best", status=404)["detail"]
