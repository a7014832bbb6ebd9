"""What the tests of the store put into it."""

import dataclasses
from typing import Any

from nas.measurements import Latency, Measurement
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.scaling import CompoundScaling
from nas.objective import Objective
from nas.recipes import Recipe
from nas.records import Job, Run
from nas.specs import GrowthSpec, Limits, SearchSpec
from nas.store import Store

ARCHITECTURE = Architecture(
    images=Images(resolution=28, channels=1, classes=10),
    stem=16,
    stem_stride=1,
    stages=(
        Stage(op="conv", kernel=3, stride=2, expand=1, channels=24, repeats=2),
        Stage(op="mbconv", kernel=5, stride=2, expand=6, channels=48, repeats=1, se_ratio=0.25, skip=False),
    ),
    head=128,
    dropout=0.1,
)
SEARCH = SearchSpec(
    name="größer\0",
    dataset="folder:/images",
    resolution=28,
    knobs={"stage1.op": ("conv", "mbconv"), "stage1.width": (0.75, 1.0), "stage1.repeats": (1, 2)},
    searcher="random",
    options={"population": 8, "rate": 0.5, "elitist": True},
    objective=Objective(cost="latency_ms", target=2.5, w_under=0.0, w_over=-1.0),
    limits=Limits(params=300_000, latency_ms=4.0),
    recipe=Recipe(epochs=3, train_images=1000, flip=False),
    trials=3,
    seed=7,
    save_weights=True,
)
GROWTH = GrowthSpec(
    name="family",
    dataset="fashion_mnist",
    space="mbconv",
    architecture=ARCHITECTURE,
    source=("0123456789ab", 2),
    members=("B0", "B2"),
    scaling=CompoundScaling(alpha=1.1, beta=1.2, gamma=1.05),
)
MEASUREMENT = Measurement(
    params=250_000,
    mult_adds=5_000_000,
    latencies={
        "cpu": Latency(
            device="cpu",
            median_ms=1.5,
            p95_ms=2.0,
            minimum_ms=1.25,
            spread=0.1,
            runs=50,
            fingerprint={"processor": "x", "threads": "1"},
        )
    },
    accuracy=0.9,
    train_seconds=12.5,
    seconds=14.0,
    weights="ab" * 32,
)


def job(run: str, number: int = 0) -> Job:
    return Job(
        run=run,
        number=number,
        space="mbconv",
        architecture=ARCHITECTURE,
        choices={"stage1.op": "conv", "stage1.width": 0.75, "stage1.repeats": 2},
        member="B0",
        dataset="fashion_mnist",
        devices=("cpu",),
        recipe=Recipe(),
        seed=3,
        final=True,
    )


def claimed(store: Store, owner: str = "anna", seconds: float = 60, **changes: Any) -> Run:
    """A new search that `owner` holds."""
    store.add_run("search", dataclasses.replace(SEARCH, **changes))
    run = store.claims.claim(owner, seconds)
    assert run is not None
    return run


def snapshot(store: Store, run: str) -> Any:
    return store.run(run), store.trials(run), store.models(run), store.events(run)
