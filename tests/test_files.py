"""What models are handed out as, over HTTP, by the client and by `nas`: made once, named, resumed and checked."""

import functools
import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
import pytest
import torch
from sqlalchemy import text

import nas as library
from api import archives, gate
from api.routes import files
from api.views import growth as views
from nas import classify, exporters, home
from nas.client import Client, ServiceError
from nas.measurements import Measurement
from nas.models import archive, checkpoint, manifest
from nas.models.checkpoint import Card
from nas.models.manifest import FileScore, Manifest, Way
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.objective import Objective
from tests.command_line import nas, unwrapped
from tests.dataset_files import draw
from tests.pictures import CLASSES, RECIPE, TINY, exported
from tests.service import OWNER, POINTS, UNKNOWN, Service, latency
from tests.service import checkpoint as filed

NETWORKS = ("model.safetensors", "model.onnx", "model.pt2", "model.int8.onnx")
OWN = "b1_0.3ms_acc0.890_int8.onnx"  # what the last one is saved as


SCORE = FileScore(accuracy=0.9, promised=0.91, images=1000, part="test")


def fill(sha256: str, *, refused: str | None = None, score: FileScore = SCORE) -> Manifest:
    """An archive of that checkpoint as if it had been built."""
    folder = home.folder("archives") / sha256
    folder.mkdir()
    for name in (*NETWORKS, "card.md"):
        if name != refused:
            (folder / name).write_bytes(f"{name} of {sha256}".encode() * 1000)
    ways = tuple(
        Way(
            exporter=name.split(".")[1],
            file=name,
            score=score,
            refused="it scores 0.9" if name == refused else None,
            save_as=OWN if "int8" in name else None,
            latency=latency(0.3) if "int8" in name else None,
        )
        for name in NETWORKS
    )
    files = tuple(manifest.of(file) for file in sorted(folder.iterdir()))
    whole = Manifest(name="b1_0.5ms_acc0.910", checkpoint=sha256, ways=ways, files=files)
    manifest.write(folder, whole)
    return whole


@pytest.fixture
def model(service: Service) -> dict[str, Any]:
    """One that nothing was made of yet."""
    shutil.rmtree(home.folder("archives"))
    growth = service.growth(service.search([(0.9, 1000)]), members=("B0",))
    found: dict[str, Any] = service.get(f"/v1/models?run={growth.id}")["models"][0]
    return found


@pytest.fixture
def built(model: dict[str, Any]) -> dict[str, Any]:
    fill(model["sha256"])
    return model


def test_files_are_listed_with_what_they_scored(service: Service, built: dict[str, Any]) -> None:
    files = service.get(built["links"]["files"])
    assert (files["state"], files["name"], files["model"]) == ("built", "b1_0.5ms_acc0.910", built["id"])
    named = {file["name"]: file for file in files["files"]}
    assert set(named) == {*NETWORKS, "card.md"}
    onnx = named["model.onnx"]
    assert (onnx["exporter"], onnx["save_as"]) == ("onnx", "b1_0.5ms_acc0.910.onnx")
    assert (onnx["score"]["accuracy"], onnx["score"]["images"]) == (0.9, 1000)
    rounded = named["model.int8.onnx"]
    assert (rounded["exporter"], rounded["save_as"], rounded["latency"]["median_ms"]) == ("int8", OWN, 0.3)
    assert (named["card.md"]["exporter"], named["card.md"]["save_as"]) == (None, "card.md")
    for file in files["files"]:
        response = service.http.get(file["link"])
        assert hashlib.sha256(response.content).hexdigest() == file["sha256"]
        assert response.headers["etag"] == f'"{file["sha256"]}"'
        assert response.headers["content-disposition"] == f'attachment; filename="{file["save_as"]}"'
    problem = service.get(f"{built['links']['files']}/passwords", status=404)
    assert "there is no file 'passwords'" in problem["detail"]


