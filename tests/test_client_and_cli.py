"""The Python client and the command line, against the real service on a real port."""

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import optuna
import pytest

from api.cli import __main__ as cli
from api.cli import numbers, proxy
from api.client import Client, ServiceError
from nas import proxy_report, zoo
from nas.codec import encode
from nas.models.checkpoint import artifact
from nas.objective import Form, Objective
from nas.recipes import Recipe
from nas.records import Measurement, Progress, Run
from nas.specs import Fidelity, Limits, ProxySpec, SearchSpec
from tests.service import GREY, OWNER, Service, ended, latency
from tests.service import service as service_over

UNKNOWN = "f00f00f00f00"
POINTS = [(0.8, 1_000_000), (0.9, 4_000_000), (0.85, 5_000_000), (0.95, 16_000_000)]
HARD = Objective(target=4e6, w_under=0.0, w_over=-1.0)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_HOME", str(home))
        environment.setenv("COLUMNS", "80")
        with service_over(f"sqlite:///{home}/nas.db") as running:
            environment.setenv("NAS_URL", running.url)
            yield running


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with Client() as client:
        yield client


@pytest.fixture(scope="module")
def search(service: Service) -> str:
    """A search that has finished."""
    run = service.search(POINTS, name="clothes", trials=4, objective=HARD)
    service.store.release(run.id, OWNER, "finished")
    return run.id


@pytest.fixture(scope="module")
def growth(service: Service, search: str) -> str:
    """A growth that has finished, with a checkpoint for each member."""
    run = service.growth(service.store.run(search), name="clothes family")
    service.store.release(run.id, OWNER, "finished")
    return run.id


