"""The command line's arguments for a search and a growth, and the API's requests that they stand for."""

import argparse
import json
import math
from pathlib import Path
from typing import Any, get_args, get_type_hints

from api.cli.fields import argument
from api.cli.networks import recipe_fields
from api.requests import GrowthRequest
from nas import plugins
from nas.client import Client, ServiceError
from nas.datasets import PATHS
from nas.networks.fit import Fit
from nas.networks.scaling import CompoundScaling
from nas.objective import COSTS, EXPONENTS, FORMS, METRICS, Objective
from nas.recipes import Recipe
from nas.rounding import PRECISIONS
from nas.specs import Fidelity, Limits, ScoredOn, SearchSpec

Json = dict[str, Any]
AGAIN = "may be repeated"
RUNGS = "with --fidelity"
PARTS = ("limits", "objective", "recipe")  # of a request, which may be given in part
SIZES = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}  # bytes


def search_arguments(parser: argparse.ArgumentParser) -> None:
    what, ranking, how = (parser.add_argument_group(title) for title in ("what", "objective and limits", "how"))
    several: Json = {"action": "append", "default": [], "more": AGAIN}
    argument(what, SearchSpec, "dataset", metavar="NAME")
    argument(what, SearchSpec, "name", metavar="TEXT")
    argument(what, SearchSpec, "space", metavar="NAME")
    argument(what, SearchSpec, "resolution", type=whole, metavar="PIXELS")
    argument(what, SearchSpec, "knobs", "--knob", type=assignment, metavar="KNOB=A,B", **several)
    argument(what, SearchSpec, "trials", type=whole, metavar="N")
    argument(what, SearchSpec, "hours", type=number, metavar="H")
    argument(what, SearchSpec, "compute_hours", type=number, metavar="H")
    argument(what, SearchSpec, "least_gain", type=number, metavar="R")
    argument(what, SearchSpec, "searcher", metavar="NAME")
    argument(what, SearchSpec, "options", "--option", type=assignment, metavar="NAME=VALUE", **several)
    argument(what, SearchSpec, "parent", metavar="NAME")
    argument(what, SearchSpec, "learn_from", metavar="RUN", **several)
    argument(what, SearchSpec, "baselines", "--baseline", metavar="NAME", **several)
    argument(what, SearchSpec, "confirm", type=whole, metavar="N")
    ranking_arguments(ranking)
    limit_arguments(ranking)
    argument(ranking, Limits, "latency_ms", "--limit-latency-ms", type=number, metavar="MS")
    argument(ranking, Objective, "precision", choices=PRECISIONS)
    argument(ranking, Limits, "most_drop", "--limit-most-drop", type=number, metavar="POINTS")
    argument(ranking, SearchSpec, "predict_within", type=number, metavar="ERROR")
    argument(how, SearchSpec, "fidelity", choices=("halving", "hyperband"))
    argument(how, Fidelity, "eta", more=RUNGS, type=whole, metavar="N")
    argument(how, Fidelity, "rungs", more=RUNGS, type=whole, metavar="N")
    argument(how, Fidelity, "scaled", "--scale", more=RUNGS, choices=("epochs", "train_images"))
    argument(how, Fidelity, "inherit", more=RUNGS, action="store_true")
    argument(how, SearchSpec, "weights", choices=("own", "shared"))
    argument(how, SearchSpec, "finals", type=whole, metavar="N")
    argument(how, SearchSpec, "save_weights", action="store_true")
    training_arguments(how, SearchSpec)


def limit_arguments(parser: Any) -> None:
    """The limits on what is known of a network before it is measured."""
    argument(parser, Limits, "params", "--limit-params", type=whole, metavar="N")
    argument(parser, Limits, "mult_adds", "--limit-mult-adds", type=whole, metavar="N")
    argument(parser, Limits, "peak_memory", "--limit-peak-memory", more="such as 64kB", type=size, metavar="BYTES")
    argument(parser, Limits, "model_bytes", "--limit-model-bytes", more="such as 1.5MB", type=size, metavar="BYTES")
    argument(parser, Limits, "board", metavar="NAME")


