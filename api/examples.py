"""Examples for the OpenAPI document: requests to copy, and answers made by the code that makes the real ones."""

import dataclasses
from typing import Any

from api.views import benchmark, growth, proxy, search
from api.views.front import Outlined, ranked
from api.views.trial import Scored
from nas.codec import encode
from nas.measurements import Latency, Measurement
from nas.networks.architecture import Images
from nas.networks.counts import counts
from nas.outlines import summed
from nas.plans.search import SearchPlan
from nas.records import Run, Trial
from nas.specs import SPECS, BenchmarkSpec, GrowthSpec, ProxySpec, SearchSpec, Spec

IMAGES = Images(resolution=28, channels=1, classes=10)
SEARCHES: dict[str, Any] = {
    "smallest": {"summary": "Everything but the images by default", "value": {"dataset": "fashion_mnist"}},
    "own images": {
        "summary": "Your own images, a latency target, a cap on size",
        "value": {
            "name": "flowers",
            "dataset": "folder:/data/flowers",
            "objective": {"cost": "latency_ms", "target": 2.0},
            "limits": {"params": 300000},
            "trials": 30,
        },
    },
    "narrowed": {
        "summary": "Some knobs fixed, a searcher's options, a shorter training",
        "value": {
            "dataset": "fashion_mnist",
            "knobs": {"stage1.op": ["conv", "fused"], "stage1.kernel": [3]},
            "searcher": "evolution",
            "options": {"population": 8, "sample": 3},
            "recipe": {"epochs": 1, "train_images": 10000},
        },
    },
    "several devices": {
        "summary": "Every candidate measured on three devices; the first one's latency is the goal",
        "value": {
            "dataset": "fashion_mnist",
            "objective": {"cost": "latency_ms", "target": 0.3},
            "devices": ["cpu", "cpu:threads=2,batch=8", "cpu_eager"],
        },
    },
    "rungs": {
        "summary": "Hyperband from 1 to 9 epochs, and six trials that train leading networks again",
        "value": {
            "dataset": "fashion_mnist",
            "recipe": {"epochs": 9},
            "fidelity": {"kind": "hyperband"},
            "trials": 60,
            "confirm": 6,
        },
    },
}
LABELS: dict[str, Any] = {
    "named": {"summary": "A name, and tags to find it again by", "value": {"name": "roses", "tags": ["paper", "lite"]}},
    "archived": {"summary": "Put away", "value": {"archived": True}},
}
BUDGETS: dict[str, Any] = {
    "more trials": {"value": {"trials": 200}},
    "more hours": {"value": {"hours": 12}},
}
PRUNINGS: dict[str, Any] = {
    "a month": {"summary": "What would go of what nobody has used for 30 days", "value": {"dry_run": True}},
    "a week": {"value": {"older_than_days": 7}},
}
GROWTHS: dict[str, Any] = {
    "best": {
        "summary": "The best candidate as B0 to B3 by the published coefficients",
        "value": {"search": "0a1b2c3d4e5f", "members": ["B0", "B1", "B2", "B3"], "recipe": {"epochs": 8}},
    },
    "own scaling": {
        "summary": "One trial, by α, β, γ of your own",
        "value": {
            "search": "0a1b2c3d4e5f",
            "trial": 7,
            "members": ["B0", "B2"],
            "scaling": {"alpha": 1.2, "beta": 1.1, "gamma": 1.15},
        },
    },
    "fit": {
        "summary": "Which α, β, γ are best for this network",
        "value": {"search": "0a1b2c3d4e5f", "fit": {"cost": "mult_adds", "step": 0.2}, "recipe": {"epochs": 4}},
    },
    "budgets": {
        "summary": "The largest of the family within budgets",
        "value": {"search": "0a1b2c3d4e5f", "members": ["B0", "mult_adds<=2x", "latency_ms<=5"]},
    },
}
AGENTS: dict[str, Any] = {
    "pi": {
        "summary": "A Raspberry Pi",
        "value": {
            "name": "pi4",
            "fingerprint": {"processor": "Raspberry Pi 4 Model B Rev 1.4", "runtime": "onnxruntime 1.20"},
            "instance": "0a1b2c3d4e5f6a7b",
            "edition": "0a1b2c3d4e5f",
        },
    }
}
ANSWERS: dict[str, Any] = {
    "error": {"summary": "Why there is no latency", "value": {"error": "ONNX Runtime does not take the network"}}
}
TOKENS: dict[str, Any] = {
    "colleague": {"summary": "For a colleague, a year", "value": {"owner": "Zoë", "scope": "write", "days": 365}},
    "agent": {"summary": "For a machine that measures", "value": {"owner": "pi4", "scope": "agent"}},
}
QUOTAS: dict[str, Any] = {
    "usual": {
        "summary": "Four trials at once, a hundred hours, 50 GB",
        "value": {"owner": "Zoë", "running_trials": 4, "compute_hours": 100, "disk_bytes": 50000000000},
    },
    "none": {"summary": "Whatever there is", "value": {"owner": "Zoë"}},
}
SIGN_IN: dict[str, Any] = {"token": {"value": {"token": "nas_0a1b2c3d4e5f_…"}}}
BENCHMARKS: dict[str, Any] = {
    "published": {
        "summary": "A network of the literature, on two devices",
        "value": {"published": "MnasNet-A1", "devices": ["cpu", "cpu_eager:threads=2"]},
    },
    "model": {"summary": "A trained network", "value": {"model": "6f7a8b9c0d1e-0"}},
    "sample": {
        "summary": "Some networks of a space, to learn its latency from",
        "value": {"networks": 40, "space": "mbconv", "images": {"resolution": 28, "channels": 1, "classes": 10}},
    },
}
UPLOADS: dict[str, Any] = {
    "usual": {
        "summary": "An archive of 104 MB",
        "value": {
            "name": "flowers",
            "bytes": 104857600,
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        },
    },
    "unchecked": {"summary": "One whose digest is not known", "value": {"name": "flowers", "bytes": 104857600}},
}
PROXIES: dict[str, Any] = {
    "usual": {"summary": "The recipes proxy and short", "value": {"dataset": "fashion_mnist"}},
    "own recipes": {
        "summary": "Another cheap recipe, small networks only",
        "value": {
            "dataset": "fashion_mnist",
            "limits": {"params": 100000},
            "candidates": 20,
            "cheap": {"epochs": 1, "train_images": 5000},
        },
    },
}


