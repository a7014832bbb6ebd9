"""What whoever runs the service asks it: /livez, /readyz, /metrics."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.routes import probes
from nas.specs import BenchmarkSpec, SearchSpec
from nas.store import Store
from tests.service import GREY, OPEN, POINTS, Service, serving


@pytest.fixture
def state(tmp_path: Path) -> Iterator[tuple[str, Store, list[str]]]:
    """A service whose coordinator is as the last word of a list says."""
    store, words = Store(f"sqlite:///{tmp_path}/nas.db"), ["running"]
    with serving(create_app(store, OPEN, coordinator=lambda: words[-1])) as url:
        yield url, store, words
    store.close()


def ready(url: str) -> tuple[int, dict[str, str]]:
    answer = httpx.get(f"{url}/readyz", timeout=60)
    return answer.status_code, answer.json()


def test_ready_is_who_has_all_that_work_takes(
    state: tuple[str, Store, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, store, words = state
    fine = {"database": "ok", "disk": "ok", "coordinator": "ok"}
    assert ready(url) == (200, fine)
    words.append("restarting")
    assert ready(url) == (503, fine | {"coordinator": "restarting"})
    words.append("running")
    monkeypatch.setattr(probes, "LEAST_BYTES", 2**60)
    status, answer = ready(url)
    assert (status, answer["disk"].endswith("MB to spare")) == (503, True)
    monkeypatch.undo()
    store.close()
    shutil.move(tmp_path / "nas.db", tmp_path / "away.db")
    (tmp_path / "nas.db").mkdir()
    assert ready(url) == (503, fine | {"database": "does not answer"})
    assert httpx.get(f"{url}/livez", timeout=60).json() == {"status": "ok"}, "it need not be started again for that"


def test_ready_without_a_coordinator_beside_it(service: Service) -> None:
    assert service.get("/readyz")["coordinator"] == "elsewhere"


def figures(url: str) -> dict[tuple[str, ...], float]:
    answer = httpx.get(f"{url}/metrics", timeout=60)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_figures_say_what_there_is_and_what_was_asked(state: tuple[str, Store, list[str]]) -> None:
    url, store, _ = state
    assert figures(url)["nas_queue_seconds",] == 0
    run = Service(store, httpx.Client(base_url=url)).search(POINTS, running=1)
    store.add_run("benchmark", BenchmarkSpec(published="MnasNet-A1", images=GREY, devices=("cpu",)))
    for path in (f"/v1/searches/{run.id}", "/v1/searches/none", "/nothing/at/all", "/v1/runs"):
        httpx.get(url + path, timeout=60)
    found = figures(url)
    assert found["nas_runs", "search", "running"] == found["nas_runs", "benchmark", "queued"] == 1
    assert (found["nas_trials", "done"], found["nas_trials", "running"]) == (4, 1)
    assert (found["nas_events", "added"], found["nas_events", "claimed"]) == (2, 1)
    assert 0 < found["nas_queue_seconds",] < time.monotonic()
    requests = {(*key[1:], value) for key, value in found.items() if key[0] == "nas_http_requests_total"}
    assert requests == {
        ("get_search", "200", 1),
        ("get_search", "404", 1),
        ("other", "404", 1),
        ("list_runs", "200", 1),
        ("metrics", "200", 1),
    }
    assert found["nas_http_request_seconds_count", "get_search"] == 2
    assert found["process_resident_memory_bytes",] > 1e7


def test_searches_wait_until_they_have_begun(state: tuple[str, Store, list[str]]) -> None:
    url, store, _ = state
    store.add_run("search", SearchSpec(dataset="fashion_mnist"))
    assert figures(url)["nas_queue_seconds",] > 0
    assert store.claims.claim("anna", 60)
    assert figures(url)["nas_queue_seconds",] == 0