@dataclass
class Ran:
    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def nas(*arguments: str) -> Ran:
    """The command line, in this process."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            code = cli.main(arguments)
        except SystemExit as exit_:  # argparse's
            code = int(exit_.code or 0)
    return Ran(code, out.getvalue(), error.getvalue())


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "api.cli", *arguments]


# The client


def test_the_client_has_every_verb(service: Service, client: Client) -> None:
    run = client.search(dataset="fashion_mnist", trials=3, searcher="random")
    assert client.run(run["id"])["spec"]["trials"] == 3
    assert client.searches(limit=1)[0]["id"] == client.runs(limit=1)[0]["id"] == run["id"]
    assert client.pause(run["id"])["wish"] == "pause"
    assert client.resume(run["id"])["wish"] == "run"
    assert client.raise_budget(run["id"], 5)["trials"] == 5
    assert client.stop(run["id"])["wish"] == "stop"
    other = client.search(dataset="fashion_mnist", trials=3, searcher="random")
    assert client.cancel(other["id"])["state"] == "cancelled"
    assert client.events(run["id"])[0]["kind"] == "added"
    assert client.trials(run["id"]) == []
    assert client.health()["status"] in ("ok", "waiting")
    for rows in (client.spaces(), client.searchers(), client.devices(), client.datasets()):
        assert all(row["name"] for row in rows)
    assert client.dataset("fashion_mnist")["info"]["channels"] == 1
    assert "stage1.op" in client.space("mbconv", 28, 1, 10)["knobs"]
    assert client.recipes()["growth"]["epochs"] == 20
    assert "LeNet-5" in [row["name"] for row in client.references()]


def test_the_client_reads_results(client: Client, search: str, growth: str) -> None:
    assert [trial["number"] for trial in client.trials(search)] == [0, 1, 2, 3]
    assert [trial["number"] for trial in client.trials(search, after=1, state="done")] == [2, 3]
    assert client.pareto(search)["best"]["number"] == 1
    assert client.pareto(search, target=16e6, w="0,-1")["best"]["number"] == 3
    assert client.pareto(search, w_under=0, w_over=0)["best"]["number"] == 3
    grown = client.grow(search, trial=0, members=["B0"])
    assert grown["spec"]["source"] == [search, 0]
    assert {model["run"] for model in client.models(growth)} == {growth}
    assert client.card(f"{growth}-0")["member"] == client.model(f"{growth}-0")["member"] == "B1"
    assert growth in [row["id"] for row in client.growths()]


def test_lists_go_on_over_pages(service: Service, client: Client) -> None:
    for _ in range(3):
        service.store.add_run("search", SearchSpec(dataset="fashion_mnist"))
    assert [run["id"] for run in client.runs(limit=1000)] == [run.id for run in service.store.runs(limit=1000)]
    assert len(client.runs(limit=2)) == 2


def test_a_refusal_is_one_exception_with_status_and_faults(client: Client) -> None:
    with pytest.raises(ServiceError, match="no run 'f00f00f00f00'") as caught:
        client.run(UNKNOWN)
    assert (caught.value.status, caught.value.faults) == (404, [])
    with pytest.raises(ServiceError, match="trials 0 is not between") as caught:
        client.search(dataset="fashion_mnist", trials=0)
    assert caught.value.status == 422
    assert caught.value.faults[0]["pointer"] == "/trials"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}", "is `nas serve` running there"),
        ("http://no-such-host.invalid", "is `nas serve` running there"),
        ("127.0.0.1:8000", "is no address"),
        ("ftp://127.0.0.1", "is no address"),
        ("http://[", "is no address"),
    ],
)
def test_a_service_that_is_not_there_is_an_error_with_the_way_out(url: str, words: str) -> None:
    url = url.format(port=free_port())
    with pytest.raises(ServiceError, match=words) as caught, Client(url) as client:
        client.health()
    assert caught.value.status is None
    ran = nas("list", "--url", url)
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.error


def test_another_service_at_the_address_is_noticed(service: Service) -> None:
    with pytest.raises(ServiceError, match="not as this service"), Client(service.url) as client:
        client._json("GET", "/index.html")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.handle_request).start()
        url = f"http://127.0.0.1:{other.server_port}"
        with pytest.raises(ServiceError, match=r"501.*is the address right"), Client(url) as client:
            client.health()


# Downloads


def test_a_download_is_whole_and_checked(service: Service, client: Client, growth: str, tmp_path: Path) -> None:
    model = client.models(growth)[0]
    told: list[int] = []
    path = client.download(model["id"], tmp_path / "new" / "folder", told.append)
    assert path.name == model["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == model["sha256"]
    assert told[-1] == model["bytes"]
    assert json.loads(path.with_suffix(".json").read_text()) == client.card(model["id"])
    assert {file.name for file in path.parent.iterdir()} == {path.name, path.with_suffix(".json").name}


def test_a_download_that_broke_off_goes_on(client: Client, growth: str, tmp_path: Path) -> None:
    model = client.models(growth)[0]
    whole = artifact(model["sha256"]).read_bytes()
    (tmp_path / f".{model['file']}.part").write_bytes(whole[:1000])
    requests: list[httpx.Request] = []
    client._http.event_hooks["request"].append(requests.append)
    path = client.download(model["id"], tmp_path)
    client._http.event_hooks["request"].clear()
    assert path.read_bytes() == whole
    (asked,) = (request for request in requests if request.url.path.endswith("checkpoint"))
    assert asked.headers["range"] == "bytes=1000-"
    # Once more: it is there, and is not fetched.
    requests.clear()
    client._http.event_hooks["request"].append(requests.append)
    assert client.download(model["id"], tmp_path) == path
    client._http.event_hooks["request"].clear()
    assert not [request for request in requests if request.url.path.endswith("checkpoint")]


@pytest.mark.parametrize("left", [b"x" * 10, b"x" * 10**6])
def test_a_download_that_is_not_what_it_should_be_is_thrown_away(
    client: Client, growth: str, tmp_path: Path, left: bytes
) -> None:
    model = client.models(growth)[0]
    part = tmp_path / f".{model['file']}.part"
    part.write_bytes(left)
    if len(left) < model["bytes"]:
        with pytest.raises(ServiceError, match=f"SHA-256 .* instead of {model['sha256']}.*try again"):
            client.download(model["id"], tmp_path)
        assert not list(tmp_path.iterdir())
    path = client.download(model["id"], tmp_path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == model["sha256"]
    path.write_bytes(b"damaged")
    assert hashlib.sha256(client.download(model["id"], tmp_path).read_bytes()).hexdigest() == model["sha256"]


def test_download_verb_fetches_all_of_a_growth(client: Client, search: str, growth: str, tmp_path: Path) -> None:
    ran = nas("download", growth, "--to", str(tmp_path), "--json")
    files = [Path(file) for file in ran.json["files"]]
    assert [file.name.split("-")[2] for file in files] == ["B1", "B0"]
    assert all(file.exists() and file.with_suffix(".json").exists() for file in files)
    one = nas("download", f"{growth}-1", "--to", str(tmp_path / "one"))
    assert one.out.strip() == str(tmp_path / "one" / files[1].name)
    none = nas("download", search)
    assert none.code == 1
    assert f"nas grow {search}" in none.error
    assert nas("download", f"{UNKNOWN}-1").code == 1
    (tmp_path / "file").touch()
    blocked = nas("download", growth, "--to", str(tmp_path / "file"))
    assert blocked.code == 1
    assert str(tmp_path / "file") in blocked.error


# Verbs


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
        *("--recipe", "proxy", "--train-images", "5000", "--save-weights", "--json"),
        *("--confirm", "2", "--fidelity", "hyperband", "--eta", "2", "--rungs", "2", "--scale", "train_images"),
    )
    assert ran.code == 0, ran.error
    spec = service.store.run(ran.json["id"]).spec
    proxy = Recipe(**service.get("/v1/recipes")["recipes"]["proxy"])
    assert isinstance(spec, SearchSpec)
    assert (spec.name, spec.trials, spec.parallel, spec.seed, spec.save_weights) == ("narrow", 8, 3, 7, True)
    assert spec.objective == Objective(target=5e6, w_under=0.0, w_over=-1.0, form="front")
    assert (spec.limits.params, spec.hours, spec.compute_hours, spec.confirm) == (300_000, 1.5, 3, 2)
    assert spec.fidelity == Fidelity(kind="hyperband", eta=2, rungs=2, scaled="train_images")
    assert spec.knobs == {"stage1.op": ("conv", "fused"), "stage1.kernel": (3,), "stage1.se_ratio": (0.25,)}
    assert spec.options == {"population": 4, "sample": 2}
    assert spec.recipe == Recipe(**{**vars(proxy), "epochs": 1, "train_images": 5000})


@pytest.mark.parametrize("form", ["product", "front"])
def test_a_search_is_exported_as_a_study_of_optuna(service: Service, tmp_path: Path, form: Form) -> None:
    points = [(0.8, 4_000_000), (0.7, 9_000_000), (0.9, 8_000_000)]
    run = service.search(points, running=1, objective=Objective(form=form))
    file = tmp_path / "study.db"
    ran = nas("export", "optuna", run.id, "--out", str(file), "--json")
    assert (ran.code, ran.json) == (0, {"file": str(file), "study": run.id, "trials": 3}), ran.error
    study = optuna.load_study(study_name=run.id, storage=f"sqlite:///{file}")
    rewards = [Objective().reward(*point) for point in points]
    assert [trial.values for trial in study.trials] == (
        [list(point) for point in points] if form == "front" else [[reward] for reward in rewards]
    )
    choices = [trial.job.choices for trial in service.store.trials(run.id)]
    assert [trial.params for trial in study.trials] == choices[:3]
    assert study.trials[2].user_attrs["mult_adds"] == 8_000_000
    nowhere = tmp_path / "nowhere" / "study.db"
    assert "nowhere is not a folder" in nas("export", "optuna", run.id, "--out", str(nowhere)).error
    assert f"{file} exists: name another file" in nas("export", "optuna", run.id, "--out", str(file)).error


def test_every_device_has_a_column_and_a_front(service: Service, tmp_path: Path) -> None:
    search = service.on_two_devices().id
    for verb in ("pareto", "trials"):
        assert "Latency  on cpu_eager" in nas(verb, search).out
    lines = [line.split() for line in nas("trials", search).out.splitlines()]
    assert [row[5:9] for row in lines[-2:]] == [["1.00", "ms", "4.00", "ms"], ["4.00", "ms", "1.00", "ms"]]
    assert "measured on cpu, cpu_eager" in nas("show", search).out
    here, there = nas("pareto", search), nas("pareto", search, "--device", "cpu_eager")
    assert "Pareto front of search" in here.out
    assert "2 of 2 measured networks" in here.out
    assert "1 of 2 measured networks" in there.out
    assert there.out.rstrip().endswith("latency on cpu_eager")
    assert "device 'gpu'" in nas("pareto", search, "--device", "gpu").error
    grown = nas("grow", search, "--device", "cpu_eager", "--device", "cpu:batch=2", "--json").json
    assert (grown["spec"]["device"], grown["spec"]["further_devices"]) == ("cpu_eager", ["cpu:batch=2"])
    family = service.growth(service.store.run(search), further_devices=("cpu_eager",)).id
    assert "on cpu_eager" in nas("show", family).out
    two = ("--device", "cpu", "--device", "cpu:batch=2")
    asked = nas("search", "--dataset", "fashion_mnist", *two, "--predict-within", "0", "--json").json
    assert asked["spec"]["predict_within"] == 0
    assert (asked["spec"]["device"], asked["spec"]["further_devices"]) == ("cpu", ["cpu:batch=2"])
    file = tmp_path / "study.db"
    nas("export", "optuna", search, "--out", str(file))
    study = optuna.load_study(study_name=search, storage=f"sqlite:///{file}")
    assert [trial.user_attrs["latency_ms on cpu_eager"] for trial in study.trials] == [4.0, 1.0]


def test_search_verb_leaves_defaults_to_the_service(service: Service) -> None:
    ran = nas("search", "--dataset", "fashion_mnist")
    assert ran.code == 0
    run = service.store.runs(limit=1)[0]
    assert f"nas watch {run.id}" in ran.out
    assert run.spec == SearchSpec(dataset="fashion_mnist")


def test_a_recipe_may_be_a_file_or_json(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"epochs": 9}')
    for given in (str(file), '{"epochs": 9}'):
        made = nas("search", "--dataset", "fashion_mnist", "--recipe", given, "--batch", "32", "--json").json
        assert (made["spec"]["recipe"]["epochs"], made["spec"]["recipe"]["batch"]) == (9, 32)
    file.write_text("{")
    for given, words in (
        (str(file), "is not JSON"),
        ("{", "is not JSON"),
        ("slow", "none of proxy"),
        ("[1]", "none of"),
    ):
        ran = nas("search", "--dataset", "fashion_mnist", "--recipe", given)
        assert ran.code == 1
        assert words in ran.error


def test_grow_verb(service: Service, search: str) -> None:
    options = ("--members", "B0,B2", "--epochs", "4", "--trial", "3", "--scaling", "1.2,1.1,1.15", "--device", "cpu")
    ran = nas("grow", search, *options, "--seeds", "3", "--json")
    assert ran.code == 0, ran.error
    spec = ran.json["spec"]
    assert (spec["members"], spec["source"], spec["recipe"]["epochs"]) == (["B0", "B2"], [search, 3], 4)
    assert spec["scaling"] == {"alpha": 1.2, "beta": 1.1, "gamma": 1.15}
    assert spec["seeds"] == 3
    assert nas("grow", search, "--json").json["spec"]["source"] == [search, 1]


def test_a_familys_accuracies_have_errors_and_ties(service: Service, search: str) -> None:
    run = service.growth(service.store.run(search), tested=(0.94, 0.95, 0.941, 0.949), seeds=2)
    shown = nas("show", run.id).out
    assert shown.count("94.50 ± 0.45 %") == 2  # of the spread of both, 0.64 points, and means of two
    assert "mean of 2 seeds ± its standard error; tied: B0 = B1" in shown


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
    assert (ran.json["spec"]["reference"], ran.json["spec"]["devices"]) == ("LeNet-5", ["cpu", "cuda"])
    run = service.store.run(ran.json["id"])
    measured = Measurement(params=61_706, mult_adds=416_520, latency=latency(0.25))
    ended(service.store, OWNER, service.claimed(run), [measured, "DeviceError: no GPU here"])
    service.store.release(run.id, OWNER, "finished")
    out = nas("show", run.id).out
    assert "LeNet-5, for 32×32×1, 10 classes" in out
    assert re.search(r"cpu +0.250 ms +0.300 ms", out)
    assert re.search(r"cuda +–.*DeviceError: no GPU here", out)
    watched = nas("watch", run.id)
    assert watched.code == 0
    assert re.search(r"trial 0 +done +cpu +417 k mult-adds .*0.250 ms", watched.out)
    listed = nas("list")
    assert re.search(rf"{run.id} +measurement +finished +2/2", listed.out)
    sample = ("--networks", "3", "--on-service", "--resolution", "28", "--channels", "1", "--classes", "10")
    drawn = nas("measure", *sample, "--json").json["spec"]
    assert (drawn["networks"], drawn["space"], drawn["architecture"]) == (3, "mbconv", None)
    whole = nas("measure", json.dumps(encode(zoo.reference("LeNet-5"))), "--on-service", "--json")
    assert whole.json["spec"]["architecture"] == encode(zoo.reference("LeNet-5"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--networks", "3"), "need --on-service"),
        (("--on-service",), "takes one network, or --networks"),
        (("LeNet-5", "--networks", "3", "--on-service"), "takes one network, or --networks"),
        (("LeNet-6", "--on-service"), "unknown reference network 'LeNet-6'"),
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
    assert f"Search {run} has 9 trials, 2 hours, 0.5 compute hours now" in _unwrapped(longer.out)
    assert "trials, hours and compute_hours are all left out: give one" in nas("raise", run).error
    too_few = nas("raise", run, "2")
    assert too_few.code == 1
    assert "at least 4" in too_few.error


def test_a_forecast_submits_nothing(service: Service) -> None:
    before = len(service.store.runs())
    ran = nas("search", "--dataset", "fashion_mnist", "--trials", "7", "--forecast", "--json")
    assert (ran.code, ran.json["trials"], ran.json["seconds"]) == (0, 7, None)
    told = nas("search", "--dataset", "fashion_mnist", "--forecast")
    assert told.out.startswith("No forecast: no training of space 'mbconv' on dataset 'fashion_mnist'")
    assert len(service.store.runs()) == before
    submitted = nas("search", "--dataset", "fashion_mnist")
    assert submitted.out.startswith("No forecast: ")
    assert "is submitted" in submitted.out
    assert len(service.store.runs()) == before + 1


def test_show_says_what_is_spent_of_what(service: Service) -> None:
    run = service.search([(0.9, 1000)], running=1, trials=9, hours=1.5, compute_hours=3)
    service.store.end(OWNER, 1, run.id, "failed", error="no", compute_seconds=7200)
    service.store.release(run.id, OWNER, "finished", reason="its 3 compute hours are spent")
    shown = nas("show", run.id)
    assert "State   finished: its 3 compute hours are spent" in re.sub(" {2,}", "   ", shown.out)
    assert "0 s of 90 min, 2 h 00 of 3 h 00 of compute" in shown.out


def test_show_reads_a_run_of_either_kind(search: str, growth: str) -> None:
    assert nas("show", search, "--json").json["best"]["number"] == 1
    assert "trial 1: 90.00 %, 4.00 M multiply-adds, 400 k parameters" in nas("show", search).out
    assert "91.00 %" in nas("show", growth).out
    for member in ("B0", "B1"):
        assert re.search(rf"done +91.00 %.* {member}\n", nas("trials", growth).out)


def test_show_tells_what_a_search_was_held_to(service: Service) -> None:
    spec = SearchSpec(
        dataset="fashion_mnist",
        knobs={"stage1.op": ("conv", "mbconv"), "stage1.kernel": (3,)},
        limits=Limits(params=300_000, latency_ms=2),
        recipe=Recipe(train_images=20_000),
    )
    shown = _unwrapped(nas("show", service.store.add_run("search", spec).id).out)
    assert "Training epochs 2 of 20,000 images, 2 at once" in shown
    assert "Knobs stage1.op conv or mbconv, stage1.kernel 3" in shown
    assert "Limits 300 k parameters, 2.00 ms latency" in shown
    plain = nas("show", service.store.add_run("search", SearchSpec(dataset="fashion_mnist")).id).out
    assert "Knobs" not in plain
    assert "Limits" not in plain


def test_every_list_prints_a_table_and_json(service: Service, search: str, growth: str) -> None:
    for verb, arguments, words in (
        ("list", ("--limit", "100"), search),
        ("trials", (search,), "16.0 M"),
        ("events", (search,), "finished"),
        ("models", (growth,), f"{growth}-1"),
        ("datasets", (), "60,000 + 10,000 grey images of 28 pixels"),
        ("spaces", (), "mbconv"),
        ("spaces", ("mbconv", "--dataset", "fashion_mnist"), "stage3.skip"),
        ("searchers", (), "--option population=0"),
        ("devices", (), "cpu"),
        ("recipes", (), "growth"),
        ("health", (), "database ok"),
    ):
        shown = nas(verb, *arguments)
        assert (shown.code, shown.error) == (0, ""), verb
        assert words in shown.out, verb
        assert max(map(len, shown.out.splitlines())) <= 80, verb
        assert nas(verb, *arguments, "--json").json, verb


def test_the_front_is_a_table_with_a_star_at_the_best(search: str) -> None:
    lines = [line.split() for line in nas("pareto", search).out.splitlines()]
    assert lines[1] == ["Trial", "Accuracy", "Mult-adds", "Latency", "Params", "Reward"]
    assert lines[3] == ["0", "80.00", "%", "1.00", "M", "–", "100", "k", "0.8000"]
    assert lines[4] == ["★", "1", "90.00", "%", "4.00", "M", "–", "400", "k", "0.9000"]
    assert lines[5] == ["3", "95.00", "%", "16.0", "M", "–", "1.60", "M", "0.2375"]
    again = nas("pareto", search, "--target", "16e6", "--w", "0,-1").out.splitlines()
    assert again[5].startswith("★")
    assert "target 16.0 M multiply-adds, w = 0 up to it, -1 above" in " ".join(again)
    assert nas("pareto", search, "--w", "-0.5", "--json").json["objective"]["w_over"] == -0.5
    missing = nas("pareto", search, "--cost", "latency_ms")
    assert (missing.code, missing.out) == (1, "")
    assert "target is missing" in missing.error


def test_text_of_users_is_not_markup(service: Service) -> None:
    name = "[red]not red[/red] :smile:"
    run = nas("search", "--dataset", "fashion_mnist", "--name", name, "--json").json["id"]
    assert name in nas("show", run).out


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
        (("score", "/no/such.safetensors"), ""),
    ],
)
def test_a_refusal_ends_with_1_and_says_why_beside_the_output(arguments: tuple[str, ...], words: str) -> None:
    ran = nas(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.error


def test_numbers_are_short() -> None:
    assert [numbers.short(value) for value in (None, 999, 999.9, 1234, 99_960, 5_288_548, 1e9)] == [
        "–", "999", "1.00 k", "1.23 k", "100 k", "5.29 M", "1.00 G",
    ]  # fmt: skip
    assert [numbers.duration(value) for value in (None, 0.4, 99, 100, 7260, 1e6)] == [
        "–", "0 s", "99 s", "2 min", "2 h 01", "12 d",
    ]  # fmt: skip
    assert [numbers.milliseconds(value) for value in (0.0412, 1.234, 56.78)] == ["0.041 ms", "1.23 ms", "56.8 ms"]


# Programs of their own


def test_the_program_prints_json_and_nothing_else(service: Service, search: str) -> None:
    ran = subprocess.run(command("pareto", search, "--json"), capture_output=True, text=True)
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["best"]["number"] == 1
    assert ran.stderr == ""


def test_a_reader_that_has_enough_is_no_error(service: Service, search: str) -> None:
    for _ in range(5):
        service.search([(0.9, 1000)] * 3)
    line = f"{sys.executable} -m api.cli list --json | head -c 10; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_help_needs_no_service() -> None:
    ran = subprocess.run(command("--help"), capture_output=True, text=True, env={**os.environ, "NAS_URL": "nowhere"})
    assert ran.returncode == 0
    for verb in ("serve", "search", "watch", "pareto", "grow", "download", "score", "cancel", "raise", "describe"):
        assert verb in ran.stdout


# Watching


class Going:
    """A search with two trials under way, which a test brings to its end."""

    def __init__(self, service: Service) -> None:
        self.store = service.store
        self.run = service.search(POINTS[:1], running=2, trials=3, recipe=Recipe(epochs=4), objective=HARD)
        self.id = self.run.id

    def progress(self, number: int, epoch: int) -> None:
        progress = Progress(run=self.id, number=number, phase="training", epoch=epoch, epochs=4, loss=0.5, accuracy=0.7)
        self.store.progress(OWNER, progress)

    def end(self, state: str = "finished") -> None:
        measured = Measurement(params=300, mult_adds=4_000_000, accuracy=0.9)
        self.store.end(OWNER, 1, self.id, "done", measured)
        self.store.end(OWNER, 2, self.id, "failed", error="the loss is\nnot finite")
        self.store.release(self.id, OWNER, state, "nothing works" if state == "failed" else None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "code"), [("finished", 0), ("failed", 1)])
def test_watching_without_a_terminal_prints_a_line_for_each_trial(service: Service, state: str, code: int) -> None:
    going = Going(service)
    going.progress(1, 2)
    later = threading.Timer(1.5, going.end, [state])
    later.start()
    ran = subprocess.run(command("watch", going.id), capture_output=True, text=True, timeout=60)
    assert ran.returncode == code, ran.stderr
    lines = [line for line in ran.stdout.splitlines() if line.startswith("trial")]
    assert len(lines) == 3
    assert "done  80.00 %  1.00 M mult-adds  100 k params" in lines[0]
    assert "reward 0.9000 ★" in lines[1]
    assert "failed  the loss is not finite" in lines[2]
    assert "\x1b" not in ran.stdout
    assert f"nas grow {going.id}" in ran.stdout
    assert ("nothing works" in ran.stdout) == (state == "failed")


def test_watching_with_json_prints_the_run_as_it_ended(service: Service) -> None:
    going = Going(service)
    threading.Timer(1.0, going.end).start()
    ran = subprocess.run(command("watch", going.id, "--json"), capture_output=True, text=True, timeout=60)
    found = json.loads(ran.stdout)
    assert (ran.returncode, found["state"], found["counts"]["failed"]) == (0, "finished", 1)
    assert "trial 1" in ran.stderr


def test_watching_a_long_past_is_short(service: Service) -> None:
    run = service.search([(0.5, 1000 + index) for index in range(30)], trials=30)
    service.store.release(run.id, OWNER, "finished")
    lines = nas("watch", run.id).out.splitlines()
    assert "25 trials ended before" in lines[0]
    assert sum(line.startswith("trial") for line in lines) == 5


def test_ctrl_c_leaves_the_run_running_and_says_how_to_come_back(service: Service) -> None:
    going = Going(service)
    # A shell that starts these tests in the background lets them, and what they start, ignore the signal.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command("watch", going.id), stdout=subprocess.PIPE, text=True, preexec_fn=heed)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("trial 0")
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=30)[0]
    assert process.returncode == 130
    assert f"nas watch {going.id}" in rest
    run = service.store.run(going.id)
    assert (run.state, run.wish) == ("running", "run")


def test_a_terminal_shows_a_bar_for_each_running_trial(service: Service) -> None:
    going = Going(service)
    going.progress(1, 3)
    process, seen = in_terminal("watch", going.id)
    until(seen, b"trial 1 ", b"3/4", b"70.00 %  loss 0.500", b"waiting", b"1/3")
    going.progress(1, 4)
    until(seen, b"4/4")
    going.end()
    assert process.wait(30) == 0
    until(seen, b"nas pareto " + going.id.encode())


def in_terminal(*arguments: str) -> tuple["subprocess.Popen[bytes]", bytearray]:
    """The program in a terminal of 80 columns, and what has appeared there, which grows."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(ours, 4096):
                seen.extend(data)
        os.close(ours)

    threading.Thread(target=read, daemon=True).start()
    return process, seen


