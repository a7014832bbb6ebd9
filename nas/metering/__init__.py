"""How latency is measured, alike on every device: how the network is run, when it is timed and what counts."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

MOST_THREADS, MOST_BATCH = 256, 4096


class DeviceError(RuntimeError):
    """The device is not there or cannot run the network; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a device runs a network: on so many threads, so many images at once, in this precision."""

    threads: int = 1
    batch: int = 1
    dtype: str = "float32"

    MOST: ClassVar[dict[str, int]] = {"threads": MOST_THREADS, "batch": MOST_BATCH}

    def said(self, device: str) -> str:
        """The name of `device` with these options; those that are left at their defaults are not mentioned."""
        options = [
            f"{field.name}={getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        return f"{device}:{','.join(options)}" if options else device


PLAIN = Options()
