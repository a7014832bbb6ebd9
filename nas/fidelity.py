"""What is a cheap training worth? Some candidates are trained by a cheap and by a dear recipe, and the report says how
well the cheap one, and scores that train nothing, put them in the dear one's order, and what each costs.

Evaluations run in processes of their own; what is finished is kept, so that an interrupted report goes on.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from nas import datasets, home
from nas.architecture import Choice, Choices, Images
from nas.codec import decode, encode
from nas.correlation import interval, kendall, spearman
from nas.plans.search import SearchPlan
from nas.recipes import RECIPES
from nas.records import Job, Limits, Measurement, Recipe, Refusal, SearchSpec
from nas.training import ALLOCATOR

BATCH = 32  # images that a score looks at
FEWEST = 4  # candidates of which an order says anything
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Candidates of a space for a dataset, drawn at random, and the two recipes to compare."""

    dataset: str
    space: str = "mbconv"
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    limits: Limits = Limits()
    candidates: int = 12
    cheap: Recipe = RECIPES["proxy"]
    dear: Recipe = RECIPES["short"]
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.candidates < FEWEST:
            raise Refusal(f"candidates {self.candidates} is less than {FEWEST}: an order of so few says nothing")
        if self.cheap == self.dear:
            raise Refusal("the cheap and the dear recipe are the same: name two")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One network and all that was found out about it; accuracies are on validation images."""

    choices: Choices
    params: int
    mult_adds: int
    cheap: float
    dear: float
    cheap_seconds: float
    dear_seconds: float
    scores: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """How well something orders the candidates as the dear recipe does, with 95 % bootstrap intervals, and its seconds
    a candidate. None: it gives all the same."""

    name: str
    kendall: float | None
    kendall_interval: tuple[float, float] | None
    spearman: float | None
    spearman_interval: tuple[float, float] | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """Rows for the cheap recipe and each score; `failed` candidates could not be trained and are left out."""

    wanted: Wanted
    rows: tuple[Row, ...]
    dear_seconds: float
    candidates: tuple[Candidate, ...]
    failed: tuple[str, ...]


def ignore(text: str) -> None:
    """For callers that do not care how far it is."""


def report(wanted: Wanted, *, parallel: int = 1, say: Say = ignore) -> Report:
    """Train and score the candidates, `parallel` at once. Raises ValueError for what does not fit together (an unknown
    name, too few networks within the limits, too few trained) and OSError."""
    cache = home.folder("datasets")
    info = datasets.describe(wanted.dataset, cache)
    images = Images(resolution=info.resolution, channels=info.channels, classes=len(info.classes))
    datasets.load(wanted.dataset, info.resolution, cache)  # once, before several processes want it
    jobs = _jobs(wanted, images)
    folder = home.folder("fidelity") / jobs[0].run
    folder.mkdir(exist_ok=True)
    dear = [replace(job, number=job.number + len(jobs), recipe=wanted.dear) for job in jobs]

    def measured(job: Job) -> Measurement | str:
        path, name = folder / f"{job.number}.json", "dear" if job.number >= len(jobs) else "cheap"
        try:
            found: Measurement | str = decode(Measurement, json.loads(path.read_text()))
        except (OSError, ValueError):  # not done yet, or damaged
            found = _evaluated(job)
            if isinstance(found, Measurement):
                home.write(path, json.dumps(encode(found)).encode())
        words = found if isinstance(found, str) else f"{found.accuracy:.4f} in {found.train_seconds:.0f} s"
        say(f"candidate {job.number % len(jobs) + 1} of {len(jobs)}, {name} recipe: {words}")
        return found

    with ThreadPoolExecutor(parallel) as pool:
        found = list(pool.map(measured, [*jobs, *dear]))
    scored, score_seconds = _scores(jobs, wanted, info.resolution)
    candidates, failed = [], []
    for job, cheap, costly, its in zip(jobs, found, found[len(jobs) :], scored):
        if isinstance(cheap, str) or isinstance(costly, str):
            failed.append(cheap if isinstance(cheap, str) else str(costly))
            continue
        candidates.append(
            Candidate(
                choices=job.choices,
                params=cheap.params,
                mult_adds=cheap.mult_adds,
                cheap=cheap.accuracy or 0.0,
                dear=costly.accuracy or 0.0,
                cheap_seconds=cheap.train_seconds,
                dear_seconds=costly.train_seconds,
                scores=its,
            )
        )
    if len(candidates) < FEWEST:
        raise ValueError(f"{len(failed)} of {len(jobs)} candidates failed, the last one with {failed[-1]}")
    return Report(
        wanted=wanted,
        rows=_rows(candidates, score_seconds),
        dear_seconds=sum(row.dear_seconds for row in candidates) / len(candidates),
        candidates=tuple(candidates),
        failed=tuple(failed),
    )


def _jobs(wanted: Wanted, images: Images) -> list[Job]:
    spec = SearchSpec(
        dataset=wanted.dataset,
        space=wanted.space,
        knobs=wanted.knobs,
        searcher="random",
        limits=wanted.limits,
        device=wanted.device,
        recipe=wanted.cheap,
        trials=wanted.candidates,
        seed=wanted.seed,
    )
    digest = hashlib.sha256(json.dumps(encode(wanted), sort_keys=True).encode()).hexdigest()[:12]
    plan = SearchPlan(f"proxy-{digest}", spec, spec.trials, images)
    jobs = [job for number in range(spec.trials) if (job := plan.ask(number))]
    if len(jobs) < wanted.candidates:
        raise ValueError(f"there are only {len(jobs)} networks in reach: widen the knobs or the limits")
    return jobs


def _evaluated(job: Job) -> Measurement | str:
    """What came of `job` in a process of its own, or why nothing did."""
    ran = subprocess.run(
        [sys.executable, "-m", "nas.evaluate"],
        input=json.dumps(encode(job)),
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **ALLOCATOR},
    )
    if ran.returncode:
        return ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else f"exit status {ran.returncode}"
    measurement = decode(Measurement, json.loads(ran.stdout))
    return measurement.refused or measurement


def _scores(jobs: Sequence[Job], wanted: Wanted, resolution: int) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Each candidate's scores, and the seconds that each score takes for one candidate."""
    import torch

    from nas import spaces
    from nas.training import zero_cost
    from nas.training.data import View, normalisation, split

    images = datasets.load(wanted.dataset, resolution, home.folder("datasets"))
    chosen = split(images.train_labels)[0][:BATCH]
    view = View(resolution, normalisation(images.train_images, chosen), torch.device("cpu"))
    batch = view(torch.from_numpy(images.train_images[chosen]))
    seconds = dict.fromkeys(zero_cost.SCORES, 0.0)
    found = []
    for job in jobs:
        torch.manual_seed(wanted.seed)
        network = spaces.load(job.space).build(job.architecture)
        own = {}
        for name in zero_cost.SCORES:
            begun = time.perf_counter()
            own[name] = zero_cost.score(name, network, batch, wanted.seed)
            seconds[name] += (time.perf_counter() - begun) / len(jobs)
        found.append(own)
    return found, seconds


