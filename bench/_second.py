"""How many trials a second search needs that knows what a first one found, for another goal on the same table."""

import statistics
from pathlib import Path

from bench._lifts import WORDS, interval, reached
from bench._rows import row
from bench._searcher_runs import Course, Yardstick, landscape, trails

PAIRS = {"soft-loose": "soft-tight", "under-loose": "under-tight"}  # by the goal of the second that of the first
WANTED = 2.0  # times fewer trials than without


def seconds(name: str, searcher: str, seeds: int, trials: int, jobs: int, keep: Path | None) -> None:
    """A row for each pair of goals, on the table of that name; both searches have so many `trials`."""
    land = landscape(name)
    for goal, first in PAIRS.items():
        alone, taught = (
            [
                Course(
                    landscape=name, searcher=searcher, goal=goal, filtered=False, seed=seed, trials=trials, after=after
                )
                for seed in range(seeds)
            ]
            for after in ("", first)
        )
        results = trails([*alone, *taught], jobs, keep)
        yardstick = Yardstick(land, goal, [*results.values()])
        counts = [[yardstick.trials_to_near(results[course]) for course in courses] for courses in (alone, taught)]
        claim = f"{land.name}, {WORDS[goal]}, after a search for half the cost or less, {seeds} seeds: {searcher}"
        reached(claim, counts[1], trials, wanted=True)
        theirs, ours = ([min(count, float(trials)) for count in own] for own in counts)
        ratio = statistics.median(theirs) / statistics.median(ours)
        row(
            claim, statistics.median(ours), f"trials to within {100 * land.near:g} points", peer="without that one",
            peer_value=statistics.median(theirs), ratio=ratio, interval=interval(ours, theirs),
            target=f"{WANTED:g} times fewer", holds=ratio >= WANTED,
        )  # fmt: skip
