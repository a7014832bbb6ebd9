"""Devices: where and how latency is measured. One file each, found by name.

A device that cannot measure raises; no latency is ever made up. A device is named with its options, if it is to have
any: "cpu", "cpu:threads=2,batch=8", "cuda:dtype=bfloat16"; one of many of a kind with its own name first:
"remote:pi4", "remote:pi4:threads=2".
"""

import dataclasses
from typing import TYPE_CHECKING, Protocol, cast

from nas import plugins
from nas.metering import PLAIN, Options
from nas.tracebacks import blamed

if TYPE_CHECKING:
    from torch import nn

    from nas.measurements import Latency
    from nas.networks.architecture import Images


NEEDS = ("TAKES", "DTYPES", "available", "latency")


class Device(Protocol):
    """A module in `nas/devices/`, or what its function `at(place)` gives where there are many of the kind. `TAKES`
    names the options that it has, and `DTYPES` the precisions, the first of which is float32."""

    TAKES: tuple[str, ...]
    DTYPES: tuple[str, ...]

    def available(self) -> str | None:
        """None when the device can measure here; otherwise why not, and what would help."""
        ...

    def latency(self, network: "nn.Module", images: "Images", options: Options = PLAIN) -> "Latency":
        """Milliseconds that `network` in evaluation mode takes for one batch. Raises DeviceError."""
        ...


def find(named: str) -> tuple[Device, Options]:
    """The device that `named` names, and its options. Raises ValueError for an unknown or broken device, an unknown
    option, or a value that it does not take; whether it is available is another question."""
    name, colon, rest = named.partition(":")
    device = cast(Device, plugins.load("nas.devices", name, *NEEDS))
    if colon and hasattr(device, "at"):
        place, colon, rest = rest.partition(":")
        device, name = device.at(place), f"{name}:{place}"
    options: dict[str, int | str] = {}
    for part in rest.split(",") if colon else ():
        option, _, text = part.partition("=")
        if option not in device.TAKES:
            raise ValueError(
                f"device {named!r} has option {option!r}, and {name!r} takes {', '.join(device.TAKES)}: "
                f"name it as {name}:{device.TAKES[0]}=2"
            )
        if option in options:
            raise ValueError(f"device {named!r} has option {option!r} twice: give it once")
        options[option] = _dtype(device, named, text) if option == "dtype" else _number(named, option, text)
    return device, dataclasses.replace(PLAIN, **options)  # type: ignore[arg-type]


def absence(named: str) -> str | None:
    """Why that device cannot measure here, be it that its file is broken; None where it can. Raises ValueError where
    there is none, or not with these options."""
    try:
        device, _ = find(named)
    except plugins.BrokenPlugin as error:
        return str(error)
    try:
        reason = device.available()
    except plugins.FAULTS as error:
        where = plugins.file("nas.devices", named.partition(":")[0])
        return f"device {named!r} cannot say whether it is available: {blamed(error, where)}"
    return None if reason is None else str(reason)


def canonical(named: str) -> str:
    """`named` as its latencies name it: options in their order, and none that is at its default. Raises ValueError."""
    _, options = find(named)
    return options.said(":".join(part for part in named.split(":") if "=" not in part))


def _number(named: str, option: str, text: str) -> int:
    most = Options.MOST[option]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise ValueError(f"device {named!r}: {option} {text!r} is not a whole number between 1 and {most:,}")
    return int(text)


def _dtype(device: Device, named: str, text: str) -> str:
    if text not in device.DTYPES:
        raise ValueError(f"device {named!r}: dtype {text!r} is none of {', '.join(device.DTYPES)}")
    return text
