"""The arena of TFLite Micro by arithmetic against the one that it takes: `python -m bench.memory [NETWORKS]`.

Needs the extra `tflite-micro` beside this package's torch, and half a minute a network. Networks are random points of
the space `mbconv`, whatever its knobs, for images of 28 and 32 pixels. They are converted in single precision; what is
compared is the part of the arena in which values lie.
"""

import argparse
import random
import statistics
import sys

from bench._rows import row
from nas import arena, spaces
from nas.networks.architecture import Images, random_choices
from nas.networks.counts import counts

NETWORKS = 30
RESOLUTIONS = (28, 32)
TARGET = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("networks", type=int, nargs="?", default=NETWORKS)
    wanted = parser.parse_args().networks
    space, ratios, held = spaces.load("mbconv"), [], []
    for seed in range(wanted):
        images = Images(resolution=RESOLUTIONS[seed % len(RESOLUTIONS)], channels=3, classes=10)
        architecture = space.architecture(random_choices(space.knobs(images), random.Random(seed)), images)
        counted = counts(architecture)
        measured = arena.measured(space.build(architecture).eval(), images)
        ratios.append(measured.values / counted.arena())
        held.append(measured.values / counted.peak_memory())
        print(
            f"network {seed}: {counted.arena():,} bytes by arithmetic, {measured.values:,} by TFLite Micro, "
            f"which keeps {measured.records:,} of its own; {counted.peak_memory():,} are held at worst",
            file=sys.stderr,
        )
    off = max(abs(ratio - 1) for ratio in ratios)
    row(
        f"the arena's values by arithmetic, of {wanted} networks: the furthest off",
        off,
        "of the measured",
        peer="networks within 5 %",
        peer_value=sum(abs(ratio - 1) <= TARGET for ratio in ratios),
        target=f"within {TARGET:.0%} of each",
        holds=off <= TARGET,
    )
    row(
        f"the arena's values over those that are held at worst, median; at most {max(held):.2f}",
        statistics.median(held),
        "times",
    )


if __name__ == "__main__":
    main()
