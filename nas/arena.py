"""The arena that TFLite Micro takes for a network, measured: `nas.networks.arena` is the arithmetic of it.

The runtime is asked in a process of its own, which it ends where something is wrong: `python -m nas.arena FILE`.
"""

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas import extras
from nas.exporters import tflite

if TYPE_CHECKING:
    from torch import nn

    from nas.networks.architecture import Images

OFFERED_BYTES = 256 << 20  # of which it says how many it takes
SAID = re.compile(r"Arena allocation (head|tail) (\d+) bytes")


class ArenaError(ValueError):
    """TFLite Micro cannot run the network; the message has its words."""


@dataclass(frozen=True, kw_only=True)
class Arena:
    """Bytes of a network in single precision. In int8 its values take a quarter: the operations are the same."""

    values: int
    """Where the values of one image lie."""
    records: int
    """What the runtime keeps of tensors and operations, with pointers of 64 bits; a microcontroller's are half."""


def missing() -> str | None:
    """What is not installed here, and how to get it; None where all is."""
    return extras.missing("the arena of TFLite Micro", "tflite-micro", *tflite.PACKAGES, "tflite_micro")


def measured(network: "nn.Module", images: "Images") -> Arena:
    """Of `network`, in evaluation mode on the processor. Raises NotInstalled, or ArenaError."""
    if reason := missing():
        raise extras.NotInstalled(reason)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / tflite.FILE
        tflite.convert(network, images, path)
        asked = subprocess.run([sys.executable, "-m", "nas.arena", str(path)], capture_output=True, text=True)
    found = {name: int(number) for name, number in SAID.findall(asked.stdout + asked.stderr)}
    if asked.returncode or len(found) < 2:
        raise ArenaError(f"TFLite Micro cannot run the network: {asked.stderr.strip()[-300:]}")
    return Arena(values=found["head"], records=found["tail"])


def main() -> None:
    from tflite_micro.python.tflite_micro import runtime

    runtime.Interpreter.from_file(sys.argv[1], arena_size=OFFERED_BYTES).print_allocations()


if __name__ == "__main__":
    main()