def test_one_that_did_not_keep_the_promise_is_not_offered_and_says_why(service: Service, model: dict[str, Any]) -> None:
    fill(model["sha256"], refused="model.onnx")
    files = service.get(model["links"]["files"])
    assert "model.onnx" not in [file["name"] for file in files["files"]]
    (refused,) = files["refused"]
    assert (refused["exporter"], refused["reason"], refused["score"]["accuracy"]) == ("onnx", "it scores 0.9", 0.9)
    service.get(f"{model['links']['files']}/model.onnx", status=404)


def test_what_is_not_made_yet_is_said_to_be_and_listing_makes_nothing(service: Service, model: dict[str, Any]) -> None:
    for _ in range(2):
        files = service.get(model["links"]["files"])
        assert (files["state"], files["files"], files["name"]) == ("absent", [], None)
    for address in (f"{model['links']['files']}/model.onnx", model["links"]["archive"]):
        assert f"POST /v1/models/{model['id']}/files makes them" in service.get(address, status=409)["detail"]


@pytest.mark.parametrize("packing", ["zip", "tar"])
def test_an_archive_is_sent_whole_and_in_parts(service: Service, built: dict[str, Any], packing: str) -> None:
    address = service.get(built["links"]["files"])["links"][packing]
    whole = service.http.get(address)
    digest = hashlib.sha256(whole.content).hexdigest()
    assert whole.headers["etag"] == f'"{digest}"'
    assert whole.headers["content-disposition"] == f'attachment; filename="b1_0.5ms_acc0.910.{packing}"'
    part = service.http.get(address, headers={"range": "bytes=1000-", "if-range": f'"{digest}"'})
    assert (part.status_code, part.content) == (206, whole.content[1000:])
    assert service.http.get(address, headers={"if-none-match": f'"{digest}"'}).status_code == 304
    head = service.http.head(address)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(whole.content)))
    service.get(address, status=416, headers={"range": "bytes=99999999-"})
    if packing == "zip":
        with zipfile.ZipFile(io.BytesIO(whole.content)) as read:
            assert read.testzip() is None
    events = service.get(f"/v1/growths/{built['run']}/events")["events"]
    assert [event["text"] for event in events if event["kind"] == "downloaded"] == [
        f"model {built['id']} downloaded as {packing}",
        f"model {built['id']} downloaded as {packing} in part",
    ]
    service.get(f"{built['links']['archive']}?as=rar", status=422)


def test_a_model_is_named_by_what_it_is_of_its_run(service: Service) -> None:
    search = service.search(POINTS)
    growth = service.growth(search, members=("B0", "B1", "B2"), tested=(0.9, 0.95, 0.93))
    members = {row["member"]: row["model"] for row in service.get(f"/v1/growths/{growth.id}")["family"]}

    def named(name: str) -> str:
        found: str = service.get(f"/v1/models/{growth.id}@{name}")["id"]
        return found

    scores = {row["member"]: row["test_accuracy"] for row in service.get(f"/v1/growths/{growth.id}")["family"]}
    assert named("best") == members[max(scores, key=lambda member: scores[member])]
    assert {name: named(name) for name in ("b0", "b1", "B2")} == {
        "b0": members["B0"],
        "b1": members["B1"],
        "B2": members["B2"],
    }
    assert named("latest") == service.get(f"/v1/models?run={growth.id}")["models"][0]["id"]
    assert service.get(f"/v1/models/{growth.id}@b1/card")["member"] == "B1"
    assert service.get(f"/v1/models/{growth.id}@b1/files")["model"] == members["B1"]
    assert service.http.get(f"/v1/models/{growth.id}@b1/checkpoint").status_code == 200
    for name, words in (
        (f"{growth.id}@b7", "it has b0, b1, b2"),
        (f"{growth.id}@worst", "no model 'worst': there are best, latest, and of a growth its members"),
        (f"{UNKNOWN}@best", f"there is no run '{UNKNOWN}'"),
        (f"{search.id}@best", "has no model: grow it"),
    ):
        assert words in service.get(f"/v1/models/{name}", status=404)["detail"]


