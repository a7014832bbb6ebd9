"""Devices: where latency is measured. One file each, found by name.

A device that cannot measure raises; no latency is ever made up.
"""

from typing import TYPE_CHECKING, Protocol

from nas.architecture import Images
from nas.records import Latency

if TYPE_CHECKING:
    from torch import nn


class DeviceError(RuntimeError):
    """The device is not there or cannot run the network; the message says why and what to do."""


class Device(Protocol):
    """A module in `nas/devices/`."""

    def available(self) -> str | None:
        """None when the device can measure here; otherwise why not, and what would help."""
        ...

    def latency(self, network: "nn.Module", images: Images) -> Latency:
        """Milliseconds that `network` in evaluation mode takes for one image. Raises DeviceError."""
        ...