def until(seen: bytearray, *words: bytes) -> None:
    deadline = time.monotonic() + 30
    while not all(word in seen for word in words):
        assert time.monotonic() < deadline, seen.decode(errors="replace")
        time.sleep(0.05)


def test_images_of_the_service_are_those_of_the_tests(client: Client) -> None:
    info = client.dataset("fashion_mnist")["info"]
    assert (info["resolution"], info["channels"], len(info["classes"])) == (
        GREY.resolution,
        GREY.channels,
        GREY.classes,
    )


def test_low_rungs_are_exported_as_pruned(service: Service, tmp_path: Path) -> None:
    """Else Optuna would take the best of them for the best of the search."""
    run = _climbed(service)
    file = tmp_path / "study.db"
    assert nas("export", "optuna", run.id, "--out", str(file)).code == 0
    study = optuna.load_study(study_name=run.id, storage=f"sqlite:///{file}")
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED", "COMPLETE"]
    assert study.best_trial.user_attrs["trial"] == 2
    assert study.trials[0].intermediate_values == {0: 0.99}


def _climbed(service: Service) -> Run:
    """Two networks on the lower of two rungs, and the better of them on the higher."""
    return service.search(
        [(0.99, 1_000_000), (0.98, 1_000_000), (0.5, 1_000_000)],
        fidelity=Fidelity(eta=2, rungs=2),
        recipe=Recipe(epochs=4),
        trials=3,
    )


