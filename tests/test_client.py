"""The Python client against the real service on a real port, and its downloads."""

import ast
import hashlib
import http.server
import inspect
import json
import re
import socket
import threading
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from nas.client import Client, ServiceError
from nas.codec import decode
from nas.models.checkpoint import artifact
from nas.specs import SearchSpec
from tests.command_line import nas
from tests.service import GREY, OWNER, POINTS, UNKNOWN, Service


def test_the_client_has_every_verb(service: Service, client: Client) -> None:
    run = client.search(dataset="fashion_mnist", trials=3, searcher="random")
    assert client.run(run["id"])["spec"]["trials"] == 3
    assert client.searches(limit=1)[0]["id"] == client.runs(limit=1)[0]["id"] == run["id"]
    assert client.pause(run["id"])["wish"] == "pause"
    assert client.resume(run["id"])["wish"] == "run"
    assert client.raise_budget(run["id"], 5)["trials"] == 5
    with pytest.raises(ServiceError, match=r"has no trial 3"):
        client.measure_again(run["id"], 3)
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
    assert client.recipes()["growth"]["least_epochs"] == 20
    assert "LeNet-5" in [row["name"] for row in client.published()]


def test_trials_are_listed_with_one_look_at_their_run(service: Service, client: Client) -> None:
    run = service.search(POINTS)
    with patch.object(Client, "run", autospec=True, side_effect=Client.run) as asked:
        assert "accuracy" in nas("trials", run.id).out.lower()
    assert asked.call_count == 1
    assert client.trials(client.run(run.id)) == client.trials(run.id) != []


def test_the_example_of_the_docs_calls_what_there_is() -> None:
    """Each call is bound to its method, and what it asks for is a request."""
    text = (Path(__file__).parent.parent / "docs" / "operations.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    own = [call for call in calls if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "client"]
    assert len(own) >= 6
    for call in own:
        assert isinstance(call.func, ast.Attribute)
        names = {keyword.arg: None for keyword in call.keywords if keyword.arg}
        inspect.signature(getattr(Client, call.func.attr)).bind(None, *call.args, **names)
    (asked,) = re.findall(r"^asked = (.*)$", block, re.MULTILINE)
    assert decode(SearchSpec, ast.literal_eval(asked)).trials == 20


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
    assert f"{tmp_path}/file cannot be written (File exists): name another place" in blocked.error


def test_images_of_the_service_are_those_of_the_tests(client: Client) -> None:
    info = client.dataset("fashion_mnist")["info"]
    assert (info["resolution"], info["channels"], len(info["classes"])) == (
        GREY.resolution,
        GREY.channels,
        GREY.classes,
    )


@pytest.mark.parametrize("told", [True, False])
def test_a_watch_hears_of_changes_and_asks_now_and_then_where_there_is_nothing_to_hear(
    service: Service, client: Client, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    if not told:
        monkeypatch.setattr(Client, "_told", lambda *_: iter(()))
    run = service.search([(0.9, 1000)], running=1)
    watched = client.watch(run.id, seconds=3600.0 if told else 0.01)
    assert next(watched)[0]["state"] == "running"
    service.store.claims.end(OWNER, 1, run.id, "cancelled")
    assert any(trial["state"] == "cancelled" for trials in (its for _, its in watched) for trial in trials)
    service.store.claims.release(run.id, OWNER, "stopped")
    *_, (last, _) = watched
    assert last["state"] == "stopped"
