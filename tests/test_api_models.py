"""Models over HTTP: their list, their cards, and their checkpoints whole and in parts; every answer is held against
OpenAPI."""

import base64
import hashlib
import re
from dataclasses import replace
from typing import Any

import pytest

from nas.codec import encode
from nas.measurements import Measurement
from nas.metrics import quality
from nas.models.checkpoint import artifact
from nas.rounding import Rounding
from tests.command_line import nas, unwrapped
from tests.service import Service


@pytest.fixture(scope="module")
def model(service: Service) -> dict[str, Any]:
    growth = service.growth(service.search([(0.9, 1000)]), name="Ångström / flowers: v2")
    found: dict[str, Any] = service.get(f"/v1/models?run={growth.id}")["models"][0]
    return found


def test_models_are_listed_newest_first_and_paged(service: Service, model: dict[str, Any]) -> None:
    newest = service.growth(service.search([(0.9, 1000)]))
    page = service.get("/v1/models?limit=1")
    assert page["models"][0]["id"] == f"{newest.id}-1"
    ids, address = [], "/v1/models?limit=1"
    while address:
        page = service.get(address)
        ids += [row["id"] for row in page["models"]]
        address = page["next"]
    assert ids == [row.id for row in service.store.models()]
    assert [row["member"] for row in service.get(f"/v1/models?run={newest.id}&limit=1")["models"]] == ["B0"]
    assert service.get(f"/v1/models/{model['id']}") == model
    assert (model["test_accuracy"], model["latencies_ms"]) == (0.91, {"cpu": 0.5})


def test_of_several_folds_the_accuracy_is_that_of_the_one_that_was_saved(service: Service) -> None:
    run = service.search([], running=2, save_weights=True)
    measured = Measurement(params=1, mult_adds=1, accuracy=0.75, accuracy_error=0.02)
    of_all, own = (quality([[right, 10 - right], [0, 10]], ("cat", "dog")) for right in (5, 2))
    measured = replace(measured, quality=of_all, rounding=Rounding(float32=0.8, int8=0.75, per_channel=False))
    saved = replace(measured, saved_accuracy=0.6, saved_error=0.04, weights="0" * 64)
    service.end(service.store.trial(run.id, 0).job, saved, 1)
    rounding = Rounding(float32=0.65, int8=0.6, per_channel=False)
    known = replace(saved, saved_error=0.06, saved_quality=own, saved_rounding=rounding, weights="1" * 64)
    service.end(service.store.trial(run.id, 1).job, known, 1)
    newer, model = service.get(f"/v1/models?run={run.id}")["models"]
    assert (model["accuracy"], model["accuracy_error"]) == (0.6, 0.04)
    assert (model["quality"], model["rounding"]) == (None, None), "not those of all folds, beside the accuracy of one"
    assert (newer["quality"], newer["rounding"]) == (encode(own), encode(rounding))
    shown = nas("models", run.id).out
    assert re.search(r"-1 +– +60.00 % +– +65.00 % ", shown), shown
    assert f"{run.id}-0: the largest class" not in shown
    assert f"{run.id}-1: the largest class alone gives 50.00 %; balanced accuracy 60.00 %" in shown
    assert "Validation  Test  float32  Latency" in shown
    assert "in 8 bits; its file is in float32" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert service.get(f"/v1/searches/{run.id}/pareto")["front"][0]["accuracy"] == 0.75


@pytest.mark.parametrize("seen", [True, False])
def test_what_a_parent_or_teacher_may_have_seen_is_said_of_the_model_and_its_search(
    service: Service, seen: bool
) -> None:
    run = service.search([], running=1, save_weights=True)
    measured = Measurement(params=1, mult_adds=1, accuracy=0.75, seen=seen, weights="2" * 64)
    service.end(service.store.trial(run.id, 0).job, measured, 1)
    assert service.get(f"/v1/models/{run.id}-0")["seen"] is seen
    said = f"{run.id}-0: its parent or teacher may have seen the images that it is scored on"
    assert (said in unwrapped(nas("models", run.id).out)) is seen
    search = service.get(f"/v1/searches/{run.id}")
    assert search["best"]["seen"] is seen
    assert ("Its parent or teacher may have seen the images that it is scored on" in search["verdict"]) is seen