def test_rungs_and_repetitions_are_shown(service: Service) -> None:
    run = _climbed(service)
    shown = nas("trials", run.id).out
    assert "rung 2 after 0" in shown
    assert "scoring" not in shown, "none is running any more"
    front = nas("pareto", run.id).out
    assert "1 of 1 measured networks on rung 2" in front
    assert "successive halving over 2 rungs, each with 1/2 of the epochs" in _unwrapped(nas("show", run.id).out)
    points = [(0.90, 1_000_000), (0.94, 4_000_000), (0.88, 4_000_000), (0.91, 1_000_000)]
    run = service.search(points, objective=Objective(w_under=0, w_over=0), confirm=2, trials=4, error=0.004)
    assert "trial 1 again" in nas("trials", run.id).out
    front = nas("pareto", run.id).out
    assert "91.00 ± 2.15 %" in front
    assert "2 times" in front
    assert "tied: 0 = 1" in front
    assert "91.00 % on average of 2 trainings" in _unwrapped(nas("show", run.id).out)


def _unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_only_what_leads_is_starred_while_it_is_watched(service: Service) -> None:
    run = _climbed(service)
    service.store.release(run.id, OWNER, "finished")
    lines = {line.split()[1]: line for line in nas("watch", run.id).out.splitlines() if line.startswith("trial")}
    assert [number for number, line in lines.items() if "★" in line] == ["0", "2"]
