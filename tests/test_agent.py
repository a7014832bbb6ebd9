"""Latency on other machines: the agent as its user starts it, in an interpreter that has nothing but what it needs."""

import base64
import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from api import agent_program, gate
from api.app import create_app
from api.cli import __main__ as cli
from nas import codec, devices
from nas.agents import http, parcel, program
from nas.agents.errands import Answer, Introduction
from nas.agents.parcel import BadParcel, Parcel
from nas.devices import remote
from nas.metering import DeviceError, Options, quiet, runtime
from nas.metering.onnx import exported
from nas.records import Latency
from nas.refusal import Refusal
from nas.store import Conflict, NotFound, Store
from nas.store import agents as stored
from tests.service import Service, latency, serving
from tests.service import service as service_over
from tests.test_devices import IMAGES, mbconv
from tests.test_store import Clock

JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}

PATIENCE_SECONDS = 60
# Nothing else of what is installed here can be imported, nor the library itself but from the file.
ALONE = """
import runpy, sys
allowed = {"__main__", "nas", "numpy", "onnxruntime", *sys.stdlib_module_names}
class Nothing:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"{name} is kept away", name=name)
sys.meta_path = [Nothing, *(finder for finder in sys.meta_path if "editable" not in repr(finder))]
sys.argv = sys.argv[1:]
"""
RUN = ALONE + "runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    with service_over(f"sqlite:///{tmp_path}/nas.db") as running:
        monkeypatch.setenv("NAS_URL", running.url)
        yield running


