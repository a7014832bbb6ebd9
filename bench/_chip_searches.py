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
from typing import Any

import torch

from bench import training
from bench._rows import row
from bench.demo import TYPICAL
from nas import datasets, home
from nas.evaluate import evaluate
from nas.measurements import Measurement
from nas.models import checkpoint
from nas.networks.architecture import Activation, Architecture, Stage
from nas.objective import Objective
from nas.pareto import front
from nas.plans.search import SearchPlan
from nas.recipes import RECIPES, Recipe
from nas.records import Job
from nas.specs import Limits, SearchSpec
from nas.surroundings import around, whole
from nas.worth import settled

SINGLE, ROUNDED = "cpu", "cpu:dtype=int8"
ACTIVATIONS: tuple[Activation, ...] = ("relu", "swish")
GATES, WIDTHS = (0.0, 0.25), (0.5, 0.75, 1.0)
SEARCHES = 100  # among networks that are known by then, each of half of them
EXPONENT = -0.07

WEIGHTS_BYTES, ARENA_BYTES = 96_000, 64_000
WHOLE_SECONDS = 1200  # of one processor: 600 of two
RESOLUTION = 32
SEARCHED = 0.15  # of the seconds; the rest is for the training of what was found
SEARCH_EPOCHS, SEARCH_IMAGES = 2, 20_000  # of a candidate; of the whole seconds, and fewer of fewer
SPARE = 0.9  # of that rest: all of it is scored, too, and a busier machine is a slower one
MANY_EPOCHS, ROUNDED_EPOCHS = 10, 2  # of so many, one in 8 bits takes the place of two
MLPERF, BEYOND = 0.85, 0.87
KNOBS = {  # dense convolutions, which train fast on a processor, and others where these would be too large
    "stage1.op": ("conv",),
    "stage2.op": ("conv",),
    "stage3.op": ("conv", "mbconv"),
    **{f"stage{stage}.kernel": (3,) for stage in (1, 2, 3)},
    **{f"stage{stage}.se_ratio": (0.0,) for stage in (1, 2, 3)},
    **{f"stage{stage}.skip": ("identity",) for stage in (1, 2, 3)},
}
# Colour photographs that are seen dozens of times, mirrored and by up to two pixels of 32 aside.
LONG = replace(RECIPES["dense"], flip=True, shift=0.06, clean=0.1)


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
    """Every network of two small spaces is trained once; fronts and searches are then looked up. In one networks begin
    with nothing, in the other with the weights of a trained parent, which is larger."""
    training = Training(replace(RECIPES["short"], epochs=epochs, train_images=train_images))
    for words, known in (
        ("from nothing", [training.known(*each) for each in _space()]),
        ("around a trained parent", [training.known(*each) for each in _surroundings(training)]),
    ):
        _fronts(words, known)
        _winners(words, known)


def _space() -> Iterator[tuple[str, Architecture]]:
    for activation, gate, width in product(ACTIVATIONS, GATES, WIDTHS):
        yield f"{_words(activation, gate)}, width {width:g}", _network(activation, gate, width)


def _surroundings(training: "Training") -> Iterator[tuple[str, Architecture, str]]:
    """What its weights are used to is a parent's own: there is one for each nonlinearity, with gates and without."""
    for activation, gate in product(ACTIVATIONS, GATES):
        architecture = _network(activation, gate, WIDTHS[-1])
        parent, knobs = training.parent(architecture), around(architecture).knobs(architecture.images)
        for name in ("", "expand", "width"):
            choices = whole(knobs) | {knob: options[0] for knob, options in knobs.items() if name and name in knob}
            child = around(architecture).architecture(choices, architecture.images)
            assert isinstance(child, Architecture)
            yield f"{_words(activation, gate)}, {f'least {name}' if name else 'whole'}", child, parent


def _words(activation: Activation, gate: float) -> str:
    return f"{activation}{', gates' if gate else ''}"


def _network(activation: Activation, gate: float, width: float) -> Architecture:
    stages = tuple(
        Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=round(width * channels), repeats=1, se_ratio=gate)
        for channels in (32, 64)
    )
    return replace(TYPICAL, activation=activation, stages=stages)


