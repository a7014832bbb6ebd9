"""What scaling is worth: `python -m bench.scaling`

A network for Fashion-MNIST of a few blocks is scaled on a part of the training images, and scored on those that are
held out, so that no test image is looked at. Fit: the factors on depth, width and resolution that do the most at twice
the multiply-adds, beside the published ones. Comparison: all three together against the best one alone, at about equal
multiply-adds. Budget: the largest member within a latency, measured once more when it is trained. Processes: the
network itself, trained by one process and by two.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from api.views.growth import Member, family
from api.views.scaling import fitted, of_comparison, of_fit
from bench._rows import row
from nas import datasets, home
from nas.datasets import ImageSet
from nas.evaluate import evaluate
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.fit import Fit
from nas.plans.growth import GrowthPlan
from nas.recipes import RECIPES, Recipe
from nas.records import Job, Trial
from nas.specs import GrowthSpec

IMAGES = Images(resolution=28, channels=1, classes=10)
STAGE = Stage(op="mbconv", kernel=3, stride=1, expand=3, channels=16, repeats=2)
B0 = Architecture(
    images=IMAGES,
    stem=16,
    stem_stride=2,
    stages=(STAGE, replace(STAGE, stride=2, channels=32), replace(STAGE, channels=48)),
    head=0,
)
WITHIN = 0.05  # of a limit on latency


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--train-images", type=int, default=4_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--step", type=float, default=0.1, help="of the grid of factors")
    parser.add_argument("--times", type=float, default=4, help="of the multiply-adds, that dimensions are compared at")
    parser.add_argument("--cost", choices=["formula", "mult_adds", "latency_ms"], default="mult_adds", help="of a fit")
    parser.add_argument("--least-gain", type=float, help="for which a candidate of a fit is trained")
    parser.add_argument("--limit", default="3x", help="of the latency of a member")
    parser.add_argument("--way", default="", help="the dimension that alone is scaled to that limit; else all are")
    parser.add_argument("--only", choices=["fit", "comparison", "budget", "processes"])
    options = parser.parse_args()
    images = datasets.load("fashion_mnist", IMAGES.resolution, home.folder("datasets"))
    recipe = replace(RECIPES["short"], epochs=options.epochs, train_images=options.train_images, folds=1)
    scale = Scaling(images, recipe, options.seeds)
    if options.only in (None, "fit"):
        fit(scale, Fit(cost=options.cost, step=options.step, least_gain=options.least_gain))
    if options.only in (None, "comparison"):
        comparison(scale, f"mult_adds~{options.times:g}x")
    if options.only in (None, "budget"):
        shortest = replace(recipe, epochs=1, train_images=1_000)  # what is measured knows nothing of weights
        budget(Scaling(images, shortest, 1), f"{options.way and f'{options.way}:'}latency_ms<={options.limit}")
    if options.only in (None, "processes"):
        processes(recipe, options.seeds)


class Scaling:
    """Growths of the one network, in this process."""

    def __init__(self, images: ImageSet, recipe: Recipe, seeds: int) -> None:
        self._images, self._recipe, self._seeds = images, recipe, seeds
        self.seconds = 0.0
        """What the last one took."""

    def family(self, members: Sequence[str], wanted: Fit | None = None) -> dict[str, Member]:
        spec = GrowthSpec(
            dataset="fashion_mnist",
            space="mbconv",
            architecture=B0,
            members=tuple(members),
            recipe=self._recipe,
            seeds=self._seeds,
            scored_on="validation",
            fit=wanted,
        )
        plan, trials, begun = GrowthPlan("bench", spec), list[Trial](), time.perf_counter()
        while job := plan.ask(len(trials)):
            measured = evaluate(replace(job, save_weights=False), images=self._images)
            plan.tell(job, measured)
            trials.append(
                Trial(run="bench", number=job.number, state="done", job=job, measurement=measured, started_at=0.0)
            )
            score = "measured" if measured.accuracy is None else f"{measured.accuracy:.4f}"
            print(f"{job.member}, seed {job.seed}: {score}", file=sys.stderr)
        self.seconds = time.perf_counter() - begun
        return {each.member: each for each in family(spec, trials, state="finished")}


def fit(scale: Scaling, wanted: Fit) -> None:
    members = ["B0", "B1", *wanted.candidates(B0)]
    rows = scale.family(members, wanted)
    result = fitted(tuple(rows.values()))
    assert result is not None
    print(of_fit(tuple(rows.values()), result), file=sys.stderr)
    taken, own, published = rows[result.member], result.scaling, rows["1.2:1.1:1.15"]
    factors = f"α {own.alpha:g}, β {own.beta:g}, γ {own.gamma:g}"
    row(
        f"validation accuracy by the fitted {factors} at {taken.times:.2f} times the multiply-adds; the highest of "
        f"{result.candidates} networks, {result.skipped} of them skipped, is {result.best} "
        f"({scale.seconds:.0f} s in all)",
        taken.value or 0.0,
        "of 1",
        peer=f"1.2, 1.1, 1.15, at {published.times:.2f} times; B0 {rows['B0'].value:.4f}, B1 {rows['B1'].value:.4f}",
        peer_value=published.value,
    )


def comparison(scale: Scaling, size: str) -> None:
    rows = scale.family(["B0", size, *(f"{way}:{size}" for way in ("depth", "width", "resolution"))])
    print(of_comparison(tuple(rows.values())), file=sys.stderr)
    compound = rows.pop(size)
    single = max((each for each in rows.values() if each.member != "B0"), key=lambda each: each.value or 0.0)
    tied = single.member in compound.tied_with
    row(
        f"validation accuracy of depth, width and resolution together at {compound.times:.2f} times the multiply-adds",
        compound.value or 0.0,
        "of 1",
        peer=f"the best alone: {single.way} at {single.times:.2f} times{', tied' if tied else ''}",
        peer_value=single.value,
        target="at least the best alone, or tied with it",
        holds=tied or (compound.value or 0.0) >= (single.value or 0.0),
    )


def budget(scale: Scaling, name: str) -> None:
    rows = scale.family(["B0", name])
    base, member = (rows[each].latencies_ms["cpu"] for each in ("B0", name))
    limit = float(name.partition("<=")[2].removesuffix("x")) * (base if name.endswith("x") else 1)
    row(
        f"latency of member {name}, measured again when it is trained; {rows[name].times:.2f} times the multiply-adds",
        member,
        "ms",
        peer="its limit",
        peer_value=limit,
        ratio=member / limit,
        target=f"within {WITHIN:.0%} of the limit",
        holds=abs(member / limit - 1) <= WITHIN,
    )


def processes(recipe: Recipe, seeds: int) -> None:
    """Images a second are those of each training's fastest epoch."""
    speeds: dict[int, list[float]] = {1: [], 2: []}
    scores: dict[int, list[float]] = {1: [], 2: []}
    for seed in range(seeds):
        for number, its in enumerate(speeds):
            seen: list[float] = []
            job = Job(
                run="bench",
                number=number,
                space="mbconv",
                architecture=B0,
                dataset="fashion_mnist",
                devices=("cpu_eager",),
                recipe=recipe,
                seed=seed,
                processes=its,
            )
            measured = evaluate(job, lambda progress: seen.append(progress.images_per_second or 0.0))  # noqa: B023
            speeds[its].append(max(seen))
            scores[its].append(measured.accuracy or 0.0)
    one, two = (statistics.median(speeds[its]) for its in (1, 2))
    row(
        "images a second of one training by two processes",
        two,
        "images/s",
        peer="by one process",
        peer_value=one,
        ratio=two / one,
    )
    alone, together = (statistics.fmean(scores[its]) for its in (1, 2))
    row(
        f"validation accuracy by two processes, the mean of {seeds} seeds",
        together,
        "of 1",
        peer=f"by one process; its seeds: {', '.join(f'{score:.4f}' for score in scores[1])}",
        peer_value=alone,
    )


if __name__ == "__main__":
    main()