def _rows(candidates: Sequence[Candidate], score_seconds: dict[str, float]) -> tuple[Row, ...]:
    truth = [row.dear for row in candidates]
    cheap_seconds = sum(row.cheap_seconds for row in candidates) / len(candidates)
    columns: dict[str, tuple[list[float], float]] = {
        "cheap recipe": ([row.cheap for row in candidates], cheap_seconds),
        "multiply-adds": ([float(row.mult_adds) for row in candidates], 0.0),
        "parameters": ([float(row.params) for row in candidates], 0.0),
        **{name: ([row.scores[name] for row in candidates], seconds) for name, seconds in score_seconds.items()},
    }
    return tuple(
        Row(
            name=name,
            kendall=kendall(values, truth),
            kendall_interval=interval(kendall, values, truth),
            spearman=spearman(values, truth),
            spearman_interval=interval(spearman, values, truth),
            seconds=seconds,
        )
        for name, (values, seconds) in columns.items()
    )


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, metavar="NAME", help="a name, or folder:/path/to/images")
    parser.add_argument("--space", default="mbconv", metavar="NAME", help="of `nas spaces`")
    parser.add_argument("--candidates", type=int, default=12, metavar="N", help="networks drawn at random")
    parser.add_argument("--cheap", default="proxy", metavar="RECIPE", help="of `nas recipes`, or JSON")
    parser.add_argument("--dear", default="short", metavar="RECIPE", help="of `nas recipes`, or JSON")
    parser.add_argument("--limit-params", type=float, metavar="N", help="no candidate of more parameters")
    parser.add_argument("--limit-mult-adds", type=float, metavar="N", help="no candidate of more multiply-adds")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="of `nas devices`")
    parser.add_argument("--parallel", type=int, default=os.cpu_count() or 1, metavar="N", help="trainings at once")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random")


def wanted(chosen: argparse.Namespace) -> Wanted:
    """What these `arguments` ask for. Raises ValueError."""
    if chosen.parallel < 1:
        raise Refusal(f"parallel {chosen.parallel} is less than 1")
    return Wanted(
        dataset=chosen.dataset,
        space=chosen.space,
        limits=Limits(
            params=chosen.limit_params and int(chosen.limit_params),
            mult_adds=chosen.limit_mult_adds and int(chosen.limit_mult_adds),
        ),
        candidates=chosen.candidates,
        cheap=_recipe(chosen.cheap),
        dear=_recipe(chosen.dear),
        device=chosen.device,
        seed=chosen.seed,
    )


def _recipe(text: str) -> Recipe:
    if text.lstrip().startswith("{"):
        return decode(Recipe, json.loads(text))
    if text not in RECIPES:
        raise Refusal(f"recipe {text!r} is neither JSON nor one of {', '.join(RECIPES)}")
    return RECIPES[text]
