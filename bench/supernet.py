"""What weights are worth that many networks share: `python -m bench.supernet`

Correlation (`--only correlation`): networks of a space, drawn at random, in the order of their accuracies by the
weights of a supernet, with two epochs more from these, and by trainings of each alone, the mean of several seeds. All
are scored on held-out training images of Fashion-MNIST, so that no test image is looked at.

Cost (`--only cost`): networks that a search judges in ten minutes on all processors, its supernet's training included.

Front (`--only front --images FOLDER`): a few photographs, in 300 s of a machine that trains 979 images a second by the
naive loop of `bench.training`. A supernet around a published network is fine-tuned, then its children are judged: each
is measured, scored, saved and read again. The peer is the published network, fine-tuned whole.
"""

import argparse
import dataclasses
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from bench import training
from bench._rows import row
from nas import datasets, home, parents, settings, spaces
from nas.correlation import Statistic, interval, kendall, spearman
from nas.datasets import ImageSet
from nas.evaluate import evaluate
from nas.kinship import fitted
from nas.measurements import Measurement
from nas.metering import host
from nas.models import checkpoint
from nas.networks.counts import counts
from nas.objective import Objective
from nas.plans.sample import sample
from nas.plans.search import SearchPlan
from nas.recipes import RECIPES, Recipe
from nas.records import Job
from nas.specs import SearchSpec
from nas.worth import settled

FURTHER_EPOCHS = 2
MOST_TRIALS = 10_000

Judged = tuple[Job, Measurement]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.supernet", description=__doc__)
    parser.add_argument("--only", choices=["correlation", "cost", "front"])
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=12, help="of the supernet's training")
    parser.add_argument("--alone-epochs", type=int, default=10, help="of each training alone")
    parser.add_argument("--train-images", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, default=600, help="of a search, for its cost")
    parser.add_argument("--cost-epochs", type=int, default=2, help="of the supernet's training, for its cost")
    parser.add_argument("--images", type=Path, help="a folder of photographs, for the front")
    parser.add_argument("--count", type=int, default=300, help="photographs that are trained on")
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--parent", default="efficientnet_lite0")
    parser.add_argument("--front-epochs", type=int, default=6, help="of the fine-tuned supernet")
    options = parser.parse_args()
    if options.only == "front" and not options.images:
        parser.error("--only front needs --images FOLDER")
    with ProcessPoolExecutor(host.processors(), initializer=alone) as pool:
        if options.only in (None, "cost"):
            cost(pool, options.seconds, options.cost_epochs, options.train_images)
        if options.only in (None, "correlation"):
            correlation(pool, options)
        if options.images and options.only in (None, "front"):
            front(pool, options)


def alone() -> None:
    """As an evaluator of the service works: on one thread."""
    import torch

    torch.set_num_threads(1)


def judged(job: Job) -> Measurement:
    return evaluate(job)


def fashion(recipe: Recipe, **changes: object) -> tuple[SearchSpec, ImageSet]:
    """A search with shared weights, as a service would have it."""
    images = datasets.load("fashion_mnist", 28, home.folder("datasets"))
    space = spaces.load("mbconv")
    spec = SearchSpec(
        dataset="fashion_mnist",
        weights="shared",
        knobs=spaces.nested(space, images.info.as_seen(28)),
        recipe=settled(dataclasses.replace(recipe, folds=1), images.info),
        trials=MOST_TRIALS,
        finals=0,
        parallel=host.processors(),
    )
    return dataclasses.replace(spec, **changes), images  # type: ignore[arg-type]


def searched(pool: ProcessPoolExecutor, plan: SearchPlan, goes_on: Callable[[], bool]) -> Iterator[Judged]:
    """What comes of the plan's jobs, of which as many are evaluated at once as there are processors."""
    running: dict[Future[Measurement], Job] = {}
    number = 0
    while True:
        while len(running) < host.processors() and goes_on() and (job := plan.ask(number)):
            running[pool.submit(judged, job)] = job
            number += 1
        if not running:
            return
        for done in wait(running, return_when=FIRST_COMPLETED).done:
            job = running.pop(done)
            plan.tell(job, done.result())
            yield job, done.result()


def cost(pool: ProcessPoolExecutor, seconds: int, epochs: int, train_images: int) -> None:
    recipe = dataclasses.replace(RECIPES["supernet"], epochs=epochs, train_images=train_images)
    spec, images = fashion(recipe)
    plan = SearchPlan("bench", spec, spec.trials, images.info.as_seen(28))
    begun = time.perf_counter()
    trained, scored = 0.0, []
    for job, measured in searched(pool, plan, lambda: time.perf_counter() - begun < seconds):
        if job.children:
            trained = time.perf_counter() - begun
            print(f"supernet: {measured.accuracy:.4f} in {trained:.0f} s", file=sys.stderr)
        elif time.perf_counter() - begun <= seconds:
            scored.append(measured.accuracy or 0.0)
    row(
        f"networks that a search with shared weights judges in {seconds} s on {host.processors()} processors, "
        f"{trained:.0f} s of these for the supernet ({epochs} epochs of {train_images:,} images), the best "
        f"{max(scored, default=0):.4f}",
        len(scored),
        "networks",
        target="at least 300 in 600 s",
        holds=len(scored) >= 300 * seconds / 600,
    )


