"""Networks in 8 bits that are searched for: fronts beside those in single precision, what is found by knowing 8 bits,
and a network for a microcontroller."""

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from random import Random

import torch

from bench import training
from bench._rows import row
from bench.demo import TYPICAL
from nas import datasets, home
from nas.evaluate import evaluate
from nas.measurements import Measurement
from nas.networks.architecture import Activation, Architecture, Stage
from nas.objective import Objective
from nas.pareto import front
from nas.plans.search import SearchPlan
from nas.recipes import RECIPES
from nas.records import Job
from nas.specs import Limits, SearchSpec
from nas.worth import settled

SINGLE, ROUNDED = "cpu", "cpu:dtype=int8"
ACTIVATIONS: tuple[Activation, ...] = ("relu", "swish")
GATES, WIDTHS = (0.0, 0.25), (0.5, 0.75, 1.0)
SEARCHES = 100  # among networks that are known by then, each of half of them
EXPONENT = -0.07

WEIGHTS_BYTES, ARENA_BYTES = 96_000, 64_000
WHOLE_SECONDS = 1200  # of one processor: 600 of two
RESOLUTION = 32
SEARCHED = 0.3  # of the seconds; the rest is for the training of what was found
SPARE = 0.85  # of that rest: all of it is scored, too
MLPERF, BEYOND = 0.85, 0.87
KNOBS = {  # dense convolutions, which train fast on a processor, and others where these would be too large
    "stage1.op": ("conv",),
    "stage2.op": ("conv", "fused"),
    "stage3.op": ("conv", "mbconv"),
    **{f"stage{stage}.kernel": (3,) for stage in (1, 2, 3)},
    **{f"stage{stage}.se_ratio": (0.0,) for stage in (1, 2, 3)},
}


@dataclass(frozen=True, kw_only=True)
class Known:
    """A network in both precisions. In 8 bits it is chosen by half of the test images and judged by the others."""

    name: str
    single: float
    chosen_by: float
    judged: float
    single_ms: float
    rounded_ms: float


def searches(epochs: int, train_images: int | None) -> None:
    """Every network of a small space is trained once; fronts and searches are then looked up."""
    known = [_known(number, *each, epochs, train_images) for number, each in enumerate(_space())]
    _fronts(known)
    _winners(known)


def _space() -> Iterator[tuple[str, Architecture]]:
    for activation, gate, width in product(ACTIVATIONS, GATES, WIDTHS):
        stages = tuple(
            Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=round(width * channels), repeats=1, se_ratio=gate)
            for channels in (32, 64)
        )
        name = f"{activation}{', gates' if gate else ''}, width {width:g}"
        yield name, replace(TYPICAL, activation=activation, stages=stages)


def _known(number: int, name: str, architecture: Architecture, epochs: int, train_images: int | None) -> Known:
    job = Job(
        run="chip",
        number=number,
        space="mbconv",
        architecture=architecture,
        dataset="fashion_mnist",
        devices=(ROUNDED, SINGLE),
        recipe=replace(RECIPES["short"], epochs=epochs, train_images=train_images),
        precision="int8",
        final=True,
    )
    measured = evaluate(job)
    assert measured.rounding
    assert measured.answers
    halves = [sum(measured.answers.bits >> image & 1 for image in range(half, 10_000, 2)) / 5000 for half in (0, 1)]
    single, rounded = (measured.latencies[name].median_ms for name in (SINGLE, ROUNDED))
    known = Known(
        name=name,
        single=measured.rounding.float32,
        chosen_by=halves[0],
        judged=halves[1],
        single_ms=single,
        rounded_ms=rounded,
    )
    print(
        f"{name}: {known.single:.4f} in {single:.3f} ms; in 8 bits {measured.rounding.int8:.4f} in {rounded:.3f} ms",
        file=sys.stderr,
    )
    return known


def _fronts(known: list[Known]) -> None:
    whole = {known[place].name for place in front([(each.single_ms, each.single) for each in known])}
    points = [(each.rounded_ms, (each.chosen_by + each.judged) / 2) for each in known]
    rounded = {known[place].name for place in front(points)}
    row(
        f"networks on the front in 8 bits, of {len(known)} with swish and gates as knobs: {'; '.join(sorted(rounded))}",
        len(rounded),
        "networks",
        peer=f"on the front in single precision as well; that has {'; '.join(sorted(whole))}",
        peer_value=len(rounded & whole),
    )


