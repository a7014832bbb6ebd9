"""`nas proxy`: what a cheap training is worth, found out on this machine without a service, or by its workers.

Here, evaluations run in processes of their own; what is finished is kept, so that an interrupted report goes on.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from api.cli.arguments import AGAIN, counted_limits, limit_arguments, whole
from api.cli.fields import argument
from api.cli.networks import recipe_fields
from nas import datasets, devices, home, kinship, parents, settings, spaces, worth
from nas.codec import decode, encode
from nas.measurements import Measurement
from nas.metering import host
from nas.plans.proxy import ProxyPlan
from nas.proxy_report import Report, report
from nas.recipes import RECIPES, Recipe
from nas.records import Job
from nas.refusal import Refusal
from nas.specs import FEWEST_CANDIDATES, Limits, ProxySpec

Say = Callable[[str], None]


def arguments(parser: argparse.ArgumentParser) -> None:
    recipe = "of `nas recipes`, a file of JSON, or JSON"
    argument(parser, ProxySpec, "dataset", required=True, metavar="NAME")
    argument(parser, ProxySpec, "space", metavar="NAME")
    argument(parser, ProxySpec, "parent", metavar="NAME")
    argument(parser, ProxySpec, "resolution", type=whole, metavar="PIXELS")
    argument(parser, ProxySpec, "candidates", type=whole, metavar="N")
    argument(parser, ProxySpec, "cheap", more=f"{recipe}; proxy by default", metavar="RECIPE")
    argument(parser, ProxySpec, "dear", more=f"{recipe}; short by default", metavar="RECIPE")
    argument(parser, ProxySpec, "weights", choices=("own", "shared"))
    limit_arguments(parser)
    argument(parser, ProxySpec, "devices", "--device", dest="device", more=AGAIN, action="append", metavar="NAME")
    many = host.processors()
    argument(
        parser, ProxySpec, "parallel", more=f"{many} by default", told=False, type=whole, default=many, metavar="N"
    )
    argument(parser, ProxySpec, "seed", type=whole, metavar="N")
    parser.add_argument("--on-service", action="store_true", help="by the service's workers, as a run")
    parser.add_argument("--watch", action="store_true", help="with --on-service: and watch it until it has ended")


def specified(options: argparse.Namespace) -> ProxySpec:
    """What these `options` ask for. Raises ValueError."""
    said: dict[str, Any] = {
        **{
            name: getattr(options, name)
            for name in ("dataset", "space", "parent", "resolution", "candidates", "weights", "parallel", "seed")
        },
        "limits": Limits(**counted_limits(options)),
        "cheap": options.cheap and _recipe(options.cheap),
        "dear": options.dear and _recipe(options.dear),
        "devices": options.device and tuple(options.device),
    }
    said = {name: value for name, value in said.items() if value is not None}
    return ProxySpec(**ProxySpec.otherwise(said) | said)


def settled(spec: ProxySpec) -> ProxySpec:
    """With the epochs and folds that its recipes leave open, for the images as they are here, the resolution that a
    parent is used to, and knobs that nest where weights are shared. Raises ValueError."""
    info = datasets.describe(spec.dataset, home.folder("datasets"))
    if spec.parent is not None:
        parent = parents.described(spec.parent)
        if parent.missing:
            raise ValueError(parent.missing)
        spec = replace(spec, resolution=spec.resolution or parent.pixels)
        kinship.fitted(parent.architecture, info.as_seen(spec.resolution))
    if spec.weights == "shared":
        space = spaces.load(spec.space, spec.parent)
        knobs = spaces.nested(space, info.as_seen(spec.resolution)) | spec.knobs
        spec = replace(spec, knobs=knobs, cheap=replace(spec.cheap, folds=1))
    return replace(spec, cheap=worth.settled(spec.cheap, info), dear=worth.settled(spec.dear, info))


def found_here(spec: ProxySpec, say: Say) -> Report:
    """Evaluate the trials here, `parallel` at once. Raises ValueError for what does not fit together (an unknown name,
    too few networks within the limits, too few trained) and OSError."""
    for name in spec.devices:
        if reason := devices.absence(name):
            raise ValueError(f"device {name!r} cannot measure here: {reason}")
    cache = home.folder("datasets")
    info = datasets.describe(spec.dataset, cache)
    for remark in info.remarks:
        say(remark.text)
    spec = replace(spec, contents=info if info.digest else None)
    same = replace(spec, name="", parallel=1)  # whatever else may differ between an interrupted report and this one
    digest = hashlib.sha256(json.dumps(encode(same), sort_keys=True).encode()).hexdigest()[:12]
    plan = ProxyPlan(f"proxy-{digest}", spec, info.as_seen(spec.resolution))
    datasets.load(spec.dataset, spec.resolution or info.resolution, cache)  # once, before several processes want it
    folder = home.folder("fidelity") / f"proxy-{digest}"
    folder.mkdir(exist_ok=True)

    def measured(job: Job) -> tuple[Job, Measurement | str]:
        path = folder / f"{job.number}.json"
        try:
            outcome: Measurement | str = decode(Measurement, json.loads(path.read_text()))
        except (OSError, ValueError):  # not done yet, or damaged
            outcome = _evaluated(job)
            if isinstance(outcome, Measurement):
                home.write(path, json.dumps(encode(outcome)).encode())
        words = outcome if isinstance(outcome, str) else f"{outcome.accuracy:.4f} in {outcome.train_seconds:.0f} s"
        if job.children:
            say(f"supernet: {words}")
            return job, outcome
        name = "inherited weights" if job.calibrated else f"{'dear' if job.recipe == spec.dear else 'cheap'} recipe"
        say(f"candidate {(job.number - spec.first) % spec.candidates + 1} of {spec.candidates}, {name}: {words}")
        return job, outcome

    ended = []
    if (first := plan.ask(0)) and first.children:
        supernet, outcome = measured(first)
        if isinstance(outcome, str):
            raise ValueError(f"the supernet was not trained: {outcome}")
        plan.tell(supernet, outcome)
        ended.append((supernet, outcome))
    jobs = [job for number in range(spec.first, plan.trials) if (job := plan.ask(number))]
    with ThreadPoolExecutor(spec.parallel) as pool:
        summary = report(spec, [*ended, *pool.map(measured, jobs)])
    if len(summary.candidates) < FEWEST_CANDIDATES:
        raise ValueError(f"{len(summary.failed)} of {spec.candidates} candidates failed, one with {summary.failed[-1]}")
    return summary


def _evaluated(job: Job) -> Measurement | str:
    """What came of `job` in a process of its own, or why nothing did."""
    ran = subprocess.run(
        [sys.executable, "-m", "nas.evaluate"],
        input=json.dumps(encode(job)),
        capture_output=True,
        text=True,
        env=settings.environment(**settings.EVALUATORS),
    )
    if ran.returncode:
        return ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else f"exit status {ran.returncode}"
    measurement = decode(Measurement, json.loads(ran.stdout))
    return measurement.refused or measurement


def _recipe(text: str) -> Recipe:
    if (fields := recipe_fields(text)) is not None:
        return decode(Recipe, fields)
    if text not in RECIPES:
        raise Refusal(f"recipe {text!r} is no file, no JSON, and none of {', '.join(RECIPES)}")
    return RECIPES[text]