def correlation(pool: ProcessPoolExecutor, options: argparse.Namespace) -> None:
    recipe = dataclasses.replace(RECIPES["supernet"], epochs=options.epochs, train_images=options.train_images)
    spec, images = fashion(recipe)
    seen = images.info.as_seen(28)
    plan = SearchPlan("bench", spec, spec.trials, seen)
    whole = plan.ask(0)
    assert whole
    begun = time.perf_counter()
    supernet = pool.submit(judged, whole).result()
    print(f"supernet: {supernet.accuracy:.4f} in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    drawn = sample("mbconv", seen, options.networks, knobs=spec.knobs, seed=1)
    own = settled(
        dataclasses.replace(RECIPES["short"], epochs=options.alone_epochs, train_images=options.train_images, folds=1),
        images.info,
    )
    plain = dataclasses.replace(whole, baseline=None, children={}, save_weights=False, devices=("cpu",))
    networks = [
        dataclasses.replace(plain, number=number, architecture=architecture, choices=choices)
        for number, (choices, architecture) in enumerate(drawn, 1)
    ]
    heirs = [dataclasses.replace(job, parent=supernet.weights) for job in networks]
    further = dataclasses.replace(own, epochs=FURTHER_EPOCHS, learning_rate=own.learning_rate / 4)
    shared = accuracies(pool, [dataclasses.replace(job, calibrated=True) for job in heirs])
    trained_on = accuracies(pool, [dataclasses.replace(job, recipe=further) for job in heirs])
    each = [
        accuracies(pool, [dataclasses.replace(job, recipe=own, seed=seed) for job in networks])
        for seed in range(options.seeds)
    ]
    truth = list(map(statistics.fmean, zip(*each)))
    print(f"trainings alone: {min(truth):.4f} to {max(truth):.4f}", file=sys.stderr)
    by = f"trainings alone of {own.epochs} epochs, {options.train_images:,} images"
    of = f"of {len(truth)} networks, to the mean of {options.seeds} {by}"
    if options.seeds > 1:
        ranked(f"of two seeds, {by}", each[0], each[1], None)
    ranked(f"multiply-adds, {of}", [float(counts(job.architecture).mult_adds) for job in networks], truth, None)
    ranked(f"accuracies by shared weights, supernet of {options.epochs} epochs, {of}", shared, truth, 0.75)
    ranked(f"accuracies by shared weights and {FURTHER_EPOCHS} epochs more, {of}", trained_on, truth, 0.85)


def accuracies(pool: ProcessPoolExecutor, jobs: Iterable[Job]) -> list[float]:
    return [measured.accuracy or 0.0 for measured in pool.map(judged, jobs)]


def ranked(what: str, ones: list[float], others: list[float], target: float | None) -> None:
    def told(statistic: Statistic) -> str:
        value, within = statistic(ones, others), interval(statistic, ones, others)
        return f"{value:.2f} ({within[0]:.2f} to {within[1]:.2f})" if value is not None and within else "none"

    rho = spearman(ones, others) or 0.0
    row(
        f"Spearman's rank correlation {what}: {told(spearman)}; Kendall's {told(kendall)}",
        rho,
        "of 1",
        target=None if target is None else f"at least {target}",
        holds=None if target is None else rho >= target,
    )


def front(pool: ProcessPoolExecutor, options: argparse.Namespace) -> None:
    seconds = 300 * training.times_as_slow()
    name, resolution = f"folder:{options.images.resolve()}", options.resolution
    images = datasets.load(name, resolution, home.folder("datasets"))
    how = dataclasses.replace(RECIPES["finetune"], train_images=options.count, balanced=True, folds=1)
    whole = settled(how, images.info)
    spec = SearchSpec(
        dataset=name,
        weights="shared",
        parent=options.parent,
        resolution=resolution,
        recipe=dataclasses.replace(whole, epochs=options.front_epochs),
        objective=Objective(form="front"),
        searcher="random",
        trials=MOST_TRIALS,
        finals=0,
        parallel=host.processors(),
        save_weights=True,
    )
    plan = SearchPlan("bench", spec, spec.trials, images.info.as_seen(resolution))
    begun, children = time.perf_counter(), list[Judged]()
    for job, measured in searched(pool, plan, lambda: time.perf_counter() - begun < seconds):
        if job.children:
            print(f"supernet: {measured.accuracy:.4f} in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
            continue
        checkpoint.load(checkpoint.artifact(measured.weights or ""))
        if time.perf_counter() - begun <= seconds:
            children.append((job, measured))
    if not children:
        raise SystemExit(f"no child was judged in {seconds:.0f} s: the supernet took them all")
    _, best = max(children, key=lambda each: each[1].accuracy or 0.0)
    peer_job = Job(
        run="bench",
        number=MOST_TRIALS,
        space="mbconv",
        architecture=fitted(parents.described(options.parent).architecture, images.info.as_seen(resolution)),
        dataset=name,
        devices=("cpu",),
        recipe=whole,
        parent=options.parent,
    )
    peer = pool.submit(judged, peer_job).result()
    row(
        f"children of {options.parent} at {resolution} pixels, by {options.count} photographs of "
        f"{len(images.info.classes)} classes in {seconds:.0f} s, which are 300 s of a machine that trains "
        f"{training.PACE} images/s: networks measured, scored on held-out images, saved and read again",
        len({job.architecture for job, _ in children}),
        "networks",
        target="at least 50",
        holds=len(children) >= 50,
    )
    row(
        f"the best of these, {best.mult_adds / peer.mult_adds:.0%} of the multiply-adds, accuracy on held-out images",
        best.accuracy or 0.0,
        "of 1",
        peer=f"{options.parent}, fine-tuned whole, {whole.epochs} epochs in {peer.train_seconds:.0f} s",
        peer_value=peer.accuracy,
        target="at least the peer's",
        holds=(best.accuracy or 0.0) >= (peer.accuracy or 0.0),
    )


if __name__ == "__main__":
    environment = settings.environment(**settings.EVALUATORS)
    if environment != settings.environment():  # they count from the start of a process
        os.execve(sys.executable, sys.orig_argv, environment)
    main()
