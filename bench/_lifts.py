"""How many times fewer trials the default needs than its peers on published tables, with what chance leaves open."""

import math
import random
import statistics
from collections.abc import Sequence

from bench._landscapes import Landscape
from bench._rows import row
from bench._searcher_runs import NEAR_FRONT, Course, Trail, Yardstick

TABLE_GOALS = ("accuracy", "soft-loose", "under-loose", "front")
WORDS = {
    "accuracy": "accuracy alone",
    "soft-loose": "accuracy × (cost / target)^-0.07",
    "under-loose": "accuracy under a limit that is known for free",
    "front": "front of accuracy and cost",
}
WANTED = 1.5  # times fewer trials than any peer
REACHED = 0.95  # of the runs
RESAMPLES = 2000


def lifts(land: Landscape, goal: str, results: dict[Course, Trail], default: str, trials: int) -> None:
    """A row for each searcher, and one for the default and each peer. A run that never came near counts as one that
    took all its `trials`, so that a peer's lift is then a least one."""
    yardstick = Yardstick(land, goal, list(results.values()))
    counts: dict[str, list[float]] = {}
    for course, trail in results.items():
        if course.goal == goal and course.trials == trials:
            counts.setdefault(course.name, []).append(yardstick.trials_to_near(trail))
    near = f"{NEAR_FRONT} of the hypervolume" if goal == "front" else f"within {100 * land.near:g} points"
    claim = f"{land.name}, {WORDS[goal]}"
    for name, own in counts.items():
        reached(f"{claim}: {name}, {len(own)} seeds", own, trials, wanted=name == default)
    censored = {name: [min(count, float(trials)) for count in own] for name, own in counts.items()}
    ours = censored.pop(default, None)
    for name, own in censored.items():
        median = statistics.median(own)
        if ours is None:
            row(f"{claim}: {name}", median, f"trials to {near}")
            continue
        ratio = median / statistics.median(ours)
        row(
            f"{claim}: {default} and {name}", statistics.median(ours), f"trials to {near}", peer=name,
            peer_value=median, ratio=ratio, interval=interval(ours, own), target=f"{WANTED} times fewer",
            holds=ratio >= WANTED,
        )  # fmt: skip


def reached(claim: str, counts: Sequence[float], trials: int, *, wanted: bool) -> None:
    """A row for the runs that came near within `trials`, of which most are to where they are `wanted` to."""
    share = sum(count <= trials for count in counts) / len(counts)
    row(
        f"{claim}, runs that come near in {trials} trials", share, "share",
        target=f"at least {REACHED}" if wanted else None, holds=share >= REACHED if wanted else None,
    )  # fmt: skip


def interval(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Where 95 of 100 ratios of medians are, of seeds that are drawn anew."""
    draw = random.Random(0)
    ratios = sorted(
        statistics.median(draw.choices(theirs, k=len(theirs))) / statistics.median(draw.choices(ours, k=len(ours)))
        for _ in range(RESAMPLES)
    )
    return ratios[math.floor(0.025 * RESAMPLES)], ratios[math.ceil(0.975 * RESAMPLES) - 1]
