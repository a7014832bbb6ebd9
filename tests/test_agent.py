"""Latency on other machines: the agent as its user starts it, in an interpreter that has nothing but what it needs."""

import base64
import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from api import agent_program
from api.app import create_app
from api.cli import __main__ as cli
from nas import codec, devices
from nas.agents import measuring, parcel, program
from nas.agents.measuring import Measuring
from nas.agents.parcel import Graph, Parcel
from nas.devices import remote
from nas.measurements import Latency
from nas.metering import DeviceError, Options, quiet, runtime
from nas.metering.onnx import exported
from nas.store import Store
from tests.agents import PI, small
from tests.networks import IMAGES, mbconv
from tests.service import OPEN, Service, latency, service_over, serving
from tests.waiting import PATIENCE_SECONDS, eventually

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
        eventually(lambda: words in self.log.read_text() or self.process.poll() is not None)
        assert words in self.log.read_text(), self.log.read_text()


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
        rounded = device.latency(small, IMAGES, Options(dtype="int8"))
        more = device.latency(large, IMAGES, Options(threads=2, batch=4))
        running.says(f"{more.median_ms:.3g} ms")
    assert found.device == "remote:pi4"
    assert sum(found.shares or ()) == pytest.approx(1, abs=0.01)
    assert (rounded.device, rounded.fingerprint["dtype"]) == ("remote:pi4:dtype=int8", "int8")
    assert more.device == "remote:pi4:threads=2,batch=4"
    assert devices.find(more.device)[1] == Options(threads=2, batch=4)
    assert 0 < found.minimum_ms <= found.p95_ms
    assert 0 < found.median_ms <= found.p95_ms
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
        return any(store.agents.look(errand).state == "measuring" for errand in store.agents.unanswered())

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
        app = create_app(store, OPEN)
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
        service.store.agents.introduce(dataclasses.replace(PI, fingerprint=measuring.fingerprint()))
        return [service.store.agents.send("pi4", small()).id for _ in range(2)]

    def run(self, service: Service) -> None:
        with pytest.raises(SystemExit):
            program.Agent(service.url, "pi4", agent_program.edition()).run()

    def test_it_is_heard_of_while_it_measures(
        self, service: Service, errands: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def heard_at() -> float:
            return service.store.agents.all()[0].heard_at

        def slow(self: Measuring, data: bytes) -> Any:
            before = heard_at()
            eventually(lambda: heard_at() > before)
            raise SystemExit

        monkeypatch.setattr(program, "HEARTBEAT_SECONDS", 0.05)
        monkeypatch.setattr(Measuring, "answered", slow)
        self.run(service)

    def test_a_runtime_that_hangs_is_not_spoken_for(
        self, service: Service, errands: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beats = []
        send = program.Agent._send

        def counted(self: program.Agent, path: str, body: bytes = b"") -> bytes:
            beats.append("heartbeat" in path)
            return send(self, path, body)

        def hanging(self: Measuring, data: bytes) -> Any:
            eventually(lambda: "heartbeat" not in {thread.name for thread in threading.enumerate()})
            raise SystemExit

        monkeypatch.setattr(program, "HEARTBEAT_SECONDS", 0.01)
        monkeypatch.setattr(program, "MOST_HEARTBEATS", 3)
        monkeypatch.setattr(Measuring, "answered", hanging)
        monkeypatch.setattr(program.Agent, "_send", counted)
        self.run(service)
        assert sum(beats) == 3

    def test_an_answer_that_is_refused_becomes_an_error(
        self, service: Service, errands: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter([{"latency": {**codec.encode(latency(1.0)), "median_ms": float("nan")}}])

        def answered(self: Measuring, data: bytes) -> Any:
            try:
                return next(answers)
            except StopIteration:
                raise SystemExit from None

        monkeypatch.setattr(Measuring, "answered", answered)
        self.run(service)
        first, second = map(service.store.agents.look, errands)
        assert first.answer
        assert "its answer was refused: nan at /latency/median_ms" in str(first.answer.error)
        assert second.answer is None


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: {**answer, "latency": {**answer["latency"], name: None}}


class TestAnswers:
    """What comes back is believed only where the network's answers are torch's."""

    def answer(self, service: Service, change: Any) -> None:
        """Do the errand of somebody who waits for it, and change the answer."""
        eventually(lambda: service.store.agents.unanswered())
        errand = service.store.agents.take("pi4", PI.instance)
        assert errand
        data = service.http.get(f"/v1/errands/{errand}/parcel").content
        answer = change(measuring.measured(data))
        service.post(f"/v1/errands/{errand}/answer?instance={PI.instance}", answer, status=200)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda answer: {**answer, "logits": scaled(answer["logits"])}, "differ from torch's by 1.0e-03"),
            (
                lambda answer: {**answer, "yardstick_logits": [*map(scaled, answer["yardstick_logits"])]},
                "differ from torch's by 1.0e-03",
            ),
            (lambda answer: {**answer, "yardstick_logits": answer["yardstick_logits"][::-1]}, "not the same network"),
            (
                lambda answer: {**answer, "yardstick_logits": answer["yardstick_logits"][:1]},
                "agent 'pi4' answered for 1 networks of the yardstick, and 3 were sent",
            ),
            (lambda answer: {**answer, "logits": answer["yardstick_logits"][0]}, "it is not the same network"),
            (without("ratio"), "does not say how its latency compares with the yardstick"),
            (without("yardstick_ms"), "does not say how its latency compares with the yardstick"),
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
        nothing = Graph(b"what?", image)
        sent = Parcel(network=nothing, yardstick=(nothing,), threads=1)
        assert "no network in ONNX" in measuring.measured(parcel.packed(sent))["error"]
        made, images = runtime.exercised(mbconv(8, 1), IMAGES)
        of_another_size = Graph(exported(made, images), image)
        sent = Parcel(network=of_another_size, yardstick=(of_another_size,), threads=1)
        assert "INVALID_ARGUMENT" in measuring.measured(parcel.packed(sent))["error"], "images of another size"


def scaled(logits: str) -> str:
    values = np.frombuffer(base64.b64decode(logits), "<f4") * np.float32(1.001)
    return base64.b64encode(values.tobytes()).decode()