@dataclasses.dataclass
class Running:
    """An agent's process, and the file that it writes to."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def says(self, words: str) -> None:
        eventually(lambda: words in self.log.read_text())


def eventually(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def agent(url: str, folder: Path, *arguments: str) -> Iterator[Running]:
    """The program as the service gives it away, running."""
    file, log = folder / "agent.pyz", folder / f"agent{time.monotonic_ns()}.log"
    file.write_bytes(agent_program.agent())
    command = [sys.executable, "-c", RUN, str(file), "--service", url, *arguments]
    with open(log, "wb") as output:
        environment = {**os.environ, "TMPDIR": str(folder)}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Running(process, log)
    finally:
        process.kill()
        process.wait()


def test_a_network_is_measured_where_the_agent_runs(service: Service, tmp_path: Path) -> None:
    small, large = mbconv(8, 1).train(), mbconv(48, 12)
    state, modes = torch.get_rng_state(), [module.training for module in small.modules()]
    with agent(service.url, tmp_path, "--name", "pi4") as running:
        running.says("registered at")
        device, options = devices.find("remote:pi4")
        assert device.available() is None
        found = device.latency(small, IMAGES, options)
        more = device.latency(large, IMAGES, Options(threads=2, batch=4))
        running.says(f"{more.median_ms:.3g} ms")
    assert found.device == "remote:pi4"
    assert more.device == "remote:pi4:threads=2,batch=4"
    assert devices.find(more.device)[1] == Options(threads=2, batch=4)
    assert 0 < found.minimum_ms <= found.median_ms <= found.p95_ms
    assert found.rounds
    assert found.ratio
    assert more.ratio
    assert more.ratio > found.ratio, "more than twenty times the work"
    assert {"processor", "machine", "runtime", "torch", "python", "dtype"} <= set(found.fingerprint)
    assert (more.fingerprint["threads"], more.fingerprint["batch"]) == ("2", "4")
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in small.modules()] == modes
    (row,) = (row for row in service.get("/v1/devices")["devices"] if row["name"] == "remote:pi4")
    assert row["available"]
    assert row["problem"] is None
    assert row["fingerprint"].items() <= found.fingerprint.items()


def test_the_program_is_what_the_service_gives_away(service: Service) -> None:
    response = service.http.get("/v1/agent.pyz")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/zip")
    assert response.content == agent_program.agent()


def test_the_program_has_the_modules_that_it_needs_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "agent.pyz"
    file.write_bytes(agent_program.agent())
    code = (
        ALONE
        + "sys.path.insert(0, sys.argv[0])\nimport nas.agents.program\n"
        + "print(*(name for name in sys.modules if name[:3] == 'nas'))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    packed = {f"nas/{module}".removesuffix("/__init__").replace("/", ".") for module in agent_program.MODULES}
    assert set(ran.stdout.split()) == packed


def test_any_network_is_measured_there_from_the_command_line(
    service: Service, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with agent(service.url, tmp_path, "--name", "pi4") as running:
        running.says("registered at")
        assert cli.main(("measure", "LeNet-5", "--device", "remote:pi4:batch=2", "--device", "remote:pi5")) == 1
        table = capfd.readouterr().out.splitlines()
        assert "remote:pi4:batch=2" in table[3]
        assert " ms " in table[3]
        assert "no agent 'pi5' has registered: there are pi4" in table[4]
        assert cli.main(("devices", "--url", service.url)) == 0
        shown = capfd.readouterr().out
        assert "remote:pi4" in shown
        assert f"onnxruntime {__import__('onnxruntime').__version__}" in shown


class TestGoingAway:
    """An agent is killed in the middle of a measurement: its network is loaded and answers, and its meter waits for
    quiet, which a test here does not give it before."""

    def measured(self, pool: ThreadPoolExecutor) -> "Future[Latency]":
        return pool.submit(remote.at("pi4").latency, mbconv(8, 1), IMAGES)

    def measuring(self, store: Store) -> bool:
        errand = store.agents.waiting("pi4")
        return errand is not None and store.agents.look(errand).state == "measuring"

    def killed(self, service: Service, tmp_path: Path, pool: ThreadPoolExecutor) -> "Future[Latency]":
        with quiet.measuring(), agent(service.url, tmp_path, "--name", "pi4") as running:
            running.says("registered at")
            found = self.measured(pool)
            eventually(lambda: self.measuring(service.store))
        assert not found.done()
        return found

    def test_it_is_waited_for_and_measures_when_it_is_back(self, service: Service, tmp_path: Path) -> None:
        with ThreadPoolExecutor() as pool:
            found = self.killed(service, tmp_path, pool)
            with agent(service.url, tmp_path, "--name", "pi4"):
                assert found.result(PATIENCE_SECONDS).median_ms > 0

    def test_it_is_not_waited_for_without_end(
        self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with ThreadPoolExecutor() as pool:
            found = self.killed(service, tmp_path, pool)
            monkeypatch.setattr(remote, "AWAY_SECONDS", 1.0)
            with pytest.raises(DeviceError, match="agent 'pi4' went away in the middle of the measurement and was not"):
                found.result(PATIENCE_SECONDS)

    def test_one_that_never_came_is_not_waited_for_without_end(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service.store.agents.introduce(PI)
        monkeypatch.setattr(remote, "AWAY_SECONDS", 0.1)
        monkeypatch.setattr(remote, "WAIT_SECONDS", 0)
        with pytest.raises(DeviceError, match="went away before it measured"):
            remote.at("pi4").latency(mbconv(8, 1), IMAGES)

    def test_one_with_too_much_to_do_is_not_waited_for_without_end(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service.store.agents.introduce(PI)
        monkeypatch.setattr(remote, "LONGEST_SECONDS", 0.1)
        monkeypatch.setattr(remote, "WAIT_SECONDS", 0)
        with pytest.raises(DeviceError, match="has not come to this network within"):
            remote.at("pi4").latency(mbconv(8, 1), IMAGES)

    def test_a_service_that_went_away_is_waited_for(self, service: Service, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        app = create_app(store)
        with serving(app) as url:
            port = int(url.rpartition(":")[2])
        with pytest.MonkeyPatch.context() as environment, ThreadPoolExecutor() as pool:
            environment.setenv("NAS_URL", url)
            with agent(url, tmp_path, "--name", "pi4") as running:
                running.says("the service is away")
                with quiet.measuring():
                    with serving(app, port):
                        running.says("registered at")
                        found = self.measured(pool)
                        eventually(lambda: self.measuring(store))
                    assert not found.done()
                with serving(app, port):
                    assert found.result(PATIENCE_SECONDS).median_ms > 0
        store.close()

    def test_a_service_that_stays_away_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "SERVICE_AWAY_SECONDS", 0.0)
        monkeypatch.setenv("NAS_URL", "http://127.0.0.1:9")
        with pytest.raises(DeviceError, match=r"needs the service, and http://127\.0\.0\.1:9 is away .* set NAS_URL"):
            remote.at("pi4").latency(mbconv(8, 1), IMAGES)

    def test_an_agent_that_the_service_does_not_take_says_why(self, service: Service, tmp_path: Path) -> None:
        with agent(service.url, tmp_path, "--name", "pi 4") as running:
            assert running.process.wait(PATIENCE_SECONDS) == 1
        assert "does not take this agent: name 'pi 4' is not up to 40 letters" in running.log.read_text()

    def test_another_service_is_told_from_this_one(self, tmp_path: Path) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>")

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor() as pool:
            pool.submit(server.serve_forever)
            with agent(f"http://127.0.0.1:{server.server_port}", tmp_path) as running:
                code = running.process.wait(PATIENCE_SECONDS)
            server.shutdown()
        assert code == 1
        assert "does not answer as the service" in running.log.read_text()


class TestInTheProcess:
    """An agent as an object, with another meter than its own."""

    @pytest.fixture
    def errands(self, service: Service) -> list[str]:
        service.store.agents.introduce(dataclasses.replace(PI, fingerprint=program.fingerprint()))
        return [service.store.agents.send("pi4", small()).id for _ in range(2)]

    def run(self, service: Service) -> None:
        with pytest.raises(SystemExit):
            program.Agent(service.url, "pi4", agent_program.edition()).run()

    def test_it_is_heard_of_while_it_measures(
        self, service: Service, errands: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def heard_at() -> float:
            return service.store.agents.all()[0].heard_at

        def slow(data: bytes) -> Any:
            before = heard_at()
            eventually(lambda: heard_at() > before)
            raise SystemExit

        monkeypatch.setattr(program, "HEARTBEAT_SECONDS", 0.05)
        monkeypatch.setattr(program, "answered", slow)
        self.run(service)

    def test_a_runtime_that_hangs_is_not_spoken_for(
        self, service: Service, errands: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beats = []
        send = program.Agent._send

        def counted(self: program.Agent, path: str, body: bytes = b"") -> bytes:
            beats.append("heartbeat" in path)
            return send(self, path, body)

        def hanging(data: bytes) -> Any:
            eventually(lambda: sum(beats) == 3)
            time.sleep(0.2)
            raise SystemExit

        monkeypatch.setattr(program, "HEARTBEAT_SECONDS", 0.01)
        monkeypatch.setattr(program, "MOST_HEARTBEATS", 3)
        monkeypatch.setattr(program, "answered", hanging)
        monkeypatch.setattr(program.Agent, "_send", counted)
        self.run(service)
        assert sum(beats) == 3

    def test_an_answer_that_is_refused_becomes_an_error(
        self, service: Service, errands: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter([{"latency": {**codec.encode(latency(1.0)), "median_ms": float("nan")}}])

        def answered(data: bytes) -> Any:
            try:
                return next(answers)
            except StopIteration:
                raise SystemExit from None

        monkeypatch.setattr(program, "answered", answered)
        self.run(service)
        first, second = map(service.store.agents.look, errands)
        assert first.answer
        assert "its answer was refused: nan at /latency/median_ms" in str(first.answer.error)
        assert second.answer is None


def small() -> bytes:
    """The parcel of a small network."""
    made, images = runtime.exercised(mbconv(8, 1), IMAGES)
    graph = exported(made, images)
    return parcel.packed(
        Parcel(network=graph, images=images.numpy(), reference=graph, reference_images=images.numpy(), threads=1)
    )


class TestAnswers:
    """What comes back is believed only where the network's answers are torch's."""

    def answer(self, service: Service, change: Any) -> None:
        """Do the errand of somebody who waits for it, and change the answer."""
        eventually(lambda: service.store.agents.waiting("pi4"))
        errand = service.store.agents.take("pi4", PI.instance)
        assert errand
        data = service.http.get(f"/v1/errands/{errand}/parcel").content
        answer = change(program.answered(data))
        service.post(f"/v1/errands/{errand}/answer?instance={PI.instance}", answer, status=200)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda answer: {**answer, "logits": scaled(answer["logits"])}, "differ from torch's by 1.0e-03"),
            (
                lambda answer: {**answer, "reference_logits": scaled(answer["reference_logits"])},
                "differ from torch's by 1.0e-03",
            ),
            (lambda answer: {**answer, "logits": answer["reference_logits"]}, "it is not the same network"),
            (lambda answer: {**answer, "logits": ""}, "logits cannot be read"),
            (lambda answer: {**answer, "logits": "???"}, "logits cannot be read"),
            (lambda _: {"error": "out of memory"}, "agent 'pi4' could not measure the network: out of memory"),
        ],
    )
    def test_other_answers_than_torchs_are_refused(self, service: Service, change: Any, words: str) -> None:
        service.store.agents.introduce(PI)
        with ThreadPoolExecutor() as pool:
            found = pool.submit(remote.at("pi4").latency, mbconv(8, 1), IMAGES)
            self.answer(service, change)
            with pytest.raises(DeviceError, match=words):
                found.result(PATIENCE_SECONDS)

    def test_what_the_runtime_does_not_take_is_said(self) -> None:
        image = np.zeros((1, 3, 8, 8), np.float32)
        sent = Parcel(network=b"what?", images=image, reference=b"", reference_images=image, threads=1)
        assert "ONNX Runtime does not take the network" in program.answered(parcel.packed(sent))["error"]
        made, images = runtime.exercised(mbconv(8, 1), IMAGES)
        graph = exported(made, images)
        sent = Parcel(network=graph, images=image, reference=graph, reference_images=image, threads=1)
        assert "INVALID_ARGUMENT" in program.answered(parcel.packed(sent))["error"], "images of another size"


def scaled(logits: str) -> str:
    values = np.frombuffer(base64.b64decode(logits), "<f4") * np.float32(1.001)
    return base64.b64encode(values.tobytes()).decode()


class TestParcels:
    def test_a_parcel_comes_back(self) -> None:
        draw = np.random.default_rng(0)
        sent = Parcel(
            network=b"\0one",
            images=draw.standard_normal((2, 3, 4, 4), np.float32),
            reference=b"two",
            reference_images=draw.standard_normal((1, 3, 4, 4), np.float32),
            threads=3,
        )
        found = parcel.unpacked(parcel.packed(sent))
        assert (found.network, found.reference, found.threads) == (sent.network, sent.reference, 3)
        assert np.array_equal(found.images, sent.images)
        assert np.array_equal(found.reference_images, sent.reference_images)

    def test_what_is_too_large_is_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parcel, "MOST_BYTES", 1000)
        with pytest.raises(DeviceError, match=r"the network and its images have [\d,]+ bytes: 1,000 are sent"):
            remote.at("pi4").latency(mbconv(8, 1), IMAGES)

    def test_anything_else_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = small()
        pickled, partial = io.BytesIO(), io.BytesIO()
        np.savez(pickled, network=np.array([print], dtype=object), images=np.zeros(1))
        np.savez(partial, network=np.zeros(1))
        for data in (b"", b"what?", whole[:-100], pickled.getvalue(), partial.getvalue()):
            with pytest.raises(BadParcel, match="what was sent is no parcel"):
                parcel.unpacked(data)
            assert "no parcel" in program.answered(data)["error"]

    def test_what_unfolds_to_more_is_refused_before_it_does(self) -> None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("network.npy", "w") as member:
            for _ in range(129):
                member.write(bytes(2**20))
        assert len(file.getvalue()) < 2**20
        with pytest.raises(BadParcel, match=r"it has more than 134,217,728 bytes"):
            parcel.unpacked(file.getvalue())


@pytest.mark.parametrize(
    ("status", "body", "length", "error", "words"),
    [
        (404, b"<html>", 6, http.NotTaken, "answers 404 Not Found"),
        (422, b'{"detail": "no"}', 16, http.NotTaken, "^no$"),
        (503, b'{"detail": "later"}', 19, OSError, "^later$"),
        (200, b"x" * 11, 11, OSError, "answers with more than 10 bytes"),
        (200, b"x", 5, OSError, "broke off its answer with 4 bytes left"),
    ],
)
def test_what_goes_wrong_between_agent_and_service_is_told_apart(
    status: int, body: bytes, length: int, error: type[Exception], words: str
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor() as pool:
        pool.submit(server.handle_request)
        with pytest.raises(error, match=words):
            http.ask("GET", f"http://127.0.0.1:{server.server_port}/", most_bytes=10)


PI = Introduction(name="pi4", fingerprint={"processor": "Pi"}, instance="a" * 16, edition=agent_program.edition())


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
        answer = codec.encode(Answer(latency=latency(1.5), logits="AAAA", reference_logits="AAAA"))
        assert service.post(f"{address}/answer?instance={PI.instance}", answer, status=200)["state"] == "answered"
        assert service.get(address)["answer"] == answer
        assert "its network is not kept" in service.get(f"{address}/parcel", status=409)["detail"]
        problem = service.post(f"{address}/answer?instance={PI.instance}", answer, status=409)
        assert "answered already" in problem["detail"]

    def test_who_waits_is_told_at_once(self, service: Service) -> None:
        service.store.agents.introduce(PI)
        with ThreadPoolExecutor() as pool:
            start = time.monotonic()
            taken = pool.submit(service.post, f"/v1/agents/pi4/take?instance={PI.instance}&wait_seconds=20", status=200)
            errand = service.store.agents.send("pi4", b"x").id
            assert taken.result() == {"errand": errand}
            told = pool.submit(service.get, f"/v1/errands/{errand}?wait_seconds=20")
            service.store.agents.answer(errand, PI.instance, Answer(error="no"))
            assert told.result()["answer"]["error"] == "no"
            assert time.monotonic() - start < 20

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

    def test_a_token_is_asked_of_agents_where_there_is_one(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NAS_AGENT_TOKEN", "sesame")
        service.store.agents.introduce(PI)
        errand = service.store.agents.send("pi4", b"x").id
        agent_, answer = dataclasses.asdict(PI), {"error": "no"}
        for path, body in (
            ("/v1/agents", agent_),
            (f"/v1/agents/pi4/heartbeat?instance={PI.instance}", None),
            (f"/v1/agents/pi4/take?instance={PI.instance}", None),
            (f"/v1/errands/{errand}/answer?instance={PI.instance}", answer),
        ):
            assert "set NAS_AGENT_TOKEN" in service.post(path, body, status=401)["detail"]
            wrong, right = ({"Authorization": f"Bearer {word}"} for word in ("open", "sesame"))
            service.ask("POST", path, 401, json=body, headers=wrong)
            service.ask("POST", path, 200, json=body, headers=right)

    def test_an_agent_sends_its_token(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NAS_AGENT_TOKEN", "sesame")
        monkeypatch.setattr(program, "answered", lambda _: sys.exit())
        service.store.agents.introduce(dataclasses.replace(PI, fingerprint=program.fingerprint()))
        service.store.agents.send("pi4", b"x")
        with pytest.raises(SystemExit):
            program.Agent(service.url, "pi4", agent_program.edition()).run()
        monkeypatch.delenv("NAS_AGENT_TOKEN")
        nobody = program.Agent(service.url, "pi4", agent_program.edition())
        monkeypatch.setenv("NAS_AGENT_TOKEN", "sesame")
        with pytest.raises(http.NotTaken, match="set NAS_AGENT_TOKEN as it is set there"):
            nobody.run()

    def test_a_run_takes_only_agents_that_are_there(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        body = {"dataset": "fashion_mnist", "device": "remote:pi4:threads=2"}
        problem = service.post("/v1/searches", body, status=422)
        assert problem["errors"][0]["pointer"] == "/device"
        assert "no agent 'pi4' has registered: there is none" in problem["detail"]
        service.store.agents.introduce(PI)
        assert service.post("/v1/searches", body)["spec"]["device"] == "remote:pi4:threads=2"
        problem = service.post("/v1/searches", body | {"device": "remote:pi5"}, status=422)
        assert "no agent 'pi5' has registered: there are pi4" in problem["detail"]
        problem = service.post("/v1/searches", body | {"device": "remote"}, status=422)
        assert "needs the name of an agent, as in remote:pi4" in problem["detail"]
        search = service.search([(0.9, 1000)]).id
        assert service.post("/v1/growths", {"search": search, "device": "remote:pi4"})["spec"]["device"] == "remote:pi4"
        monkeypatch.setattr(stored, "ONLINE_SECONDS", 0.0)
        for path, wanted in (("searches", body), ("growths", {"search": search, "device": "remote:pi4"})):
            problem = service.post(f"/v1/{path}", wanted, status=422)
            assert problem["errors"][0]["pointer"] == "/device"
            assert "agent 'pi4' is offline, it was last heard of at 20" in problem["detail"]
        (row,) = (row for row in service.get("/v1/devices")["devices"] if row["name"] == "remote:pi4")
        assert not row["available"]
        assert "start it again there" in row["problem"]

    def test_with_workers_elsewhere_agents_are_known_all_the_same(self, tmp_path: Path) -> None:
        store = Store(f"sqlite:///{tmp_path}/nas.db")
        with serving(create_app(store, remote_workers=True)) as url:
            body = {"dataset": "fashion_mnist", "device": "remote:pi4"}
            with pytest.raises(http.NotTaken, match="no agent 'pi4' has registered"):
                http.ask("POST", f"{url}/v1/searches", json.dumps(body).encode(), JSON)
        store.close()


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("remote:", "name '' is not up to 40 letters"),
        ("remote:a b", "name 'a b' is not"),
        ("remote:threads=2", "name 'threads=2' is not"),
        ("remote:pi4:", "option '', and 'remote:pi4' takes threads, batch"),
        ("remote:pi4:dtype=float16", "option 'dtype', and 'remote:pi4' takes threads, batch"),
        ("remote:pi4:threads=0", "threads '0' is not a whole number between 1 and 256"),
    ],
)
def test_a_name_that_no_agent_can_have_is_refused(named: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        devices.find(named)


class TestStore:
    """On SQLite and on PostgreSQL alike."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def store(self, database_url: str, clock: Clock) -> Iterator[Store]:
        store = Store(database_url, clock)
        yield store
        store.close()

    def test_an_agent_is_online_while_it_is_heard_of(self, store: Store, clock: Clock) -> None:
        store.agents.introduce(dataclasses.replace(PI, fingerprint={"processor": "größer\0"}))
        clock.now += stored.ONLINE_SECONDS - 1
        (found,) = store.agents.all()
        assert (found.name, found.online, found.registered_at, found.heard_at) == ("pi4", True, 1000.0, 1000.0)
        assert found.fingerprint == {"processor": "größer�"}
        assert store.agents.heard("pi4", PI.instance).heard_at == clock.now
        clock.now += stored.ONLINE_SECONDS
        assert [agent.online for agent in store.agents.all()] == [False]

    def test_a_name_is_one_machines_while_that_is_online(self, store: Store, clock: Clock) -> None:
        store.agents.introduce(PI)
        other = dataclasses.replace(PI, instance="b" * 16, fingerprint={"processor": "another"})
        with pytest.raises(Conflict, match="agent 'pi4' is online on another machine: choose another name"):
            store.agents.introduce(other)
        assert store.agents.all()[0].fingerprint == PI.fingerprint
        clock.now += stored.ONLINE_SECONDS
        assert store.agents.introduce(other).fingerprint == other.fingerprint
        with pytest.raises(Conflict, match="another agent has registered as 'pi4' in the meantime"):
            store.agents.heard("pi4", PI.instance)

    def test_a_new_process_takes_name_and_errand_over_at_once(self, store: Store) -> None:
        store.agents.introduce(PI)
        errand = store.agents.send("pi4", b"x").id
        assert store.agents.take("pi4", PI.instance) == errand
        new = dataclasses.replace(PI, instance="b" * 16)
        store.agents.introduce(new)
        assert store.agents.take("pi4", new.instance) == errand
        for forbidden in (
            lambda: store.agents.take("pi4", PI.instance),
            lambda: store.agents.answer(errand, PI.instance, Answer(error="x")),
        ):
            with pytest.raises(Conflict, match="another agent has registered"):
                forbidden()
        assert store.agents.answer(errand, new.instance, Answer(latency=latency(1.0))).state == "answered"

    def test_errands_are_served_one_after_another(self, store: Store) -> None:
        for name in ("pi4", "pi5"):
            store.agents.introduce(dataclasses.replace(PI, name=name))
        first, other, second = (store.agents.send(name, name.encode()).id for name in ("pi4", "pi5", "pi4"))
        assert store.agents.parcel(other) == b"pi5"
        for _ in range(2):  # the answer to the first may have been lost
            assert store.agents.take("pi4", PI.instance) == first
        assert store.agents.look(second).state == "queued"
        with pytest.raises(Conflict, match="was not taken by this agent"):
            store.agents.answer(second, PI.instance, Answer(error="x"))
        store.agents.answer(first, PI.instance, Answer(error="x"))
        assert store.agents.waiting("pi4") == store.agents.take("pi4", PI.instance) == second
        store.agents.answer(second, PI.instance, Answer(error="x"))
        assert store.agents.waiting("pi4") is store.agents.take("pi4", PI.instance) is None
        assert store.agents.take("pi5", PI.instance) == other

    def test_what_an_agent_dies_of_is_not_given_to_it_for_ever(self, store: Store) -> None:
        store.agents.introduce(PI)
        deadly, next_ = (store.agents.send("pi4", b"x").id for _ in range(2))
        for number in range(stored.MOST_TAKINGS):
            assert store.agents.introduce(dataclasses.replace(PI, instance=f"{number:016x}")).online
            for _ in range(2):  # the same instance asks again: that is no death
                assert store.agents.take("pi4", f"{number:016x}") == deadly
        store.agents.introduce(PI)
        assert store.agents.take("pi4", PI.instance) == next_
        answer = store.agents.look(deadly).answer
        assert answer
        assert "it went away 3 times in the middle of it" in str(answer.error)
        with pytest.raises(Conflict, match="its network is not kept"):
            store.agents.parcel(deadly)

    def test_nothing_is_kept_of_what_nobody_wants_to_know(self, store: Store, clock: Clock) -> None:
        store.agents.introduce(PI)
        wanted, abandoned = (store.agents.send("pi4", b"x").id for _ in range(2))
        clock.now += stored.ABANDONED_SECONDS - 1
        assert store.agents.ask(wanted).silent_seconds == stored.ABANDONED_SECONDS - 1
        clock.now += 1
        assert store.agents.take("pi4", PI.instance) == wanted
        store.agents.answer(wanted, PI.instance, Answer(error="x"))
        assert store.agents.waiting("pi4") is None, "it is not measured for nobody"
        store.agents.heard("pi4", PI.instance)
        with pytest.raises(NotFound, match=f"no errand '{abandoned}'"):
            store.agents.look(abandoned)
        assert store.agents.look(wanted).answer
        clock.now += stored.ABANDONED_SECONDS
        store.agents.send("pi4", b"x")
        with pytest.raises(NotFound):
            store.agents.ask(wanted)

    def test_what_waits_has_bounds(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stored, "MOST_PARCEL_BYTES", 10)
        store.agents.introduce(PI)
        errand = store.agents.send("pi4", b"x" * 6).id
        with pytest.raises(Conflict, match="networks of 6 bytes wait"):
            store.agents.send("pi4", b"x" * 6)
        store.agents.take("pi4", PI.instance)
        store.agents.answer(errand, PI.instance, Answer(error="x"))
        store.agents.send("pi4", b"x" * 6)

    def test_who_is_not_there_is_named(self, store: Store) -> None:
        for absent in (
            lambda: store.agents.send("pi4", b"x"),
            lambda: store.agents.heard("pi4", PI.instance),
            lambda: store.agents.take("pi4\0", PI.instance),
        ):
            with pytest.raises(NotFound, match="has registered: there is none"):
                absent()
        with pytest.raises(NotFound, match="no errand 'f00'"):
            store.agents.parcel("f00")


def test_an_answer_is_a_latency_or_an_error() -> None:
    with pytest.raises(Refusal, match="there is one of them"):
        Answer()
    with pytest.raises(Refusal, match="there is one of them"):
        Answer(error="x", latency=latency(1.0))
