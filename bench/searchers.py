"""How many trials each searcher needs: `python -m bench.searchers --tables FOLDER [--seeds N] [--trials 100]`.

The folder has NAS-Bench-Macro's, NAS-Bench-201's and NAS-Bench-Graph's tables, see bench/_tables.py: rows are then of
the trials until the best is near, and how many times fewer the default needs than each peer; with --second instead, how
many times fewer a second search needs that knows what one for a smaller target found. With --table FILE rows about one
of them are in more detail; with neither a synthetic one is made, with --vast one of 1.7·10^14 choices.

A trial returns the accuracy of one of the network's trainings, drawn at random, and its exact cost; what counts is the
mean over trainings of the best network tried. No network is tried twice. Peers come twice where there is a limit: as
they are, and "filtered", with proposals over it refused before they cost a trial; two of Optuna's come a third time,
told of it as their constraint.

A search cannot see which of them is best. Rows "handed over" are of the network that it gives: the best by the mean
of what was measured. Rows "believed best, not handed over" are of the one that the searcher's own model would give.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from bench._landscapes import Landscape
from bench._lifts import TABLE_GOALS, lifts
from bench._peers import CONSTRAINED
from bench._rows import row
from bench._searcher_runs import (
    BUDGETS,
    COST_RANK,
    GOALS,
    NO_BEST,
    Course,
    Trail,
    Yardstick,
    landscape,
    objective,
    trails,
)
from bench._second import seconds
from bench._tables import MACRO, TABLES, missing
from nas import plugins, settings
from nas.metering import host

DEFAULT = "surrogate"
SIZED = ("evolution", "optuna_nsga2")  # these depend on the budget, so that each budget is a run of its own
NOISE = {"front": 0.005}  # below it a difference between medians is none
POINTS_NOISE = 0.05
TARGETS = {  # on NAS-Bench-Macro, medians of the default: regret in points at most, ratios of the hypervolume at least
    "under-loose": {25: 0.09, 50: 0.05, 100: 0.02},
    "front": {25: 0.93, 50: 0.97, 100: 0.992, 200: 0.997},
}
LIFT_TRIALS = 100
SOON = 15  # trials to within 0.1 points of the best under the loose limit
FEWER = 3.0  # times fewer than filtered TPE and evolution
PARALLEL_LOSS = 1.3


def courses(options: argparse.Namespace) -> list[Course]:
    plan, ranked = [], landscape(options.landscape).networks is not None
    for goal in options.goals:
        for searcher in options.searchers:
            if searcher == COST_RANK and (not ranked or goal.startswith(("soft", "capped"))):
                continue
            if searcher in CONSTRAINED and not goal.startswith("under"):
                continue
            free = searcher not in (DEFAULT, COST_RANK, *CONSTRAINED) and goal.startswith("under")
            for filtered in (False, True) if free else (False,):
                for trials in options.trials if searcher in SIZED else options.trials[-1:]:
                    for seed in range(options.seeds):
                        plan.append(Course(
                            landscape=options.landscape, searcher=searcher, goal=goal, filtered=filtered, seed=seed,
                            trials=trials, workers=options.workers,
                            confirm=options.confirm if searcher == DEFAULT and goal not in NO_BEST else 0,
                        ))  # fmt: skip
    return plan


def report(options: argparse.Namespace, results: dict[Course, Trail]) -> None:
    land = landscape(options.landscape)
    for goal in options.goals:
        of_goal = {course: trail for course, trail in results.items() if course.goal == goal}
        yardstick = Yardstick(land, goal, list(of_goal.values()))
        for trials in options.trials:
            medians = dict(_medians(of_goal, yardstick, trials))
            _compare(f"{land.name}, {words(goal, land)}, {trials} trials", goal, trials, medians, _macro(options))
            if goal not in NO_BEST:
                _handed_over(f"{land.name}, {words(goal, land)}, {trials} trials", of_goal, yardstick, trials)
        if goal.startswith("under") and land.networks:
            _near(f"{land.name}, {words(goal, land)}", goal, of_goal, yardstick, options)


def _macro(options: argparse.Namespace) -> bool:
    """Whether it is the table that the targets are for."""
    return bool(options.table) and Path(options.table).name == MACRO


def words(goal: str, land: Landscape) -> str:
    millions = objective(goal, land.targets).target / 1e6
    if goal == "capped":
        return f"best accuracy under {millions:.3g} M multiply-adds, which are known once a trial was spent on them"
    if goal.startswith("under"):
        return f"best accuracy under {millions:.3g} M multiply-adds"
    if goal.startswith("soft"):
        return f"accuracy × (multiply-adds / {millions:.3g} M)^-0.07"
    return {"accuracy": "accuracy alone", "front": "front of accuracy and multiply-adds"}[goal]


def _entrants(results: dict[Course, Trail], trials: int) -> Iterator[tuple[str, list[Trail]]]:
    """Names, and their runs that tell about so many trials."""
    for name in dict.fromkeys(course.name for course in results):
        budgets = {course.trials for course in results if course.name == name and course.trials >= trials}
        if budgets:
            least = min(budgets)
            yield name, [trail for course, trail in results.items() if course.name == name and course.trials == least]


def _medians(results: dict[Course, Trail], yardstick: Yardstick, trials: int) -> Iterator[tuple[str, float]]:
    for name, runs in _entrants(results, trials):
        yield name, statistics.median(yardstick.after(trail, trials) for trail in runs)


def _handed_over(claim: str, results: dict[Course, Trail], yardstick: Yardstick, trials: int) -> None:
    """For each searcher the network that a search gives, and the one that its model would give if it has one."""
    for name, runs in _entrants(results, trials):
        for which, rewards in (
            ("handed over", [trail.handed.get(trials) for trail in runs]),
            ("believed best, not handed over", [trail.believed.get(trials) for trail in runs]),
        ):
            regrets = [yardstick.regret(reward) for reward in rewards if reward is not None]
            if len(regrets) == len(runs):
                row(f"{claim}, {which}: {name}", statistics.median(regrets), "points of regret")


def _compare(claim: str, goal: str, trials: int, medians: dict[str, float], table: bool) -> None:
    """One row for each searcher alone, or for the default and each peer."""
    unit, noise = ("of the hypervolume", NOISE["front"]) if goal == "front" else ("points of regret", POINTS_NOISE)
    peers = dict(medians)
    ours = peers.pop(DEFAULT, None)
    if ours is None:
        for name, value in peers.items():
            row(f"{claim}: {name}", value, unit)
        return
    limit = TARGETS.get(goal, {}).get(trials) if table else None
    if limit is None:
        row(f"{claim}: {DEFAULT}", ours, unit)
    elif goal == "front":
        row(f"{claim}: {DEFAULT}", ours, unit, target=f"at least {limit}", holds=ours >= limit)
    else:
        row(f"{claim}: {DEFAULT}", ours, unit, target=f"at most {limit}", holds=ours <= limit)
    for name, value in peers.items():
        behind = value - ours if goal == "front" else ours - value
        row(
            f"{claim}: {DEFAULT} and {name}", ours, unit, peer=name, peer_value=value,
            target=f"no more than {noise} behind", holds=behind <= noise,
        )  # fmt: skip


def _near(
    claim: str, goal: str, results: dict[Course, Trail], yardstick: Yardstick, options: argparse.Namespace
) -> None:
    most = options.trials[-1]
    counts = {
        name: statistics.median(yardstick.trials_to_near(trail) for trail in runs)
        for name, runs in _entrants(results, most)
    }
    ours = counts.pop(DEFAULT, None)
    unit = "trials to within 0.1 points"
    if ours is not None:
        goals = (
            {"target": f"at most {SOON}", "holds": ours <= SOON} if _macro(options) and goal == "under-loose" else {}
        )
        row(f"{claim}: {DEFAULT}", ours, unit, **goals)  # type: ignore[arg-type]
    for name, value in counts.items():
        number = min(value, float(most))  # a search that never came so near took all its trials, and more
        if ours is None:
            row(f"{claim}: {name}", number, unit)
            continue
        wanted = name in ("optuna_tpe, filtered", "evolution, filtered")
        row(
            f"{claim}: {DEFAULT} and {name}", ours, unit, peer=name, peer_value=number, ratio=number / ours,
            target=f"{FEWER:g} times fewer" if wanted else None, holds=number / ours >= FEWER if wanted else None,
        )  # fmt: skip


def parallel(options: argparse.Namespace) -> None:
    """What evaluating eight networks at a time costs in trials, for the searchers that are named."""
    land = landscape(options.landscape)
    for searcher in options.searchers:
        medians = []
        for workers in (1, 8):
            wanted = [
                Course(
                    landscape=options.landscape, searcher=searcher, goal="under-loose", filtered=False, seed=seed,
                    trials=options.trials[-1], workers=workers,
                )
                for seed in range(options.seeds)
            ]  # fmt: skip
            results = list(trails(wanted, options.jobs, options.keep).values())
            yardstick = Yardstick(land, "under-loose", results)
            medians.append(statistics.median(yardstick.trials_to_near(trail) for trail in results))
        alone, together = (min(median, float(options.trials[-1])) for median in medians)
        claim = f"{land.name}, {words('under-loose', land)}, 8 workers instead of 1: {searcher}"
        holds = together <= PARALLEL_LOSS * alone
        row(
            claim, together, "trials to within 0.1 points", peer="1 worker", peer_value=alone,
            ratio=alone / together, target=f"at most {PARALLEL_LOSS} times as many", holds=holds,
        )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.searchers", description=__doc__)
    parser.add_argument("--tables", type=Path, help="folder of the tables of bench/_tables.py")
    parser.add_argument("--table", help="one of them alone, its columns behind commas: nb201_mit.npz,cifar10,pixel3")
    parser.add_argument("--vast", action="store_true", help="a synthetic space of 1.7·10^14 choices")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--trials", help="budgets, rising")
    every = [*plugins.names("nas.searchers"), COST_RANK]
    parser.add_argument("--searchers", default=",".join([*every, *CONSTRAINED]))
    parser.add_argument("--goals")
    parser.add_argument("--workers", type=int, default=1, help="networks evaluated at a time")
    parser.add_argument("--confirm", type=int, default=0, help="trials of the default that train its leads once more")
    parser.add_argument("--parallel", action="store_true", help="rows about eight workers instead")
    parser.add_argument("--second", action="store_true", help="rows about a second search, for another target, instead")
    parser.add_argument("--jobs", type=int, default=host.processors(), help="processes")
    parser.add_argument("--keep", type=Path, help="file of finished runs, which are not made again")
    options = parser.parse_args()
    goals, budgets = (TABLE_GOALS, [str(LIFT_TRIALS)]) if options.tables else (GOALS, map(str, BUDGETS))
    options.trials = sorted(int(trials) for trials in (options.trials.split(",") if options.trials else budgets))
    options.searchers = options.searchers.split(",")
    options.goals = options.goals.split(",") if options.goals else goals
    if options.table and not Path(options.table.split(",")[0]).is_file():
        parser.error(f"{options.table} is no file: see bench/_tables.py for where to get the table")
    if options.tables and (absent := missing(options.tables)):
        parser.error(f"{options.tables} lacks {', '.join(absent)}: see bench/_tables.py for where to get them")
    for searcher in options.searchers:
        if searcher not in (COST_RANK, *CONSTRAINED):
            plugins.check("nas.searchers", searcher)
    for goal in options.goals:
        if goal not in GOALS:
            parser.error(f"unknown goal {goal!r}: there are {', '.join(GOALS)}")
    options.landscape = options.table or f"synthetic {7 if options.vast else 2} stages"
    settings.prepare(settings.THREADS)  # the processes are the parallelism
    if options.tables:
        for name in TABLES:
            options.landscape = str(options.tables / name)
            if options.second:
                seconds(options.landscape, DEFAULT, options.seeds, options.trials[-1], options.jobs, options.keep)
                continue
            results = trails(courses(options), options.jobs, options.keep)
            for goal in options.goals:
                lifts(landscape(options.landscape), goal, results, DEFAULT, options.trials[-1])
    elif options.parallel:
        parallel(options)
    else:
        report(options, trails(courses(options), options.jobs, options.keep))
    return 0


if __name__ == "__main__":
    sys.exit(main())