def test_the_best_of_a_growth_says_that_the_one_that_leads_has_no_weights(service: Service, tmp_path: Path) -> None:
    growth = service.growth(service.search(POINTS), members=("B0", "B1"), tested=(0.95, 0.9))
    service.store.claims.release(growth.id, OWNER, "finished")
    leader = service.get(f"/v1/models/{growth.id}@best")
    assert (leader["hint"], leader["test_accuracy"]) == (None, 0.95)
    assert service.http.delete(f"/v1/models/{leader['id']}").status_code == 204
    with patch("api.views.growth.family", wraps=views.family) as read:
        taken = service.get(f"/v1/models/{growth.id}@best")
    assert read.call_count == 1, "which takes long where there are many seeds"
    words = (
        f"{leader['member']}, which leads with 95.00 %, has no weights any more: "
        f"{taken['member']} with 90.00 % is the best of those that have"
    )
    assert taken["hint"] == words
    assert service.get(f"/v1/models/{taken['id']}")["hint"] is None
    ran = nas("download", f"{growth.id}@best", "--to", str(tmp_path))
    assert words in unwrapped(ran.out)
    assert (tmp_path / taken["file"]).exists()


def test_of_a_search_the_best_is_the_one_with_the_highest_reward(service: Service) -> None:
    run = service.search([], running=2, save_weights=True, objective=Objective(target=4e6, w_under=0.0, w_over=-1.0))
    for number, (accuracy, mult_adds) in enumerate(((0.9, 4_000_000), (0.95, 16_000_000))):
        job = service.store.trial(run.id, number).job
        measured = Measurement(params=1, mult_adds=mult_adds, accuracy=accuracy)
        sha256, size = filed(job, measured)
        service.end(job, replace(measured, weights=sha256), size)
    assert service.get(f"/v1/models/{run.id}@best")["number"] == 0
    assert service.get(f"/v1/models/{run.id}@latest")["number"] == 1
    assert "only growths have members" in service.get(f"/v1/models/{run.id}@b0", status=404)["detail"]