def _winners(known: list[Known]) -> None:
    """Targets are the median latencies; both searches see the same networks."""
    single, rounded = (_aim([getattr(each, name) for each in known]) for name in ("single_ms", "rounded_ms"))
    gains = []
    for seed in range(SEARCHES):
        seen = Random(seed).sample(known, len(known) // 2)
        plain = max(seen, key=lambda one: single.reward(one.single, one.single_ms))
        aware = max(seen, key=lambda one: rounded.reward(one.chosen_by, one.rounded_ms))
        judged = [rounded.reward(one.judged, one.rounded_ms) for one in (aware, plain)]
        gains.append(judged[0] - judged[1])
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    row(
        f"mean reward in 8 bits that a search gains by knowing it, of {SEARCHES} of {len(known) // 2} networks each: "
        f"better {better} times, worse {worse}, by {-min(gains):.4f} at most",
        sum(gains) / len(gains),
        "of 1",
        peer="quantising the winner of a plain search of the same networks",
        peer_value=0.0,
        target="never worse",
        holds=not worse,
    )


def _aim(latencies_ms: list[float]) -> Objective:
    return Objective(target=statistics.median_high(latencies_ms), w_under=EXPONENT, w_over=EXPONENT)


def tiny(folder: Path, wanted: float) -> None:
    """CIFAR-10 for a microcontroller, from nothing. Seconds of one processor are counted, whatever else goes on, and as
    many of them as this machine is slower than the one that the target means."""
    factor = training.times_as_slow("process_time")
    seconds = factor * wanted
    torch.set_num_threads(1)
    images = datasets.load(f"folder:{folder.resolve()}", RESOLUTION, home.folder("datasets"))
    begun = time.process_time()

    def spent() -> float:
        return time.process_time() - begun

    few = max(2000, round(20_000 * wanted / WHOLE_SECONDS))
    spec = SearchSpec(
        dataset=images.info.name,
        knobs=KNOBS,
        objective=Objective(cost="model_bytes", target=WEIGHTS_BYTES, w_under=0.0, w_over=-1.0, precision="int8"),
        limits=Limits(model_bytes=WEIGHTS_BYTES, peak_memory=ARENA_BYTES),
        devices=(ROUNDED,),
        recipe=settled(replace(RECIPES["dense"], epochs=1, folds=1, train_images=few), images.info),
        trials=100,
        parallel=1,
    )
    plan, trials = (
        SearchPlan("tiny", spec, spec.trials, images.info.as_seen(RESOLUTION)),
        list[tuple[Job, Measurement]](),
    )
    took: list[float] = []  # seconds of each; on a busy machine those that its training took by the clock are more
    while spent() < SEARCHED * seconds and (job := plan.ask(len(trials))):
        before = spent()
        measured = evaluate(job, images=images)
        plan.tell(job, measured)
        trials.append((job, measured))
        took.append(spent() - before)
        print(f"{measured.model_bytes:,} bytes: {measured.accuracy:.4f} in {spent():.0f} s", file=sys.stderr)
    searched = spent()
    best = max(range(len(trials)), key=lambda place: trials[place][1].accuracy or 0.0)
    job, _ = trials[best]
    assert job.recipe
    second_images = job.recipe.epochs * few / took[best]
    epochs = SPARE * (seconds - searched) * second_images / images.info.train_images
    recipe = replace(
        job.recipe,
        epochs=max(1, round(epochs)),
        train_images=None if epochs >= 1 else round(epochs * images.info.train_images),
        flip=True,
        int8_epochs=1 if epochs >= 10 else 0,
    )
    final = evaluate(replace(job, number=len(trials), recipe=recipe, final=True), images=images)
    accuracy, whole = final.test_accuracy or 0.0, spent()
    row(
        f"test accuracy of CIFAR-10 in 8 bits, {final.model_bytes or 0:,} bytes of weights, {final.peak_memory or 0:,} "
        f"of values by arithmetic, nothing pretrained: {len(trials)} networks tried in {searched:.0f} s of processors, "
        f"{recipe.epochs} epochs of the best; {whole:.0f} s together, {whole / factor / WHOLE_SECONDS:.2f} of 600 s of "
        f"2 cores of a machine that is {factor:.2g} times as fast",
        accuracy,
        "of 1",
        peer="single precision",
        peer_value=final.rounding.float32 if final.rounding else None,
        target=f"at least {MLPERF} in 600 s of 2 cores, then {BEYOND}",
        holds=accuracy >= MLPERF and whole <= factor * WHOLE_SECONDS,
    )
