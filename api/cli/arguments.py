"""The command line's arguments for a search and a growth, and the API's requests that they stand for."""

import argparse
import json
import math
from typing import Any

from api.cli.networks import recipe_text
from nas.client import Client, ServiceError
from nas.objective import COSTS, FORMS

Json = dict[str, Any]


def search_arguments(parser: argparse.ArgumentParser) -> None:
    what, ranking, how = (parser.add_argument_group(title) for title in ("what", "objective and limits", "how"))
    what.add_argument(
        "--dataset", required=True, metavar="NAME", help="such as fashion_mnist or folder:/path/to/images"
    )
    what.add_argument("--name", metavar="TEXT", help="for you to find it again")
    what.add_argument("--space", metavar="NAME", help="mbconv by default; `nas spaces` lists them")
    what.add_argument("--resolution", type=whole, metavar="PIXELS", help="instead of the dataset's own")
    what.add_argument(
        "--knob",
        action="append",
        default=[],
        type=assignment,
        metavar="KNOB=A,B",
        help="only these choices of a knob, such as stage1.op=conv,fused; may be repeated",
    )
    what.add_argument("--trials", type=whole, metavar="N", help="networks to try")
    what.add_argument("--hours", type=number, metavar="H", help="begin no trial after so much work, pauses left out")
    what.add_argument(
        "--compute-hours", type=number, metavar="H", help="of processors, or GPUs: begin no trial once they are spent"
    )
    what.add_argument(
        "--least-gain", type=number, metavar="R", help="end when no more reward (front: share of its area) is expected"
    )
    what.add_argument("--searcher", metavar="NAME", help="surrogate by default; `nas searchers` lists them")
    what.add_argument(
        "--option",
        action="append",
        default=[],
        type=assignment,
        metavar="NAME=VALUE",
        help="an option of the searcher, such as population=10; may be repeated",
    )
    what.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="NAME",
        help="a published network to compare with, of `nas published`; may be repeated",
    )
    what.add_argument("--confirm", type=whole, metavar="N", help="of the trials, to train leading networks once more")
    ranking_arguments(ranking)
    form_argument(ranking)
    ranking.add_argument("--limit-params", type=whole, metavar="N", help="larger networks are not trained")
    ranking.add_argument("--limit-mult-adds", type=whole, metavar="N", help="dearer networks are not trained")
    ranking.add_argument(
        "--predict-within",
        type=number,
        metavar="ERROR",
        help="know latencies in advance where earlier measurements predict them to so much; 0.1 by default, 0: never",
    )
    ranking.add_argument("--limit-latency-ms", type=number, metavar="MS", help="slower networks are not trained")
    how.add_argument(
        "--fidelity", choices=("halving", "hyperband"), help="train networks a short time first, and the best longer"
    )
    how.add_argument("--eta", type=whole, metavar="N", help="so many times longer, for one in so many; with --fidelity")
    how.add_argument("--rungs", type=whole, metavar="N", help="lengths of training; the highest is the recipe's")
    how.add_argument("--scale", choices=("epochs", "train_images"), help="what the lower rungs have less of")
    how.add_argument("--save-weights", action="store_true", help="keep every trial's weights, to be downloaded")
    training_arguments(how)


def growth_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trial", type=whole, metavar="N", help="the network to grow; by default the search's best")
    parser.add_argument("--members", metavar="B0,B1", help="of B0 to B7, with commas between; B0,B1,B2,B3 by default")
    parser.add_argument(
        "--scaling",
        type=triple,
        metavar="α,β,γ",
        help="own factors on depth, width and resolution, such as 1.2,1.1,1.15",
    )
    parser.add_argument("--name", metavar="TEXT", help="for you to find it again")
    parser.add_argument(
        "--seeds", type=whole, metavar="N", help="trainings of each member, for mean and standard error"
    )
    training_arguments(parser)


def ranking_arguments(parser: Any) -> None:
    parser.add_argument("--cost", choices=COSTS, help="what is to be small")
    parser.add_argument("--target", type=number, metavar="T", help="the cost that is wanted, such as 5e6 or 2.0")
    parser.add_argument(
        "--w",
        type=exponents,
        metavar="W",
        help="the exponent, such as -0.07; or two, up to and above the target: 0,-1 or --w=-0.1,-1",
    )


