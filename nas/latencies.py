"""The latencies of a job's network: measured before it is trained, and those that are not well known again later."""

import dataclasses
import logging
from typing import TYPE_CHECKING

from nas import devices
from nas.limits import near_limit, over_latency
from nas.measurements import Latency, Measurement
from nas.metering import DeviceError
from nas.metering.earlier import NOISY
from nas.quantisation import INT8
from nas.records import Job

if TYPE_CHECKING:
    from torch import nn

AGAIN = 3  # times at most that one is measured again, where something hangs on it
ROUGH = 0.02  # relative error, above which a latency is worth another measurement

log = logging.getLogger(__name__)


def measured(job: Job, network: "nn.Module", counted: Measurement) -> Measurement:
    """`counted` with the latencies of `network`, which is refused where the first one is over the limit by more than
    its error, and then not measured on the other devices. Raises DeviceError."""
    first, *others = job.devices
    latency = _latency(job, first, network)
    if near_limit(job.limits, latency):
        latency = _surer(job, first, network, latency, AGAIN)
    if refused := over_latency(job.limits, latency):
        return dataclasses.replace(counted, latencies={first: latency}, refused=refused)
    rest = {name: _latency(job, name, network) for name in others}
    return dataclasses.replace(counted, latencies={first: latency} | rest)


def measured_again(job: Job, network: "nn.Module", costed: Measurement, *, per_channel: bool = False) -> Measurement:
    """`costed` with its rough latencies measured once more, and refused where the first one is now known to be over the
    limit. A few times more where that is in doubt, or latency is all that is wanted: this host's trainings pause
    meanwhile.

    Where the network turned out to need scales `per_channel`, latencies in 8 bits are taken of it as it is then."""
    if per_channel:
        latencies = {
            name: _per_channel(job, name, network, latency) if devices.find(name)[1].dtype == INT8[0] else latency
            for name, latency in costed.latencies.items()
        }
        costed = dataclasses.replace(costed, latencies=latencies)
    first = job.devices[0]
    decides = job.recipe is None or near_limit(job.limits, costed.latencies[first])
    latencies = {
        name: _surer(job, name, network, latency, AGAIN if decides and name == first else 1, per_channel=per_channel)
        for name, latency in costed.latencies.items()
    }
    refused = over_latency(job.limits, latencies[first])
    return dataclasses.replace(costed, latencies=latencies, refused=refused)


def _per_channel(job: Job, name: str, network: "nn.Module", latency: Latency) -> Latency:
    """Or `latency`, as it was per tensor, as a rough one: a training is not thrown away for it."""
    try:
        return _latency(job, name, network, True)
    except DeviceError as error:
        log.warning("run %s, trial %d: its latency per tensor is kept: %s", job.run, job.number, error)
        return dataclasses.replace(latency, error_ms=max(latency.error, NOISY) * latency.median_ms)


def _surer(
    job: Job, name: str, network: "nn.Module", latency: Latency, times: int, *, per_channel: bool = False
) -> Latency:
    """The same where it is no rough one, or else the one with the smallest error of some that are measured now."""
    for _ in range(times):
        if latency.error <= ROUGH:
            break
        try:
            other = _latency(job, name, network, per_channel)
        except DeviceError as error:
            log.warning("run %s, trial %d: its rough latency on %s is kept: %s", job.run, job.number, name, error)
            break
        latency = min(latency, other, key=lambda each: each.error)
    return latency


def _latency(job: Job, name: str, network: "nn.Module", per_channel: bool = False) -> Latency:
    device, options = devices.find(name)
    if per_channel and options.dtype == INT8[0]:
        options = dataclasses.replace(options, dtype=INT8[1])
    try:
        return device.latency(network, job.architecture.images, options)
    except DeviceError as error:
        if len(job.devices) == 1:
            raise
        raise DeviceError(f"no latency on {name}: {error}") from error