def growth_arguments(parser: argparse.ArgumentParser) -> None:
    argument(parser, GrowthRequest, "trial", type=whole, metavar="N")
    argument(parser, GrowthRequest, "members", metavar="B0,B1")
    argument(parser, GrowthRequest, "compare", type=sizes, metavar="2,4")
    argument(parser, GrowthRequest, "fit", choices=get_args(get_type_hints(Fit)["cost"]))
    argument(parser, Fit, "step", "--fit-step", more="with --fit", type=number, metavar="S")
    argument(parser, Fit, "tolerance", "--fit-tolerance", more="with --fit", type=number, metavar="T")
    argument(parser, Fit, "least_gain", "--fit-least-gain", more="with --fit", type=number, metavar="GAIN")
    argument(parser, GrowthRequest, "coefficients", metavar="GROWTH")
    argument(parser, GrowthRequest, "scaling", more="such as 1.2,1.1,1.15", type=triple, metavar="α,β,γ")
    argument(
        parser, CompoundScaling, "tolerance", "--scaling-tolerance", more="with --scaling", type=number, metavar="T"
    )
    argument(parser, GrowthRequest, "name", metavar="TEXT")
    argument(parser, GrowthRequest, "seeds", type=whole, metavar="N")
    argument(parser, GrowthRequest, "processes", type=whole, metavar="N")
    argument(parser, GrowthRequest, "scored_on", choices=get_args(ScoredOn))
    argument(parser, GrowthRequest, "drop_dominated", action="store_true")
    argument(parser, GrowthRequest, "inherit", action="store_true")
    argument(parser, GrowthRequest, "parent", metavar="NAME")
    training_arguments(parser, GrowthRequest)


def ranking_arguments(parser: Any, *, told: bool = True) -> None:
    """Those of an objective; where the defaults are not to be `told`, they are a search's own."""
    argument(parser, Objective, "cost", told=told, choices=COSTS)
    argument(parser, Objective, "target", told=told, type=number, metavar="T")
    parser.add_argument(
        "--w",
        type=exponents,
        metavar="W",
        help="the exponent, such as -0.07; or two, up to and above the target: 0,-1 or --w=-0.1,-1. Or by name. hard: "
        "0,-1, the best within the target, which a target alone means; soft: -0.07, where the target does not choose; "
        "accuracy: 0",
    )
    argument(parser, Objective, "form", told=told, choices=FORMS)
    argument(parser, Objective, "also", choices=COSTS)
    argument(parser, Objective, "metric", told=told, choices=METRICS)


def training_arguments(parser: Any, record: Any) -> None:
    """How networks are trained and where they are measured, by the record that asks for it."""
    argument(parser, record, "devices", "--device", dest="device", more=AGAIN, action="append", metavar="NAME")
    argument(parser, record, "recipe", more="of `nas recipes`, a file of JSON, or JSON", metavar="NAME")
    argument(parser, Recipe, "epochs", told=False, type=whole, metavar="N")
    argument(parser, Recipe, "int8_epochs", told=False, type=whole, metavar="N")
    argument(parser, Recipe, "train_images", told=False, type=whole, metavar="N")
    argument(parser, Recipe, "balanced", action="store_true")
    argument(parser, Recipe, "class_weights", type=weights, metavar="auto|CLASS=W,…")
    argument(parser, Recipe, "folds", told=False, type=whole, metavar="N")
    argument(parser, Recipe, "group", metavar="TEXT")
    argument(parser, Recipe, "teacher", metavar="NAME")
    argument(parser, Recipe, "batch", told=False, type=whole, metavar="N")
    argument(parser, Recipe, "learning_rate", told=False, type=number, metavar="RATE")
    argument(parser, record, "parallel", type=whole, metavar="N")
    argument(parser, record, "priority", type=whole, metavar="N")
    argument(parser, record, "seed", type=whole, metavar="N")


def search_request(options: argparse.Namespace, client: Client) -> Json:
    fidelity = {
        "kind": options.fidelity,
        "eta": options.eta,
        "rungs": options.rungs,
        "scaled": options.scale,
        "inherit": options.inherit or None,
    }
    limits = {
        **counted_limits(options),
        "latency_ms": options.limit_latency_ms,
        "most_drop": options.limit_most_drop,
    }
    return _given(
        {
            "dataset": options.dataset and dataset(options.dataset),
            **{
                name: getattr(options, name)
                for name in ("name", "space", "resolution", "trials", "hours", "compute_hours", "searcher")
            },
            **{
                name: getattr(options, name)
                for name in (
                    *("least_gain", "predict_within", "parallel", "priority", "seed", "confirm", "parent"),
                    *("weights", "finals"),
                )
            },
            "devices": options.device,
            "fidelity": _given(fidelity),
            "knobs": {knob: [value(part) for part in text.split(",")] for knob, text in options.knob},
            "options": {name: value(text) for name, text in options.option},
            "learn_from": options.learn_from or None,
            "baselines": options.baseline or None,
            "objective": _given({**objective(options), "precision": options.precision}),
            "limits": _given(limits),
            "recipe": recipe(options, client),
            "save_weights": options.save_weights or None,
        }
    )