def test_a_checkpoint_is_downloaded_whole(service: Service, model: dict[str, Any]) -> None:
    address = model["links"]["checkpoint"]
    response = service.http.get(address)
    assert response.status_code == 200
    assert hashlib.sha256(response.content).hexdigest() == model["sha256"]
    assert len(response.content) == model["bytes"] == int(response.headers["content-length"])
    assert response.headers["etag"] == f'"{model["sha256"]}"'
    digest = base64.b64encode(hashlib.sha256(response.content).digest()).decode()
    assert response.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-type"] == "application/vnd.safetensors"
    assert model["file"] == f"Angstrom-flowers-v2-{model['member']}-{model['sha256'][:8]}.safetensors"
    assert response.headers["content-disposition"] == f'attachment; filename="{model["file"]}"'
    head = service.http.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == response.headers["etag"]


def test_a_checkpoint_that_is_there_already_is_not_sent_again(service: Service, model: dict[str, Any]) -> None:
    tag = f'"{model["sha256"]}"'
    for tags in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        response = service.http.get(model["links"]["checkpoint"], headers={"if-none-match": tags})
        assert (response.status_code, response.content) == (304, b""), tags
        assert response.headers["etag"] == tag
    response = service.http.get(model["links"]["checkpoint"], headers={"if-none-match": '"other"'})
    assert response.status_code == 200


@pytest.mark.parametrize("wanted", [(0, 9), (10, None), (None, 7), (100, 10**9)])
def test_a_part_of_a_checkpoint_is_sent(
    service: Service, model: dict[str, Any], wanted: tuple[int | None, int | None]
) -> None:
    first, last = wanted
    whole = artifact(model["sha256"]).read_bytes()
    part = whole[-(last or 0) :] if first is None else whole[first : None if last is None else last + 1]
    text = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    response = service.http.get(model["links"]["checkpoint"], headers={"range": text})
    assert response.status_code == 206
    assert response.content == part
    begin = len(whole) - len(part) if first is None else first
    assert response.headers["content-range"] == f"bytes {begin}-{begin + len(part) - 1}/{len(whole)}"
    assert response.headers["etag"] == f'"{model["sha256"]}"'


def test_a_part_of_another_version_is_not_sent(service: Service, model: dict[str, Any]) -> None:
    headers = {"range": "bytes=10-", "if-range": f'"{model["sha256"]}"'}
    assert service.http.get(model["links"]["checkpoint"], headers=headers).status_code == 206
    headers["if-range"] = '"other"'
    response = service.http.get(model["links"]["checkpoint"], headers=headers)
    assert response.status_code == 200
    assert len(response.content) == model["bytes"]


@pytest.mark.parametrize(
    ("wanted", "status"),
    [("bytes=99999999-", 416), ("bytes=0-1,99999999-", 416), ("bytes=9-5", 400), ("bytes=x", 400), ("pages=1-2", 400)],
)
def test_a_part_that_is_not_there_is_refused(service: Service, model: dict[str, Any], wanted: str, status: int) -> None:
    response = service.http.get(model["links"]["checkpoint"], headers={"range": wanted})
    assert response.status_code == status
    assert wanted in response.json()["detail"]
    if status == 416:
        assert response.headers["content-range"] == f"bytes */{model['bytes']}"


def test_a_card_is_read_from_the_checkpoint(service: Service, model: dict[str, Any]) -> None:
    card = service.get(model["links"]["card"])
    assert (card["run"], card["number"], card["member"]) == (model["run"], model["number"], model["member"])
    assert card["test_accuracy"] == 0.91
    assert (
        card["architecture"]
        == service.get(f"/v1/growths/{model['run']}/trials")["trials"][model["number"]]["job"]["architecture"]
    )


def test_a_checkpoint_that_is_gone_or_cut_is_said_to_be(service: Service) -> None:
    growth = service.growth(service.search([(0.9, 1000)], seed=3))
    (one, two) = service.get(f"/v1/models?run={growth.id}")["models"]
    artifact(one["sha256"]).unlink()
    with open(artifact(two["sha256"]), "ab") as file:
        file.truncate(1000)
    for model, words in ((one, "is gone"), (two, "is damaged.* 1,000 of")):
        for link in ("checkpoint", "card"):
            problem = service.get(model["links"][link], status=410)
            assert re.search(f"{model['id']} {words}", problem["detail"])
        assert service.get(f"/v1/models/{model['id']}") == model
