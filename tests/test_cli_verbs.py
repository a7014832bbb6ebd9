"""What the verbs of the command line ask of the real service, and how wrong use and refusals end."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from api.cli import proxy
from nas import datasets, proxy_report, zoo
from nas.codec import encode
from nas.measurements import Measurement
from nas.networks.scaling import CompoundScaling
from nas.objective import HARD, Objective
from nas.recipes import Recipe
from nas.specs import Fidelity, ProxySpec, SearchSpec
from nas.worth import worth
from tests.command_line import nas, unwrapped
from tests.dataset_files import draw, fill
from tests.service import OWNER, POINTS, UNKNOWN, Service, ended, latency


def test_search_verb_sends_what_the_api_takes(service: Service) -> None:
    ran = nas(
        *(
            "search",
            "--dataset",
            "fashion_mnist",
            "--name",
            "narrow",
            "--trials",
            "8",
            "--target",
            "5e6",
            "--hours",
            "1.5",
            "--compute-hours",
            "3",
        ),
        *(
            "--cost",
            "mult_adds",
            "--w",
            "0,-1",
            "--form",
            "front",
            "--epochs",
            "1",
            "--limit-params",
            "3e5",
            "--seed",
            "7",
        ),
        *("--knob", "stage1.op=conv,fused", "--knob", "stage1.kernel=3", "--knob", "stage1.se_ratio=0.25"),
        *("--searcher", "evolution", "--option", "population=4", "--option", "sample=2", "--parallel", "3"),
        *("--priority", "4"),
        *("--recipe", "proxy", "--train-images", "5000", "--balanced", "--save-weights", "--json"),
        *("--class-weights", "Shirt=2,Bag=0.5"),
        *("--confirm", "2", "--fidelity", "hyperband", "--eta", "2", "--rungs", "2", "--scale", "train_images"),
    )
    assert ran.code == 0, ran.error
    spec = service.store.run(ran.json["id"]).spec
    proxy = Recipe(**service.get("/v1/recipes")["recipes"]["proxy"])
    assert isinstance(spec, SearchSpec)
    assert (spec.name, spec.trials, spec.parallel, spec.seed, spec.save_weights) == ("narrow", 8, 3, 7, True)
    assert spec.priority == 4
    assert spec.objective == Objective(target=5e6, w_under=0.0, w_over=-1.0, form="front")
    assert (spec.limits.params, spec.hours, spec.compute_hours, spec.confirm) == (300_000, 1.5, 3, 2)
    assert spec.fidelity == Fidelity(kind="hyperband", eta=2, rungs=2, scaled="train_images")
    assert spec.knobs == {"stage1.op": ("conv", "fused"), "stage1.kernel": (3,), "stage1.se_ratio": (0.25,)}
    assert spec.options == {"population": 4, "sample": 2}
    changes: dict[str, Any] = {"epochs": 1, "train_images": 5000, "balanced": True, "folds": 1}
    changes["class_weights"] = {"Shirt": 2.0, "Bag": 0.5}
    assert spec.recipe == Recipe(**{**vars(proxy), **changes})


def test_search_verb_leaves_defaults_to_the_service(service: Service, tmp_path: Path) -> None:
    ran = nas("search", "--dataset", "fashion_mnist")
    assert ran.code == 0
    run = service.store.runs(limit=1)[0]
    assert f"nas watch {run.id}" in ran.out
    recipe = Recipe(epochs=2, folds=1)
    info = datasets.describe("fashion_mnist", tmp_path)
    assert run.spec == SearchSpec(dataset="fashion_mnist", recipe=recipe, worth=worth(recipe, info))


def test_images_are_taken_from_the_clients_folder_and_told_of(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fill(tmp_path / "pets") / "cat" / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    words = "no images that can be opened: 1 .txt"
    for ran in (nas("search", "--dataset", "folder:pets"), nas("proxy", "--dataset", "folder:pets", "--on-service")):
        assert words in ran.out, ran.error
        (run, *_) = service.store.runs(limit=1)
        assert run.spec.dataset == f"folder:{tmp_path}/pets"
        assert words in " ".join(nas("show", run.id).out.split())
    shown = nas("datasets", "folder:pets").out
    assert "2 classes, 18 + 2 colour images of 20 pixels" in shown
    assert words in " ".join(shown.split())


def test_a_look_at_images_proposes_a_search_that_auto_takes(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "so far down that a command with it takes more than a line"
    draw(fill(place / "pets") / "dog" / "twin.png", (0, 3, 0))
    shutil.copy(place / "pets" / "cat" / "003.png", place / "pets" / "dog" / "003.png")
    monkeypatch.chdir(place)
    for name in ("folder:pets", "pets", "./pets", f"{place}/pets"):
        told = " ".join(nas("datasets", "check", name).out.split())
        assert "18 + 3 colour images of 2 classes" in told or "19 + 2 colour images of 2 classes" in told
        assert "images are in several classes" in told
        assert "recipe.folds 5: 2 held out" in told
        assert f"nas search --dataset 'folder:{place}/pets' --auto" in told
    assert nas("datasets", "check").code == nas("datasets", "folder:pets", "more").code == 1
    ran = nas("search", "--dataset", "./pets", "--auto", "--folds", "2")
    assert "Auto: hours 1.0: nothing was trained on these images here yet" in ran.out, ran.error
    spec = service.store.runs(limit=1)[0].spec
    assert isinstance(spec, SearchSpec)
    assert (spec.hours, spec.trials, spec.recipe.folds) == (1.0, 20, 2)


def test_a_search_like_another_differs_in_what_is_said(service: Service) -> None:
    nas("search", "--dataset", "fashion_mnist", "--target", "2e6", "--trials", "7", "--limit-params", "300000")
    first = service.store.runs(limit=1)[0]
    aim = {"target": 2e6, "w_under": HARD[0], "w_over": HARD[1]}
    asked = {"dataset": "fashion_mnist", "objective": aim, "trials": 7, "limits": {"params": 300_000}}
    assert service.get(f"/v1/searches/{first.id}/request") == {**asked, "recipe": {"epochs": 2, "folds": 1}}
    assert nas("search", "--like", first.id).code == 0
    assert service.store.runs(limit=1)[0].spec == first.spec
    nas("search", "--like", first.id, "--cost", "params", "--target", "1e5", "--w", "soft", "--trials", "8")
    spec = service.store.runs(limit=1)[0].spec
    assert isinstance(spec, SearchSpec)
    assert spec.objective == Objective(cost="params", target=1e5)
    assert (spec.trials, spec.limits.params) == (8, 300_000)
    assert "give one in parameters" in nas("search", "--like", first.id, "--cost", "params").error


def test_a_search_like_one_from_before_there_were_folds_holds_out_a_tenth_as_that_did(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = service.store.add_run("search", SearchSpec(dataset="fashion_mnist", recipe=Recipe(epochs=2)))
    monkeypatch.setattr("nas.worth.FEW_IMAGES", 10**6)  # of which there would be five today
    assert nas("search", "--like", old.id).code == 0
    (like,) = service.store.runs(limit=1)
    assert like.id != old.id
    assert isinstance(like.spec, SearchSpec)
    assert like.spec.recipe.folds == 1


def test_a_search_learns_from_another(service: Service) -> None:
    first = service.search(POINTS).id
    ran = nas("search", "--dataset", "fashion_mnist", "--learn-from", first)
    second = service.store.runs(limit=1)[0]
    assert isinstance(second.spec, SearchSpec)
    assert second.spec.learn_from == (first,), ran.error
    assert f"Learns from {first}" in " ".join(nas("show", second.id).out.split())


def test_a_recipe_may_be_a_file_or_json(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"epochs": 9}')
    for given in (str(file), '{"epochs": 9}'):
        made = nas("search", "--dataset", "fashion_mnist", "--recipe", given, "--batch", "32", "--json").json
        assert (made["spec"]["recipe"]["epochs"], made["spec"]["recipe"]["batch"]) == (9, 32)
    file.write_text("{")
    for given, words in (
        (str(file), "is not a JSON object"),
        ("{", "is not a JSON object"),
        ("slow", "none of proxy"),
        ("[1]", "none of"),
    ):
        ran = nas("search", "--dataset", "fashion_mnist", "--recipe", given)
        assert ran.code == 1
        assert words in ran.error
    assert "recipe { is not a JSON object" in nas("proxy", "--dataset", "fashion_mnist", "--cheap", "{").error


def test_grow_verb(service: Service, search: str) -> None:
    options = ("--members", "B0,B2", "--epochs", "4", "--trial", "3", "--scaling", "1.2,1.1,1.15", "--device", "cpu")
    ran = nas("grow", search, *options, "--seeds", "3", "--priority", "2", "--json")
    assert ran.code == 0, ran.error
    spec = ran.json["spec"]
    assert (spec["members"], spec["source"], spec["recipe"]["epochs"]) == (["B0", "B2"], [search, 3], 4)
    assert spec["scaling"] == encode(CompoundScaling(alpha=1.2, beta=1.1, gamma=1.15))
    assert (spec["seeds"], spec["priority"]) == (3, 2)
    assert nas("grow", search, "--json").json["spec"]["source"] == [search, 1]


def test_proxy_verb(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"

    def found(spec: ProxySpec, say: proxy.Say) -> proxy_report.Report:
        say("candidate 1")
        row = proxy_report.Ordering(
            name="zen",
            kendall=0.5,
            kendall_interval=(0.25, 0.75),
            spearman=None,
            spearman_interval=None,
            seconds=0.0123,
        )
        return proxy_report.Report(orderings=(row,), dear_seconds=60.0, candidates=(), failed=())

    monkeypatch.setattr(proxy, "found_here", found)
    options = ("--dataset", "fashion_mnist", "--candidates", "5", "--limit-params", "3e5", "--dear", "full")
    ran = nas("proxy", *options)
    assert ran.code == 0, ran.error
    assert "candidate 1" in ran.error
    assert re.search(r"zen +0.50 \[0.25, 0.75\] +– +0.0123 s", ran.out)
    here = nas("proxy", *options, "--json").json["spec"]
    assert (here["candidates"], here["limits"]["params"], here["dear"]["epochs"]) == (5, 300_000, 60)
    there = nas("proxy", *options, "--on-service", "--json").json
    assert (there["kind"], there["state"], there["spec"]) == ("proxy", "queued", here)
    assert "0 candidates are compared yet" in nas("show", there["id"]).out
    recipe.write_text('{"epochs": 7}')
    assert nas("proxy", *options, "--cheap", str(recipe), "--json").json["spec"]["cheap"]["epochs"] == 7
    for option, words in (
        ("--cheap=best", "no file, no JSON, and none of proxy"),
        ("--candidates=2", "not between 4"),
        ("--watch", "--watch needs --on-service"),
    ):
        wrong = nas("proxy", *options, option)
        assert wrong.code == 1
        assert words in wrong.error


def test_measure_on_the_services_workers(service: Service) -> None:
    ran = nas("measure", "LeNet-5", "--on-service", "--device", "cpu", "--device", "cuda", "--json")
    assert ran.code == 0, ran.error
    assert (ran.json["spec"]["published"], ran.json["spec"]["devices"]) == ("LeNet-5", ["cpu", "cuda"])
    run = service.store.run(ran.json["id"])
    measured = Measurement(params=61_706, mult_adds=416_520, latencies={"cpu": latency(0.25)})
    ended(service.store, OWNER, service.claimed(run), [measured, "DeviceError: no GPU here"])
    service.store.claims.release(run.id, OWNER, "finished")
    out = nas("show", run.id).out
    assert "LeNet-5, for 32×32×1, 10 classes" in out
    assert re.search(r"cpu +0.250 ms +0.300 ms", out)
    assert re.search(r"95 % and\s+minimum: of\s+all runs, as they were", out)
    assert re.search(r"cuda +–.*DeviceError: no GPU here", out)
    watched = nas("watch", run.id)
    assert watched.code == 0
    assert re.search(r"trial 0 +done +cpu +417 k mult-adds .*0.250 ms", watched.out)
    listed = nas("list")
    assert re.search(rf"{run.id} +benchmark +finished +2/2", listed.out)
    sample = ("--networks", "3", "--on-service", "--resolution", "28", "--channels", "1", "--classes", "10")
    drawn = nas("measure", *sample, "--json").json["spec"]
    assert (drawn["networks"], drawn["space"], drawn["architecture"]) == (3, "mbconv", None)
    whole = nas("measure", json.dumps(encode(zoo.architecture("LeNet-5"))), "--on-service", "--json")
    assert whole.json["spec"]["architecture"] == encode(zoo.architecture("LeNet-5"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--networks", "3"), "need --on-service"),
        (("--on-service",), "takes one network, or --networks"),
        (("LeNet-5", "--networks", "3", "--on-service"), "takes one network, or --networks"),
        (("LeNet-6", "--on-service"), "unknown published network 'LeNet-6'"),
        (("0a1b2c3d4e5f-9", "--on-service"), "there is no model '0a1b2c3d4e5f-9'"),
        (("--networks", "3", "--on-service"), "images is missing"),
    ],
)
def test_what_cannot_be_measured_is_said(service: Service, arguments: tuple[str, ...], words: str) -> None:
    ran = nas("measure", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.error


def test_wishes_and_budget(service: Service) -> None:
    run = service.search(POINTS, trials=4).id
    for verb, wish in (("pause", "pause"), ("resume", "run"), ("stop", "stop"), ("cancel", "cancel")):
        ran = nas(verb, run)
        assert (ran.code, service.store.run(run).wish) == (0, wish)
        assert run in ran.out
    assert nas("raise", run, "9", "--json").json["trials"] == 9
    longer = nas("raise", run, "--hours", "2", "--compute-hours", "0.5")
    assert f"Search {run} has 9 trials, 2 hours, 0.5 compute hours now" in unwrapped(longer.out)
    assert "1 hour, 0.5 compute hours now" in unwrapped(nas("raise", run, "--hours", "1").out)
    assert "trials, hours and compute_hours are all left out: give one" in nas("raise", run).error
    assert f"trial 0 of run {run} is done and has no latency" in nas("remeasure", run, "0").error
    too_few = nas("raise", run, "2")
    assert too_few.code == 1
    assert "at least 4" in too_few.error


@pytest.mark.parametrize("whole", [True, False])
def test_a_token_is_revoked_by_its_id_which_is_in_it(service: Service, whole: bool) -> None:
    token, text = service.store.tokens.create("Bob", "read")
    ran = nas("token", "revoke", text if whole else token.id)
    assert (ran.code, ran.out) == (0, f"Token {token.id} is revoked.\n")
    assert service.store.tokens.find(text) is None
    again = nas("token", "revoke", text)
    assert f"no token '{token.id}'" in again.error
    assert text not in again.error


def test_a_forecast_submits_nothing(service: Service) -> None:
    before = len(service.store.runs())
    ran = nas("search", "--dataset", "fashion_mnist", "--trials", "7", "--forecast", "--json")
    assert (ran.code, ran.json["trials"], ran.json["trainings"]) == (0, 7, 0)
    told = nas("search", "--dataset", "fashion_mnist", "--forecast")
    assert "by arithmetic, of a core of a processor" in unwrapped(told.out)
    assert len(service.store.runs()) == before
    submitted = nas("search", "--dataset", "fashion_mnist")
    assert submitted.out.startswith(
        "Each candidate has a training of 842 steps, 2 epochs, and an accuracy on about 6,000 images"
    )
    assert "is submitted" in submitted.out
    assert len(service.store.runs()) == before + 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "VERB"),
        (("explode",), "invalid choice: 'explode'"),
        (("search",), "--dataset"),
        (("search", "--dataset", "x", "--trials", "many"), "'many' is not a number"),
        (("search", "--dataset", "x", "--trials", "1.5"), "'1.5' is not a whole number"),
        (("search", "--dataset", "x", "--trials", "1e999"), "not a number"),
        (("search", "--dataset", "x", "--target", "nan"), "'nan' is not a number"),
        (("search", "--dataset", "x", "--knob", "stage1.op"), "'stage1.op' is not of the form NAME=VALUE"),
        (("search", "--dataset", "x", "--w", "1,2,3"), "more than two numbers"),
        (("search", "--dataset", "x", "--cost", "flops"), "invalid choice: 'flops'"),
        (("grow", "x", "--scaling", "1,2"), "not three numbers"),
        (("raise", "x", "many"), "trials"),
        (("raise", "x", "--hours", "inf"), "'inf' is not a number"),
        (("token", "create", "--owner", "Bob", "--days", "nan"), "'nan' is not a number"),
        (("quota", "Bob", "--compute-hours", "nan"), "'nan' is neither a number"),
        (("list", "--limit", "x"), "x"),
    ],
)
def test_wrong_use_ends_with_2(arguments: tuple[str, ...], words: str) -> None:
    ran = nas(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("watch", UNKNOWN), UNKNOWN),
        (("show", "no?such=run"), "no?such=run"),
        (("grow", UNKNOWN), UNKNOWN),
        (("search", "--dataset", "mnist"), "'mnist'"),
        (("search", "--dataset", "fashion_mnist", "--target", "0"), "target 0.0 is not a positive number"),
        (("search", "--dataset", "fashion_mnist", "--target=-1"), "target -1.0"),
        (("search", "--dataset", "fashion_mnist", "--trials", "1000000000"), "1000000000 is not between"),
        (("search", "--dataset", "fashion_mnist", "--device", "tpu"), "'tpu'"),
        (("token", "create", "--owner", "Bob", "--days", "0"), "days 0.0 is not a positive number"),
        (("token", "create", "--owner", "Bob", "--days", "1e12"), "is not a positive number up to 36,500"),
        (("score", "/no/such.safetensors"), ""),
    ],
)
def test_a_refusal_ends_with_1_and_says_why_beside_the_output(arguments: tuple[str, ...], words: str) -> None:
    ran = nas(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.error


def test_migrate_verb_makes_a_database_and_brings_it_up_to_date(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    for _ in range(2):
        assert nas("migrate", "--database", url).out == f"SQLite database {tmp_path}/other.db is up to date.\n"
    assert (tmp_path / "other.db").stat().st_size > 0
    ran = nas("migrate", "--database", "mysql://somewhere/db")
    assert (ran.code, "unknown kind of database 'mysql'" in ran.error) == (1, True)