class Training:
    """Networks that are trained on Fashion-MNIST by one recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe, self._number = recipe, 0

    def parent(self, architecture: Architecture) -> str:
        return f"file:{checkpoint.artifact(self._measured(architecture, save_weights=True).weights or '')}"

    def known(self, name: str, architecture: Architecture, parent: str | None = None) -> Known:
        measured = self._measured(architecture, parent=parent, devices=(ROUNDED, SINGLE), precision="int8")
        assert measured.rounding
        assert measured.answers
        halves = [sum(measured.answers.bits >> image & 1 for image in range(half, 10_000, 2)) / 5000 for half in (0, 1)]
        single, rounded = (measured.latencies[name].median_ms for name in (SINGLE, ROUNDED))
        print(
            f"{name}: {measured.rounding.float32:.4f} in {single:.3f} ms; in 8 bits {measured.rounding.int8:.4f} in "
            f"{rounded:.3f} ms",
            file=sys.stderr,
        )
        return Known(
            name=name,
            single=measured.rounding.float32,
            chosen_by=halves[0],
            judged=halves[1],
            single_ms=single,
            rounded_ms=rounded,
        )

    def _measured(self, architecture: Architecture, **fields: Any) -> Measurement:
        self._number += 1
        job = Job(
            run="chip",
            number=self._number,
            space="mbconv",
            architecture=architecture,
            dataset="fashion_mnist",
            recipe=self._recipe,
            final=True,
            **({"devices": (SINGLE,)} | fields),
        )
        return evaluate(job)


def _fronts(words: str, known: list[Known]) -> None:
    whole = {known[place].name for place in front([(each.single_ms, each.single) for each in known])}
    points = [(each.rounded_ms, (each.chosen_by + each.judged) / 2) for each in known]
    rounded = {known[place].name for place in front(points)}
    row(
        f"networks on the front in 8 bits, of {len(known)} {words} with swish and gates as knobs: "
        f"{'; '.join(sorted(rounded))}",
        len(rounded),
        "networks",
        peer=f"on the front in single precision as well; that has {'; '.join(sorted(whole))}",
        peer_value=len(rounded & whole),
    )


def _winners(words: str, known: list[Known]) -> None:
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
        f"mean reward in 8 bits that a search gains by knowing it, of {SEARCHES} of {len(known) // 2} networks {words} "
        "each: "
        f"better {better} times, worse {worse}, by {max(0.0, -min(gains)):.1g} at most",
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

    few = max(2000, round(SEARCH_IMAGES * wanted / WHOLE_SECONDS))
    spec = SearchSpec(
        dataset=images.info.name,
        knobs=KNOBS,
        objective=Objective(cost="model_bytes", target=WEIGHTS_BYTES, w_under=0.0, w_over=-1.0, precision="int8"),
        limits=Limits(model_bytes=WEIGHTS_BYTES, peak_memory=ARENA_BYTES),
        devices=(ROUNDED,),
        recipe=settled(replace(LONG, epochs=SEARCH_EPOCHS, folds=1, train_images=few), images.info),
        trials=100,
        parallel=1,
    )
    plan = SearchPlan("tiny", spec, spec.trials, images.info.as_seen(RESOLUTION))
    trials = list[tuple[Job, Measurement, float]]()  # with how many images a second of the processor it learnt from
    ends: list[float] = []  # of epochs, in seconds of the processor: by the clock, others have their part of them
    while spent() < SEARCHED * seconds and (job := plan.ask(len(trials))):
        ends.clear()
        measured = evaluate(job, lambda progress: ends.append(spent()) if progress.loss else None, images=images)
        plan.tell(job, measured)
        trials.append((job, measured, few / (ends[-1] - ends[-2])))
        print(
            f"{measured.model_bytes:,} bytes: {measured.accuracy:.4f}, {trials[-1][-1]:.0f} images/s, in "
            f"{spent():.0f} s",
            file=sys.stderr,
        )
    searched = spent()
    job, _, second_images = max(trials, key=lambda trial: trial[1].accuracy or 0.0)
    epochs = SPARE * (seconds - searched) * second_images / images.info.train_images
    ends_rounded = epochs >= MANY_EPOCHS
    recipe = replace(
        LONG,
        epochs=max(1, int(epochs) - ROUNDED_EPOCHS * ends_rounded),
        int8_epochs=int(ends_rounded),
        train_images=None if epochs >= 1 else int(epochs * images.info.train_images),
    )
    final = evaluate(
        replace(job, number=len(trials), recipe=settled(recipe, images.info, final=True), final=True), images=images
    )
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
