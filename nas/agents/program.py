"""The agent: what runs on the machine whose latency counts, and measures what the service sends it.

    pip install onnxruntime numpy
    curl -f -O http://SERVICE:8000/v1/agent.pyz && python3 agent.pyz --service http://SERVICE:8000 --name pi4

It needs nothing else, and nobody needs to reach it: it asks the service for errands and answers with times that come
from the service's own meter. Of what it is sent it runs nothing but networks, in ONNX Runtime, in a process of
their own that has nothing else within reach.
"""

import argparse
import contextlib
import json
import platform
import re
import secrets
import sys
import threading
import time
from contextlib import AbstractContextManager
from typing import Any

from nas import settings
from nas.agents import http, parcel
from nas.agents.measuring import LONGEST_ERROR, Measuring, fingerprint
from nas.alongside import alongside
from nas.refusal import Refusal

WAIT_SECONDS = 10  # for the next errand, before it asks again
HEARTBEAT_SECONDS = 10.0  # while it measures
MOST_HEARTBEATS = 60  # after which a runtime that hangs is no longer spoken for
LONGEST_PAUSE_SECONDS = 10.0  # between two tries while the service is away


class Agent:
    """One agent at the service at `url`. `run` ends only with NotTaken, when the service has no use for it."""

    def __init__(self, url: str, name: str, edition: str) -> None:
        self._url, self._name, self._instance = url.rstrip("/"), name, secrets.token_hex(8)
        token = settings.agent_token()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        introduction = {"name": name, "edition": edition, "instance": self._instance, "fingerprint": fingerprint()}
        self._introduction = json.dumps(introduction).encode()
        self.measuring = Measuring()

    def run(self) -> None:
        try:
            self._serve()
        finally:
            self.measuring.close()

    def _serve(self) -> None:
        pause, known = 1.0, False
        while True:
            try:
                if not known:
                    self._send("/v1/agents", self._introduction)
                    say(f"registered at {self._url} as device remote:{self._name}; Ctrl-C ends it")
                    known = True
                errand = json.loads(self._send(self._own("take", f"&wait_seconds={WAIT_SECONDS}")))["errand"]
                if errand:
                    self._run(errand)
                pause = 1.0
            except OSError as error:
                say(f"the service is away ({error}); trying again in {pause:g} s")
                known = False  # it may be another one when it is back
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _run(self, errand: str) -> None:
        address = f"/v1/errands/{errand}"
        try:
            data = http.ask("GET", f"{self._url}{address}/parcel", headers=self._headers, most_bytes=parcel.MOST_BYTES)
            with self._heard():
                answer = self.measuring.answered(data)
            try:
                self._answer(address, answer)
            except http.NotTaken as error:
                if error.status not in (413, 422):
                    raise
                answer = {"error": f"its answer was refused: {error}"[:LONGEST_ERROR]}
                self._answer(address, answer)
        except http.NotTaken as error:  # whoever asked for it has gone in the meantime
            say(f"errand {errand}: {error}")
            return
        say(f"errand {errand}: {answer.get('error') or '{median_ms:.3g} ms'.format(**answer['latency'])}")

    def _answer(self, address: str, answer: dict[str, Any]) -> None:
        self._send(f"{address}/answer?instance={self._instance}", json.dumps(answer).encode())

    def _own(self, verb: str, more: str = "") -> str:
        return f"/v1/agents/{self._name}/{verb}?instance={self._instance}{more}"

    def _send(self, path: str, body: bytes = b"") -> bytes:
        return http.ask("POST", self._url + path, body, {"Content-Type": "application/json", **self._headers})

    def _heard(self) -> AbstractContextManager[None]:
        """The service is told meanwhile that this agent is there, every ten seconds for ten minutes."""

        def beat(done: threading.Event) -> None:
            for _ in range(MOST_HEARTBEATS):
                if done.wait(HEARTBEAT_SECONDS):
                    return
                with contextlib.suppress(OSError, http.NotTaken):  # the answer will meet with the same
                    self._send(self._own("heartbeat"))

        return alongside("heartbeat", beat)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main(edition: str) -> int:
    """1: the service refuses this agent, or a package is missing; 2: used wrongly."""
    parser = argparse.ArgumentParser(
        prog="agent.pyz", description="Measure on this machine the latency of networks that a service sends."
    )
    parser.add_argument("--service", required=True, metavar="URL", help="such as http://192.168.1.20:8000")
    parser.add_argument("--name", default=platform.node().partition(".")[0], help="this machine's, by default its own")
    options = parser.parse_args()
    if not re.match(r"https?://[^/]", options.service):
        parser.error(f"--service {options.service!r} is no address: give one like http://192.168.1.20:8000")
    try:
        Agent(options.service, options.name, edition).run()
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: pip install onnxruntime numpy", file=sys.stderr)
    except http.NotTaken as error:
        print(f"the service does not take this agent: {error}", file=sys.stderr)
    except (OSError, Refusal) as error:
        print(f"the token cannot be read: {error}", file=sys.stderr)
    except (ValueError, KeyError) as error:
        print(f"{options.service} does not answer as the service ({error}): is the address right?", file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return 1