def form_argument(parser: Any) -> None:
    parser.add_argument(
        "--form",
        choices=FORMS,
        help="product: accuracy × (cost / target)^w; absolute: accuracy + w·|cost / target - 1|; front: compromises",
    )
    parser.add_argument("--also", choices=COSTS, help="with --form front, a second cost that is to be small as well")


def training_arguments(parser: Any) -> None:
    parser.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help="where latency is measured; `nas devices` lists them. May be repeated: objective and limits look at the "
        "first one",
    )
    parser.add_argument("--recipe", metavar="NAME", help="of `nas recipes`, a file of JSON, or JSON")
    parser.add_argument("--epochs", type=whole, metavar="N", help="of training each network")
    parser.add_argument("--train-images", type=whole, metavar="N", help="a random, balanced part of them")
    parser.add_argument("--batch", type=whole, metavar="N", help="images in a step")
    parser.add_argument("--learning-rate", type=number, metavar="RATE", help="at its peak")
    parser.add_argument("--parallel", type=whole, metavar="N", help="trainings at once")
    parser.add_argument("--seed", type=whole, metavar="N", help="of everything random")


def search_request(chosen: argparse.Namespace, client: Client) -> Json:
    fidelity = {"kind": chosen.fidelity, "eta": chosen.eta, "rungs": chosen.rungs, "scaled": chosen.scale}
    limits = {name: getattr(chosen, f"limit_{name}") for name in ("params", "mult_adds", "latency_ms")}
    return _given(
        {
            **{
                name: getattr(chosen, name)
                for name in ("name", "dataset", "space", "resolution", "trials", "hours", "compute_hours", "searcher")
            },
            **{name: getattr(chosen, name) for name in ("least_gain", "predict_within", "parallel", "seed", "confirm")},
            "devices": chosen.device,
            "fidelity": _given(fidelity),
            "knobs": {knob: [value(part) for part in text.split(",")] for knob, text in chosen.knob},
            "options": {name: value(text) for name, text in chosen.option},
            "baselines": chosen.baseline or None,
            "objective": _given(objective(chosen)),
            "limits": _given(limits),
            "recipe": recipe(chosen, client),
            "save_weights": chosen.save_weights or None,
        }
    )


def objective(chosen: argparse.Namespace) -> Json:
    """The objective's fields, None where one was left out."""
    return {**{name: getattr(chosen, name) for name in ("cost", "target", "form", "also")}, **(chosen.w or {})}


def growth_request(chosen: argparse.Namespace, client: Client) -> Json:
    return _given(
        {
            **{name: getattr(chosen, name) for name in ("name", "trial", "scaling", "parallel", "seed", "seeds")},
            "devices": chosen.device,
            "members": chosen.members.split(",") if chosen.members else None,
            "recipe": recipe(chosen, client),
        }
    )


def recipe(chosen: argparse.Namespace, client: Client) -> Json:
    """The recipe named, if one is, with the fields given besides."""
    fields = {name: getattr(chosen, name) for name in ("epochs", "train_images", "batch", "learning_rate")}
    return _recipe(chosen.recipe, client) | _given(fields)


def _recipe(text: str | None, client: Client) -> Json:
    if text is None:
        return {}
    if (spelled := recipe_text(text)) is not None:
        try:
            found = json.loads(spelled)
        except ValueError as error:
            raise ServiceError(f"recipe {text} is not JSON: {error}") from error
        return dict(found)
    known = client.recipes()
    if text not in known:
        raise ServiceError(f"recipe {text!r} is no file, and none of {', '.join(known)}")
    return known[text]


def _given(fields: Json) -> Json:
    """Without what was left out, so that the service's defaults hold."""
    return {name: item for name, item in fields.items() if item not in (None, {})}


def value(text: str) -> Any:
    """A number, true or false where `text` is one; otherwise the text."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, int | float | bool) else text


def whole(text: str) -> int:
    """A whole number, also as 3e5."""
    if text.lstrip("-").isdigit():
        return int(text)
    found = number(text)
    if found != int(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(found)


def number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return found


def assignment(text: str) -> tuple[str, str]:
    name, equals, rest = text.partition("=")
    if not (name and equals and rest):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, rest


def exponents(text: str) -> dict[str, float]:
    numbers = [number(part) for part in text.split(",")]
    if len(numbers) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} has more than two numbers")
    return {"w_under": numbers[0], "w_over": numbers[-1]}


def triple(text: str) -> dict[str, float]:
    numbers = [number(part) for part in text.split(",")]
    if len(numbers) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers with commas between")
    return dict(zip(("alpha", "beta", "gamma"), numbers))
