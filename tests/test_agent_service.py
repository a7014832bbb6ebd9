"""What the service promises agents and those who send them something."""

import dataclasses
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api import agent_program, gate
from api.app import create_app
from api.edge import Edge
from api.waiting import Waiting
from nas import codec, devices
from nas.agents import http, measuring, parcel, program
from nas.agents.errands import Answer
from nas.agents.measuring import Measuring
from nas.devices import remote
from nas.metering import DeviceError
from nas.store import Store
from nas.store import agents as stored
from tests.agents import PI, small
from tests.service import OPEN, Service, latency, service_over, serving

JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    monkeypatch.setattr(stored, "ONLINE_SECONDS", math.inf)
    with service_over(f"sqlite:///{tmp_path}/nas.db") as running:
        monkeypatch.setenv("NAS_URL", running.url)
        yield running


class TestService:
    """What the service promises agents and those who send them something."""

    def test_an_errand_from_its_sending_to_its_answer(self, service: Service) -> None:
        made = service.post("/v1/agents", dataclasses.asdict(PI), status=200)
        assert made == codec.encode(service.store.agents.all()[0])
        assert service.post("/v1/agents/pi4/take?instance=" + PI.instance, status=200) == {"errand": None}
        data = bytes(2 * gate.MOST_BYTES)  # more than other bodies may have
        sent = service.ask("POST", "/v1/agents/pi4/errands", 201, content=data, headers=BYTES)
        assert (sent["state"], sent["answer"]) == ("queued", None)
        address = f"/v1/errands/{sent['id']}"
        assert service.post("/v1/agents/pi4/take?instance=" + PI.instance, status=200) == {"errand": sent["id"]}
        assert service.get(address)["state"] == "measuring"
        assert service.http.get(f"{address}/parcel").content == data
        answer = codec.encode(Answer(latency=latency(1.5), logits="AAAA", yardstick_logits=("AAAA",)))
        assert service.post(f"{address}/answer?instance={PI.instance}", answer, status=200)["state"] == "answered"
        assert service.get(address)["answer"] == answer
        assert "its network is not kept" in service.get(f"{address}/parcel", status=409)["detail"]
        problem = service.post(f"{address}/answer?instance={PI.instance}", answer, status=409)
        assert "answered already" in problem["detail"]

    def test_who_waits_is_told_before_the_time_is_over(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        until = Waiting.until
        monkeypatch.setattr(Waiting, "until", lambda self, happened, _, whose: until(self, happened, None, whose))
        service.store.agents.introduce(PI)
        with ThreadPoolExecutor() as pool:
            taken = pool.submit(service.post, f"/v1/agents/pi4/take?instance={PI.instance}&wait_seconds=20", status=200)
            errand = service.store.agents.send("pi4", b"x").id
            assert taken.result() == {"errand": errand}
            told = pool.submit(service.get, f"/v1/errands/{errand}?wait_seconds=20")
            service.store.agents.answer(errand, PI.instance, Answer(error="no"))
            assert told.result()["answer"]["error"] == "no"

    @pytest.mark.parametrize(
        ("change", "pointer", "words"),
        [
            ({"name": "pi 4"}, "/name", "'pi 4' is not up to 40 letters"),
            ({"name": "x" * 41}, "/name", "is not up to 40 letters"),
            ({"name": "../runs"}, "/name", "is not up to 40 letters"),
            ({"edition": "old"}, "/edition", "fetch it again from /v1/agent.pyz"),
            ({"instance": "?"}, "/instance", "is not 8 to 64 hexadecimal digits"),
            ({"fingerprint": {"processor": "x" * 201}}, "/fingerprint", "is longer than 32 facts of 200"),
            ({"fingerprint": {str(n): "" for n in range(33)}}, "/fingerprint", "is longer than 32 facts"),
        ],
    )
    def test_who_is_no_agent_is_refused(
        self, service: Service, change: dict[str, Any], pointer: str, words: str
    ) -> None:
        problem = service.post("/v1/agents", dataclasses.asdict(PI) | change, status=422)
        assert problem["errors"][0]["pointer"] == pointer
        assert words in problem["detail"]
        assert service.store.agents.all() == []

    def test_what_cannot_be_taken_is_refused(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        service.store.agents.introduce(PI)
        path = "/v1/agents/pi4/errands"
        assert "octet-stream" in service.ask("POST", path, 415, content=b"x", headers=JSON)["detail"]
        problem = service.ask("POST", "/v1/agents/pi5/errands", 404, content=b"x", headers=BYTES)
        assert problem["detail"] == "no agent 'pi5' has registered: there are pi4"
        monkeypatch.setattr(gate, "LARGER", dict.fromkeys(gate.LARGER, 10))
        problem = service.ask("POST", path, 413, content=b"x" * 11, headers=BYTES)
        assert "10 are taken at most" in problem["detail"]
        errand = service.ask("POST", path, 201, content=b"x" * 10, headers=BYTES)["id"]
        service.post(f"/v1/errands/{errand}/answer?instance={PI.instance}", {"error": "x" * 10}, status=413)
        monkeypatch.undo()
        for body in ({}, {"error": "x" * 1001}, {"error": "x", "latency": codec.encode(latency(1.0))}):
            service.post(f"/v1/errands/{errand}/answer?instance={PI.instance}", body, status=422)
        service.get("/v1/errands/f00", status=404)

    def test_an_agent_and_an_evaluator_send_their_token(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """By which alone the one gets a network, and the other its latency."""
        sent = parcel.unpacked(small())
        monkeypatch.setattr(Measuring, "answered", lambda _, data: {"error": f"{len(data)} bytes, and no time"})
        monkeypatch.setattr(program, "say", lambda text: sys.exit() if text.startswith("errand") else None)
        monkeypatch.setattr(sys, "argv", ["agent.pyz", "--service", "http://127.0.0.1:9", "--name", "pi4"])
        edge = Edge(agent_secret="sesame")
        with service_over(f"sqlite:///{tmp_path}/guarded.db", edge) as guarded, ThreadPoolExecutor() as pool:
            monkeypatch.setenv("NAS_URL", guarded.url)
            guarded.store.agents.introduce(dataclasses.replace(PI, fingerprint=measuring.fingerprint()))
            with pytest.raises(http.NotTaken, match="no token, or one that is not known"):
                program.Agent(guarded.url, "pi4", agent_program.edition()).run()
            with pytest.raises(DeviceError, match="no token, or one that is not known"):
                remote._answer("pi4", sent)
            monkeypatch.setenv("NAS_AGENT_TOKEN", "sésame")
            with pytest.raises(DeviceError, match="cannot be read: NAS_AGENT_TOKEN has a character that no token has"):
                remote._answer("pi4", sent)
            assert program.main(agent_program.edition()) == 1
            assert "the token cannot be read: NAS_AGENT_TOKEN has a" in capsys.readouterr().err
            monkeypatch.delenv("NAS_AGENT_TOKEN")
            # Whoever measures by hand has a token of their own; there is no such agent, but they may ask for it.
            monkeypatch.setenv("NAS_TOKEN", guarded.store.tokens.create("anna", "write")[1])
            with pytest.raises(DeviceError, match="no agent 'pi5' has registered"):
                remote._answer("pi5", sent)
            monkeypatch.delenv("NAS_TOKEN")
            monkeypatch.setenv("NAS_AGENT_TOKEN", "sesame")
            answer = pool.submit(remote._answer, "pi4", sent)
            with pytest.raises(SystemExit):
                program.Agent(guarded.url, "pi4", agent_program.edition()).run()
            assert answer.result().error == f"{len(small())} bytes, and no time"

    def test_a_run_takes_only_agents_that_are_there(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        body = {"dataset": "fashion_mnist", "devices": ["remote:pi4:threads=2"]}
        problem = service.post("/v1/searches", body, status=422)
        assert problem["errors"][0]["pointer"] == "/devices/0"
        assert "no agent 'pi4' has registered: there is none" in problem["detail"]
        service.store.agents.introduce(PI)
        assert service.post("/v1/searches", body)["spec"]["devices"] == ["remote:pi4:threads=2"]
        problem = service.post("/v1/searches", body | {"devices": ["remote:pi5"]}, status=422)
        assert "no agent 'pi5' has registered: there are pi4" in problem["detail"]
        problem = service.post("/v1/searches", body | {"devices": ["remote"]}, status=422)
        assert "needs the name of an agent, as in remote:pi4" in problem["detail"]
        search = service.search([(0.9, 1000)]).id
        growth = {"search": search, "devices": ["remote:pi4"]}
        assert service.post("/v1/growths", growth)["spec"]["devices"] == ["remote:pi4"]
        monkeypatch.setattr(stored, "ONLINE_SECONDS", 0.0)
        for path, wanted in (("searches", body), ("growths", growth)):
            problem = service.post(f"/v1/{path}", wanted, status=422)
            assert problem["errors"][0]["pointer"] == "/devices/0"
            assert "agent 'pi4' is offline, it was last heard of at 20" in problem["detail"]
        (row,) = (row for row in service.get("/v1/devices")["devices"] if row["name"] == "remote:pi4")
        assert not row["available"]
        assert "start it again there" in row["problem"]

    def test_with_workers_elsewhere_agents_are_known_all_the_same(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        with serving(create_app(store, OPEN, remote_workers=True)) as url:
            body = {"dataset": "fashion_mnist", "devices": ["remote:pi4"]}
            with pytest.raises(http.NotTaken, match="no agent 'pi4' has registered"):
                http.ask("POST", f"{url}/v1/searches", json.dumps(body).encode(), JSON)
        store.close()


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("remote:", "name '' is not up to 40 letters"),
        ("remote:a b", "name 'a b' is not"),
        ("remote:threads=2", "name 'threads=2' is not"),
        ("remote:pi4:", "option '', and 'remote:pi4' takes threads, batch, dtype"),
        ("remote:pi4:dtype=float16", "dtype 'float16' is none of float32, int8, int8_per_channel"),
        ("remote:pi4:threads=0", "threads '0' is not a whole number between 1 and 256"),
    ],
)
def test_a_name_that_no_agent_can_have_is_refused(named: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        devices.find(named)