def merged(before: Json, request: Json) -> Json:
    """A request with what another says of the fields that it leaves out; another cost has no target of the other's."""
    both = {name: {**before[name], **request[name]} for name in PARTS if name in before and name in request}
    if "target" not in request.get("objective", {"target": None}) and "cost" in request["objective"]:
        both.get("objective", {}).pop("target", None)
    return {**before, **request, **both}


def counted_limits(options: argparse.Namespace) -> Json:
    counted = ("params", "mult_adds", "peak_memory", "model_bytes")
    return {**{name: getattr(options, f"limit_{name}") for name in counted}, "board": options.board}


def objective(options: argparse.Namespace) -> Json:
    """The objective's fields, None where one was left out."""
    return {
        **{name: getattr(options, name) for name in ("cost", "target", "form", "also", "metric")},
        **(options.w or {}),
    }


def growth_request(options: argparse.Namespace, client: Client) -> Json:
    fit = {"cost": options.fit} | {
        name: getattr(options, f"fit_{name}") for name in ("step", "tolerance", "least_gain")
    }
    return _given(
        {
            **{name: getattr(options, name) for name in ("name", "trial", "parallel", "priority", "seed", "seeds")},
            **{name: getattr(options, name) for name in ("processes", "scored_on", "parent")},
            "compare": options.compare,
            "fit": _given(fit),
            "scaling": _given({**(options.scaling or {}), "tolerance": options.scaling_tolerance}),
            "coefficients": options.coefficients,
            "inherit": options.inherit or None,
            "drop_dominated": options.drop_dominated or None,
            "devices": options.device,
            "members": options.members.split(",") if options.members else None,
            "recipe": recipe(options, client),
        }
    )


def recipe(options: argparse.Namespace, client: Client) -> Json:
    """The recipe named, if one is, with the fields given besides."""
    settled = ("epochs", "int8_epochs", "train_images", "batch", "learning_rate")
    names = (*settled, "class_weights", "folds", "group", "teacher")
    fields = {name: getattr(options, name) for name in names}
    return _recipe(options.recipe, client) | _given({**fields, "balanced": options.balanced or None})


def _recipe(text: str | None, client: Client) -> Json:
    if text is None:
        return {}
    if (fields := recipe_fields(text)) is not None:
        return fields
    known = client.recipes()
    if text not in known:
        raise ServiceError(f"recipe {text!r} is no file, and none of {', '.join(known)}")
    return known[text]


def _given(fields: Json) -> Json:
    """Without what was left out, so that the service's defaults hold."""
    return {name: item for name, item in fields.items() if item not in (None, {})}


def dataset(text: str) -> str:
    """A dataset's name; what is a path, or a folder here, and none of them is that of a folder."""
    known = text.partition(":")[0] in plugins.names("nas.datasets")
    return f"folder:{text}" if text.startswith(PATHS) or (not known and Path(text).is_dir()) else text


def value(text: str) -> Any:
    """A number, true or false where `text` is one; otherwise the text."""
    try:
        literal = json.loads(text)
    except ValueError:
        return text
    return literal if isinstance(literal, int | float | bool) else text


def whole(text: str) -> int:
    """A whole number, also as 3e5."""
    if text.lstrip("-").isdigit():
        return int(text)
    amount = number(text)
    if amount != int(amount):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(amount)


def size(text: str) -> int:
    """Bytes, also as 64kB, 1.5MB or 256KiB."""
    digits = text.rstrip("kKMGiB ")
    unit = text[len(digits) :].strip().removesuffix("B")
    if unit not in SIZES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: give bytes, or such as 64kB, 1.5MB or 256KiB")
    return round(number(digits) * SIZES[unit])


def number(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return amount


def assignment(text: str) -> tuple[str, str]:
    name, equals, rest = text.partition("=")
    if not (name and equals and rest):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, rest


def weights(text: str) -> str | dict[str, float]:
    if text in ("none", "auto"):
        return text
    pairs = [assignment(part) for part in text.split(",")]
    return {name: number(weight) for name, weight in pairs}


def exponents(text: str) -> dict[str, float]:
    if text in EXPONENTS:
        return dict(zip(("w_under", "w_over"), EXPONENTS[text]))
    numbers = [number(part) for part in text.split(",")]
    if len(numbers) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} has more than two numbers")
    return {"w_under": numbers[0], "w_over": numbers[-1]}


def sizes(text: str) -> list[float]:
    return [number(part) for part in text.split(",")]


def triple(text: str) -> dict[str, float]:
    numbers = [number(part) for part in text.split(",")]
    if len(numbers) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers with commas between")
    return dict(zip(("alpha", "beta", "gamma"), numbers))
