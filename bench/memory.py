"""Peak memory by arithmetic against the arena of TFLite Micro: `python -m bench.memory [NETWORKS]`, a minute a network.

Needs `pip install litert-torch tflite-micro` beside this package's torch. Networks are random points of two spaces for
images of 32 and 64 pixels, with ReLU and without squeeze-and-excitation, whose gates TFLite computes in more
operations. They are converted in single precision; what is compared is the part of the arena in which values lie.
"""

import random
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from bench._rows import row
from nas import spaces
from nas.networks.architecture import Architecture, Images, random_choices
from nas.networks.blocks import network
from nas.networks.counts import counts

NETWORKS = 30
SPACES = ("mbconv", "mnasnet")
RESOLUTIONS = (32, 64)
TARGET = 0.05
ARENA_BYTES = 64 << 20
ASK = """
import sys
from tflite_micro.python.tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2])).print_allocations()
"""
HEAD = re.compile(r"Arena allocation head (\d+) bytes")


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS
    ratios = []
    for seed in range(wanted):
        architecture = drawn(seed)
        by_arithmetic, measured = counts(architecture).peak_memory(), arena(architecture)
        ratios.append(measured / by_arithmetic)
        print(
            f"network {seed}: {by_arithmetic:,} bytes by arithmetic, an arena of {measured:,}, {ratios[-1]:.3f}",
            flush=True,
        )
    off = sorted(abs(ratio - 1) for ratio in ratios)
    row(
        f"the arena's values of {wanted} networks over those by arithmetic, median",
        statistics.median(ratios),
        "times",
        peer="networks within 5 %",
        peer_value=sum(each <= TARGET for each in off),
        target=f"within {TARGET:.0%} of each",
        holds=off[-1] <= TARGET,
    )


def drawn(seed: int) -> Architecture:
    draw = random.Random(seed)
    space = spaces.load(SPACES[seed % len(SPACES)])
    images = Images(resolution=RESOLUTIONS[seed // 2 % len(RESOLUTIONS)], channels=3, classes=10)
    knobs = {name: (0.0,) if name.endswith("se_ratio") else options for name, options in space.knobs(images).items()}
    architecture = space.architecture(random_choices(knobs, draw), images)
    assert isinstance(architecture, Architecture)
    return architecture


def arena(architecture: Architecture) -> int:
    """The bytes that TFLite Micro plans for the values of the network."""
    import litert_torch

    images = architecture.images
    image = torch.zeros(1, images.resolution, images.resolution, images.channels)
    module = litert_torch.to_channel_last_io(network(architecture).eval(), args=[0])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        litert_torch.convert(module.eval(), (image,)).export(str(path))
        asked = subprocess.run(
            [sys.executable, "-c", ASK, str(path), str(ARENA_BYTES)], capture_output=True, text=True, check=True
        )
    said = HEAD.search(asked.stdout + asked.stderr)
    assert said, asked.stderr
    return int(said[1])


if __name__ == "__main__":
    main()
