"""What other devices tell of a new one: `python -m bench.borrowing --table nb201_mit.npz [--draws N]`.

Latencies of NAS-Bench-201's cells on eight devices (see bench/_tables.py for the file). Of each in turn ten networks
are known, and 300 of each of the others; the latencies of 400 others are foretold. Its peers are the same predictor
with twenty networks and no other device, which is the least that it takes alone, and with 300.
"""

import argparse
import random
import statistics
import sys
from pathlib import Path

import numpy as np

from bench._rows import row
from bench._tables import NASBENCH201_OPS
from nas import latency_predictor, spaces
from nas.correlation import spearman
from nas.networks.architecture import Images

DEVICES = ("gold_6240", "silver_4114", "raspi4", "pixel3", "eyeriss", "2080ti_1", "titanx_32", "titan_rtx_256")
KNOWN, UNSEEN = 300, 400
FEW, ALONE = 10, 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.borrowing", description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="the file nb201_mit.npz")
    parser.add_argument("--draws", type=int, default=10, help="of ten networks, for each device")
    options = parser.parse_args()
    table, space, images = np.load(options.table), spaces.load("nasbench201"), Images(resolution=32)
    drawn = np.random.default_rng(0).choice(len(table["codes"]), KNOWN + UNSEEN, replace=False)
    networks = [
        space.architecture(dict(zip(space.knobs(images), (NASBENCH201_OPS[op] for op in code))), images)
        for code in table["codes"][drawn].tolist()
    ]
    taken = {device: table[f"ms_{device}"][drawn].tolist() for device in DEVICES}
    pairs = {device: list(zip(networks, taken[device])) for device in DEVICES}
    known = {device: latency_predictor.predictor(pairs[device][:KNOWN]) for device in DEVICES}

    def rank(predicted: latency_predictor.Predictor, device: str) -> float:
        guesses = [predicted(network) for network in networks[KNOWN:]]
        return spearman(guesses, taken[device][KNOWN:]) or 0.0

    for device in DEVICES:
        others = [known[other] for other in DEVICES if other != device]
        borrowed, alone = list[float](), list[float]()
        for seed in range(options.draws):
            some = random.Random(seed).sample(pairs[device][:KNOWN], ALONE)
            borrowed.append(rank(latency_predictor.predictor(some[:FEW], others=others), device))
            alone.append(rank(latency_predictor.predictor(some), device))
        ours, best = statistics.median(borrowed), rank(known[device], device)
        claim = f"rank correlation of {UNSEEN} latencies foretold, {device}, {FEW} measured, others known"
        row(
            claim, ours, "Spearman", peer=f"{ALONE} measured, none known", peer_value=statistics.median(alone),
            ratio=ours / statistics.median(alone), target="no less", holds=ours >= statistics.median(alone),
        )  # fmt: skip
        row(claim, ours, "Spearman", peer=f"{KNOWN} measured", peer_value=best, ratio=ours / best)
    return 0


if __name__ == "__main__":
    sys.exit(main())
