"""Latency on another machine, a Raspberry Pi for instance, where an agent runs: "remote:pi4".

The network is exported as for device "cpu" and sent to the service at NAS_URL, of which the agent fetches it. It is run
there in ONNX Runtime beside the same yardstick and by the same meter, and its answers are compared with torch's
before any of its times is believed. What the yardstick took at best there is kept here: an agent that has just begun
knows nothing of it.

An agent that goes away, in the middle of a measurement or before, is waited for, and measures the network anew when it
is back. After five minutes of silence there is no latency.
"""

import base64
import dataclasses
import json
import time
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from nas import settings
from nas.agents import http
from nas.agents.errands import Answer, Errand, check_name
from nas.agents.parcel import BadParcel, Graph, Parcel, packed
from nas.codec import decode
from nas.extras import missing
from nas.measurements import Latency
from nas.metering import PLAIN, DeviceError, Options
from nas.metering.onnx import exported
from nas.metering.runtime import YARDSTICKS, agreed, check, exercised, named, on_record, yardsticks
from nas.networks.architecture import Images
from nas.quantisation import INT8, of_dtype
from nas.refusal import Refusal
from nas.tokens import for_service

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.remote
    from nas.devices import Device

    _satisfied: Device = nas.devices.remote

TAKES = ("threads", "batch", "dtype")
DTYPES = ("float32", *INT8)
WAIT_SECONDS = 10  # of a question that the service leaves open until there is an answer
AWAY_SECONDS = 300.0  # of an agent's silence
SERVICE_AWAY_SECONDS = 60.0
LONGEST_SECONDS = 3600.0  # in all, where others have sent many networks before


def available() -> str | None:
    """There is no such device without the name of an agent."""
    return "device 'remote' needs the name of an agent, as in remote:pi4: see nas devices, or start one (README.md)"


def latency(network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
    """None. Raises DeviceError."""
    raise DeviceError(available())


def at(agent: str) -> "Remote":
    """The device that an agent's machine is. Raises ValueError for a name that no agent may have."""
    check_name(agent)
    return Remote(agent)


class Remote:
    """The machine of one agent."""

    TAKES: tuple[str, ...] = TAKES
    DTYPES: tuple[str, ...] = DTYPES

    def __init__(self, agent: str) -> None:
        self.agent = agent

    def available(self) -> str | None:
        """None where torch is installed, from which networks are exported. The service is not asked."""
        return missing(f"device 'remote:{self.agent}'", "workers", "torch")

    def latency(self, network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
        """Milliseconds for one batch. `network` stays as it is; no state of torch is changed.

        Raises DeviceError where the agent or the service is away for longer than they are waited for, or the agent
        cannot run the network, or gives other answers than torch.
        """
        reason = self.available()
        if reason:
            raise DeviceError(reason)
        import torch

        own, compared = _exported(network, images, options), _yardstick(options)
        yardstick = tuple(each.sent for each in compared)
        answer = _answer(self.agent, Parcel(network=own.sent, yardstick=yardstick, threads=options.threads))
        if answer.latency is None:
            raise DeviceError(f"agent {self.agent!r} could not measure the network: {answer.error}")
        if len(answer.yardstick_logits) != len(compared):
            raise DeviceError(
                f"agent {self.agent!r} answered for {len(answer.yardstick_logits)} networks of the yardstick, and "
                f"{len(compared)} were sent: start its program anew, as this service hands it out"
            )
        if answer.latency.ratio is None or answer.latency.yardstick_ms is None:
            raise DeviceError(
                f"agent {self.agent!r} does not say how its latency compares with the yardstick: start its program "
                "anew, as this service hands it out"
            )
        for text, each in zip((answer.logits, *answer.yardstick_logits), (own, *compared)):
            check(_logits(text, each.expected), each.expected, agreed(options.dtype))
        how = {
            "threads": str(options.threads),
            "batch": str(options.batch),
            "dtype": options.dtype,
            "torch": torch.__version__,
        }
        device, fingerprint = options.said(f"remote:{self.agent}"), answer.latency.fingerprint | how
        latency = dataclasses.replace(answer.latency, device=device, fingerprint=fingerprint, yardstick=named())
        return on_record(latency)


if TYPE_CHECKING:
    _remote: Device = Remote("")


class _Exported(NamedTuple):
    sent: Graph
    expected: "Tensor"


def _exported(network: "nn.Module", images: Images, options: Options) -> _Exported:
    import torch

    network, image = exercised(network, images, options.batch)
    with torch.inference_mode():
        expected = network(image)
        graph = of_dtype(exported(network, image), image.numpy(), options.dtype)
    return _Exported(Graph(graph, image.numpy()), expected)


@lru_cache(maxsize=4)
def _yardstick(options: Options) -> tuple[_Exported, ...]:
    networks = zip(yardsticks(), YARDSTICKS)
    return tuple(_exported(network, architecture.images, options) for network, architecture in networks)


def _logits(text: str, expected: "Tensor") -> "Tensor":
    import numpy as np
    import torch

    try:
        logits = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
        return torch.from_numpy(logits.reshape(tuple(expected.shape)).astype("f4"))
    except ValueError as error:
        raise DeviceError(f"the agent's logits cannot be read, so its latency is not taken: {error}") from error


def _answer(agent: str, parcel: Parcel) -> Answer:
    """What the agent answers, once it does."""
    service = settings.URL.value.rstrip("/")
    try:
        token = settings.agent_token() or for_service(service)  # of an evaluator; of whoever measures by hand
    except (OSError, Refusal) as error:
        raise DeviceError(f"device 'remote:{agent}' needs a token, which cannot be read: {error}") from error
    trusted = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        kind = {"Content-Type": "application/octet-stream"}
        errand = _asked("POST", f"{service}/v1/agents/{agent}/errands", packed(parcel), kind | trusted)
        deadline = time.monotonic() + LONGEST_SECONDS
        while errand.answer is None:
            if errand.silent_seconds > AWAY_SECONDS:
                where = "in the middle of the measurement" if errand.state == "measuring" else "before it measured"
                raise DeviceError(
                    f"agent {agent!r} went away {where} and was not heard of for {AWAY_SECONDS / 60:g} minutes, so "
                    "there is no latency: start it again there"
                )
            if time.monotonic() > deadline:
                raise DeviceError(
                    f"agent {agent!r} has not come to this network within {LONGEST_SECONDS / 60:g} minutes, so there "
                    "is no latency: send it fewer at once (parallel)"
                )
            errand = _asked("GET", f"{service}/v1/errands/{errand.id}?wait_seconds={WAIT_SECONDS}", headers=trusted)
    except (http.NotTaken, BadParcel) as error:
        raise DeviceError(f"device 'remote:{agent}' cannot measure: {error}") from error
    except OSError as error:
        raise DeviceError(
            f"device 'remote:{agent}' needs the service, and {service} is away ({error}): "
            "start it, or set NAS_URL to where it is"
        ) from error
    return errand.answer


def _asked(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Errand:
    """The errand as the service tells it. A service that is away is waited for, for a minute."""
    deadline = time.monotonic() + SERVICE_AWAY_SECONDS
    while True:
        try:
            return decode(Errand, json.loads(http.ask(method, url, body, headers)))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)
        except ValueError as error:
            raise DeviceError(f"{url} does not answer as this version of the service: {error}") from error
