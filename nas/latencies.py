"""The latencies of a job's network: measured before it is trained, and those that are noisy again later."""

import dataclasses
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from nas import devices
from nas.limits import over_limit
from nas.metering import DeviceError
from nas.records import Job, Latency, Measurement

if TYPE_CHECKING:
    from torch import nn

AGAIN = 3  # times at most that one is measured again at once, where something hangs on it

log = logging.getLogger(__name__)


def measured(job: Job, network: "nn.Module", counted: Measurement) -> Measurement:
    """`counted` with the latencies of `network`, which is refused where the first one is over the limit, and then not
    measured on the other devices. A busy host refuses nothing: what is noisy is measured again, and stays where it is
    noisy still. Raises DeviceError."""

    def over(latency: Latency) -> str | None:
        return over_limit(job.limits, counted, latency)

    first, *others = job.devices
    latency = _steadier(job, first, network, _latency(job, first, network), AGAIN, lambda latest: not over(latest))
    if not latency.noisy and (refused := over(latency)):
        return dataclasses.replace(counted, latencies={first: latency}, refused=refused)
    rest = {name: _latency(job, name, network) for name in others}
    return dataclasses.replace(counted, latencies={first: latency} | rest)


def measured_again(job: Job, network: "nn.Module", costed: Measurement) -> Measurement:
    """`costed` with its noisy latencies measured once more, and refused where the first one was noisy and is now known
    to be over the limit. A few times more where it seems to be over it, or is all that is wanted: this host's trainings
    pause meanwhile."""
    first = job.devices[0]
    decides = job.recipe is None or over_limit(job.limits, costed, costed.latencies[first]) is not None
    latencies = {
        name: _steadier(job, name, network, latency, AGAIN if decides and name == first else 1)
        for name, latency in costed.latencies.items()
    }
    refused = None if latencies[first].noisy else over_limit(job.limits, costed, latencies[first])
    return dataclasses.replace(costed, latencies=latencies, refused=refused)


def _steadier(
    job: Job,
    name: str,
    network: "nn.Module",
    latency: Latency,
    times: int,
    until: Callable[[Latency], bool] = lambda _: False,
) -> Latency:
    """The same where it is not noisy, or does; otherwise what measuring again gives: one that is not noisy, or else the
    smallest, since whatever else the host does can only add to a time."""
    for _ in range(times):
        if not latency.noisy or until(latency):
            break
        try:
            other = _latency(job, name, network)
        except DeviceError as error:
            log.warning("run %s, trial %d: its noisy latency on %s is kept: %s", job.run, job.number, name, error)
            break
        latency = min(latency, other, key=lambda each: (each.noisy is not None, each.median_ms))
    return latency


def _latency(job: Job, name: str, network: "nn.Module") -> Latency:
    device, options = devices.find(name)
    try:
        return device.latency(network, job.architecture.images, options)
    except DeviceError as error:
        if len(job.devices) == 1:
            raise
        raise DeviceError(f"no latency on {name}: {error}") from error