@pytest.mark.parametrize("kind", ["onnx", "pt2", "zip", "tar", "int8"])
def test_a_download_of_any_kind_is_named_resumed_and_checked(
    client: Client, built: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    told: list[int] = []
    path = client.download(f"{built['run']}@b0", tmp_path, told.append, kind)
    whole = path.read_bytes()
    assert path.name == (OWN if kind == "int8" else f"b1_0.5ms_acc0.910.{kind}")
    assert told[-1] == len(whole)
    path.rename(tmp_path / f".{path.name}.part")
    with open(tmp_path / f".{path.name}.part", "ab") as file:
        file.truncate(700)
    requests: list[httpx.Request] = []
    client._http.event_hooks["request"].append(requests.append)
    assert client.download(built["id"], tmp_path, kind=kind).read_bytes() == whole
    client._http.event_hooks["request"].clear()
    assert [request.headers["range"] for request in requests if "range" in request.headers] == ["bytes=700-"]
    path.rename(tmp_path / f".{path.name}.part")
    with open(tmp_path / f".{path.name}.part", "r+b") as file:
        file.write(b"damaged")
        file.truncate(700)
    with pytest.raises(ServiceError, match=r"instead of .*: it is thrown away, try again"):
        client.download(built["id"], tmp_path, kind=kind)
    assert not list(tmp_path.iterdir())


def test_the_command_downloads_by_name_and_kind(built: dict[str, Any], tmp_path: Path) -> None:
    ran = nas("download", f"{built['run']}@best", "--as", "onnx", "--to", str(tmp_path), "--json")
    assert ran.json == {"files": [str(tmp_path / "b1_0.5ms_acc0.910.onnx")]}
    assert (tmp_path / "b1_0.5ms_acc0.910.onnx").exists()
    shown = nas("files", f"{built['run']}@latest")
    assert re.search(r"model.onnx .* 90.00 % on 1,000", shown.out)
    assert nas("files", built["id"], "--json").json["state"] == "built"
    wrong = nas("download", built["id"], "--as", "rar")
    assert wrong.code == 2
    assert "invalid choice: 'rar'" in wrong.error


def test_files_that_were_not_scored_say_why_and_are_made_again_when_asked_for(
    service: Service, model: dict[str, Any]
) -> None:
    why = "the images of folder:/f have changed since it was trained"
    fill(model["sha256"], score=replace(SCORE, accuracy=None, images=256, unchecked=why, alike=1.0))
    files = service.get(model["links"]["files"])
    assert {file["score"]["unchecked"] for file in files["files"] if file["score"]} == {why}
    shown = nas("files", model["id"]).out
    assert re.search(r"model.onnx .* not checked ", shown)
    assert shown.count(f"not checked: {why}") == 1
    assert service.post(model["links"]["files"], status=202)["state"] == "building"


def test_what_cannot_be_built_says_why_and_can_be_asked_for_again(
    service: Service, client: Client, model: dict[str, Any]
) -> None:
    """The weights of these models are only bytes."""
    with pytest.raises(ServiceError, match=r"could not be made: .* other weights than its card says"):
        client.make_files(model["id"], 0.05)
    files = service.get(model["links"]["files"])
    assert files["state"] == "failed"
    assert "other weights" in files["reason"]
    assert "other weights" in service.get(model["links"]["archive"], status=409)["detail"]
    assert service.post(model["links"]["files"], status=202)["state"] == "building"
    assert "files of model" in nas("files", model["id"]).out
    with pytest.raises(ServiceError, match="could not be made"):
        client.offered(model["id"], "onnx")


def test_where_torch_is_not_installed_the_extra_is_named(
    service: Service, model: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.extras.find_spec", lambda name: None if name == "torch" else name)
    problem = service.post(model["links"]["files"], status=503)
    assert "needs torch: pip install 'nas-service[workers]'" in problem["detail"]


def test_what_was_used_longest_ago_makes_room(model: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in enumerate(("a" * 64, "b" * 64, "c" * 64)):
        fill(name)
        os.utime(archives.folder(name), (place, place))
    archives.used("a" * 64)
    (archives.folder("b" * 64).with_suffix(".zip")).write_bytes(b"")
    size = sum(file.stat().st_size for file in archives.folder("c" * 64).iterdir())
    monkeypatch.setenv("NAS_MOST_ARCHIVED", str(2 * size + 100))
    archives._make_room(keep="c" * 64)
    assert {path.name for path in home.folder("archives").iterdir()} == {"a" * 64, "c" * 64}
    monkeypatch.setenv("NAS_MOST_ARCHIVED", "1")
    archives._make_room(keep="c" * 64)
    assert {path.name for path in home.folder("archives").iterdir()} == {"c" * 64}


def test_a_real_model_is_built_by_the_service_and_loaded_from_it(
    service: Service, client: Client, model: dict[str, Any], tmp_path: Path
) -> None:
    """From its pictures to `nas.load` by name and by address."""
    for part in ("train", "test"):
        for place, name in enumerate(CLASSES):
            for number in range(80 // len(CLASSES) if part == "train" else 2):  # as many as 8 bits need
                draw(tmp_path / "images" / part / name / f"{number}.png", 60 * place + number % 9, (12, 12), "L")
    torch.manual_seed(0)
    untrained = network(TINY).eval()
    facts: dict[str, Any] = {"space": "mbconv", "architecture": TINY, "choices": {}, "run": model["run"], "number": 0}
    facts |= {"member": "B0", "dataset": f"folder:{tmp_path / 'images'}", "classes": tuple(sorted(CLASSES)), "seed": 0}
    facts |= {"mean": (0.4,), "std": (0.2,), "accuracy": None, "latencies": {}, "recipe": RECIPE, "pixels": 12}
    card = Card(**facts, test_accuracy=0.25, params=counts(TINY).params, mult_adds=counts(TINY).mult_adds)
    path = checkpoint.artifact(checkpoint.save(untrained, card))
    found = archive._scored(path, None)
    sha256 = checkpoint.save(untrained, Card(**(vars(card) | {"test_accuracy": found.accuracy})))
    with service.store._database.writing() as connection:
        size = checkpoint.artifact(sha256).stat().st_size
        values = {"sha256": sha256, "bytes": size, "id": model["id"]}
        connection.execute(text("UPDATE model SET sha256 = :sha256, bytes = :bytes WHERE id = :id"), values)
    files = client.make_files(model["id"], 0.1)
    assert {file["exporter"] for file in files["files"]} == {"safetensors", "onnx", "int8", "pt2", None}
    lacking = {name: exporters.missing(name) for name in exporters.names()}
    assert {each["exporter"]: each["reason"] for each in files["refused"]} == {k: v for k, v in lacking.items() if v}
    assert client.make_files(model["id"]) == files  # nothing is made twice
    packed = client.download(model["id"], tmp_path, kind="zip")
    raw = np.zeros((3, 1, 12, 12), np.uint8)
    expected = library.load(checkpoint.artifact(sha256))(raw).logits
    for what in (packed, f"{model['run']}@b0", f"{service.url}/v1/models/{model['run']}@latest", model["id"]):
        assert torch.equal(library.load(what)(raw).logits, expected), what
    events = [event["text"] for event in service.get(f"/v1/growths/{model['run']}/events")["events"]]
    assert events.count(f"the files of model {model['id']} are made") == 1
    with zipfile.ZipFile(packed) as read:
        about = json.loads(read.read(f"{files['name']}/manifest.json"))
    assert about["checkpoint"] == sha256


def test_a_picture_is_shown_to_a_model(service: Service, client: Client, built: dict[str, Any], tmp_path: Path) -> None:
    path = exported(home.folder("archives") / built["sha256"] / "model.onnx")
    photo = draw(tmp_path / "photo.png", (200, 30, 60), (90, 60))
    expected = classify.Classifier(path).probabilities(photo)
    assert client.classify(built["id"], photo) == expected
    address, content = f"/v1/models/{built['id']}/classes", photo.read_bytes()
    ask = functools.partial(service.ask, "POST", headers={"content-type": "application/octet-stream"})
    png = {"content-type": "image/png"}
    for shown in (ask(address, 200, content=content), service.ask("POST", address, 200, content=content, headers=png)):
        assert [row["name"] for row in shown["classes"]] == list(expected)
    refused = "the picture cannot be shown to the network: "
    for broken, words in ((b"no picture", f"it is no image of a known kind{classify.KINDS}"), (b"", "it is empty")):
        assert ask(address, 415, content=broken)["detail"] == refused + words
    assert ask(address, 415, content=content[: len(content) // 2])["detail"] == f"{refused}it is cut off"
    assert "send it with Content-Type" in service.ask("POST", address, 415, content=content)["detail"]
    assert "INVALID_PROTOBUF" in ask(f"{address}?by=model.int8.onnx", 415, content=content)["detail"]
    ask(f"{address}?by=passwords", 422, content=content)


def test_a_picture_is_bounded(service: Service, built: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    exported(home.folder("archives") / built["sha256"] / "model.onnx")
    monkeypatch.setattr(gate, "LARGER", dict.fromkeys(gate.LARGER, 10))
    headers = {"content-type": "application/octet-stream"}
    service.ask("POST", f"/v1/models/{built['id']}/classes", 413, content=b"x" * 11, headers=headers)
    for _ in range(2):
        files._showing.acquire()
    try:
        problem = service.ask("POST", f"/v1/models/{built['id']}/classes", 429, content=b"x", headers=headers)
        assert "try again in a second" in problem["detail"]
    finally:
        for _ in range(2):
            files._showing.release()


def test_without_files_a_picture_is_shown_to_nothing(service: Service, model: dict[str, Any]) -> None:
    headers = {"content-type": "application/octet-stream"}
    problem = service.ask("POST", f"/v1/models/{model['id']}/classes", 409, content=b"x", headers=headers)
    assert "are not made yet" in problem["detail"]
