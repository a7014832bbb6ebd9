"""The latency of one network on some devices: `python -m nas.measure < request.json > latencies.json`

A request has an `architecture`, the `space` that builds it and the names of `devices`; a line of JSON comes back for
each device. Exit status 2: the request is malformed; 1: a device could not measure.
"""

import json
import sys
from dataclasses import dataclass

from nas import devices, spaces
from nas.codec import Malformed, decode, encode
from nas.measurements import Latency
from nas.metering import DeviceError
from nas.networks.lowering import AnyArchitecture


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure, and where; `devices` as in "cpu" or "cpu:threads=2,batch=8"."""

    architecture: AnyArchitecture
    space: str
    devices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a device said: the latency, or the error why there is none."""

    device: str
    latency: Latency | None = None
    error: str | None = None


def measure(request: Request, device: str) -> Answer:
    """The latency of the request's network on one of its devices. Raises ValueError for a device that is not known, or
    a network that the space cannot build."""
    import torch

    meter, options = devices.find(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = spaces.load(request.space).build(request.architecture).eval()
    try:
        return Answer(device=device, latency=meter.latency(network, request.architecture.images, options))
    except DeviceError as error:
        return Answer(device=device, error=str(error))


def main() -> int:
    try:
        request = decode(Request, json.load(sys.stdin))
        for device in request.devices:
            devices.find(device)
    except (Malformed, ValueError) as error:
        print(f"the request on standard input cannot be taken: {error}", file=sys.stderr)
        return 2
    failed = False
    for device in request.devices:
        answer = measure(request, device)
        failed |= answer.latency is None
        print(json.dumps(encode(answer)), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