def answers() -> dict[str, Any]:
    """An example for each of the main schemas, by its name."""
    spec = SearchSpec(name="clothes", dataset="fashion_mnist", trials=20)
    run = _run("0a1b2c3d4e5f", spec)
    quick = dataclasses.replace(spec, searcher="random")
    plan = SearchPlan(run.id, quick, spec.trials, IMAGES)
    trials = [_trial(plan, number, accuracy) for number, accuracy in enumerate((0.8712, 0.8954))]
    stands = search.stand(spec, trials, ())
    grown = GrowthSpec(
        name="clothes family",
        dataset=spec.dataset,
        space=spec.space,
        architecture=trials[1].job.architecture,
        source=(run.id, 1),
        members=("B0", "B1"),
    )
    pages = {"next": None}
    measured = BenchmarkSpec(images=IMAGES, architecture=grown.architecture, model=f"{run.id}-1")
    shown = {
        "Search": search.view(run, summed(trials, spec), stands),
        "Growth": growth.view(_run("6f7a8b9c0d1e", grown), ()),
        "Benchmark": benchmark.view(_run("2a3b4c5d6e7f", measured), trials[1:]),
        "Proxy": proxy.view(_run("8b9c0d1e2f3a", ProxySpec(dataset=spec.dataset)), ()),
    }
    examples = {
        **shown,
        "Searches": {"searches": [shown["Search"]], **pages},
        "Growths": {"growths": [shown["Growth"]], **pages},
        "Benchmarks": {"benchmarks": [shown["Benchmark"]], **pages},
        "Proxies": {"proxies": [shown["Proxy"]], **pages},
        "Runs": {"runs": [shown["Growth"], shown["Search"]], **pages},
        "Trials": {"trials": [Scored(**vars(trials[0]), reward=stands.front[0].reward)], **pages},
        "Pareto": ranked(
            run, [_outlined(trial) for trial in trials], (), spec.objective, "cpu", lambda _: trials
        ).pareto,
    }
    return {name: encode(example) for name, example in examples.items()}


def _outlined(trial: Trial) -> Outlined:
    assert trial.measurement is not None
    return trial.number, "own", None, None, trial.measurement.mult_adds, trial.measurement.accuracy


def _run(name: str, spec: Spec) -> Run:
    return Run(
        id=name,
        kind=next(kind for kind, record in SPECS.items() if isinstance(spec, record)),
        spec=spec,
        state="stopped",
        wish="stop",
        trials=spec.trials,
        created_at=1_767_225_600.0,
        started_at=1_767_225_601.0,
        ended_at=1_767_225_900.0,
        worked_seconds=299.0,
    )


def _trial(plan: SearchPlan, number: int, accuracy: float) -> Trial:
    job = plan.ask(number)
    assert job is not None
    counted = counts(job.architecture)
    latency = Latency(
        device="cpu",
        median_ms=0.41,
        p95_ms=0.44,
        minimum_ms=0.41,
        spread=0.03,
        runs=300,
        rounds=40,
        ratio=2.05,
        yardstick_ms=0.2,
        error_ms=0.002,
        slowdown=1.02,
        fingerprint={"processor": "Example 3000", "threads": "1", "runtime": "onnxruntime 1.20"},
    )
    return Trial(
        run=job.run,
        number=number,
        state="done",
        job=job,
        measurement=Measurement(
            params=counted.params,
            mult_adds=counted.mult_adds,
            peak_memory=counted.peak_memory(),
            model_bytes=counted.model_bytes(),
            latencies={latency.device: latency},
            accuracy=accuracy,
            train_seconds=40.5,
        ),
        finished=number + 1,
        started_at=1_767_225_602.0 + 50 * number,
        ended_at=1_767_225_650.0 + 50 * number,
        compute_seconds=47.5,
    )
