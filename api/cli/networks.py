"""Networks as they are given on a command line: by name, as JSON, or as choices of a search space."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from api.cli.fields import argument
from nas import codec, spaces, zoo
from nas.models import timm_strings
from nas.models.checkpoint import Card, card
from nas.networks.architecture import Images
from nas.networks.lowering import AnyArchitecture
from nas.service import Json, ServiceError
from nas.spaces import narrowed


def network(what: str, arguments: argparse.Namespace) -> AnyArchitecture:
    """The network that `what` names or spells: a published network, an architecture, something that has one (a job, a
    trial, a checkpoint's card), timm's strings, or choices of a search space. Raises ValueError and OSError."""
    text = _text(what)
    if text is None:
        if what in zoo.makers():
            return zoo.architecture(what, images(arguments, zoo.published()[what].images))
        if "/" in what or Path(what).suffix in (".json", ".safetensors"):
            raise ValueError(f"{what!r} is no file: give one, a published network's name, or JSON")
        return zoo.architecture(what, None)  # which says what there is
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{what[:60]!r} is not JSON: {error}") from error
    if isinstance(data, list):
        return timm_strings.architecture(data, images(arguments, Images(resolution=224)))
    if not isinstance(data, dict):
        raise ValueError(f"{what[:60]!r} is neither a JSON object nor timm's list")
    data = data.get("job", data)
    data = data.get("architecture", data)
    if "images" in data:
        return codec.decode(AnyArchitecture, data)  # type: ignore[arg-type]
    space, wanted = spaces.load(arguments.space), images(arguments, Images(resolution=224))
    choices = data.get("choices", data)
    knobs = space.knobs(wanted)
    missing = [knob for knob in knobs if knob not in choices]
    if missing:
        raise ValueError(
            f"knob {missing[0]!r} of space {arguments.space!r} has no choice: there are {', '.join(knobs)}"
        )
    narrowed(knobs, {knob: (choice,) for knob, choice in choices.items()})
    return space.architecture(choices, wanted)


def checkpoint_card(what: str) -> Card | None:
    """The card of the checkpoint that `what` is the path of; None where it is something else. Raises BadCheckpoint."""
    path = Path(what)
    return card(path) if path.suffix == ".safetensors" and path.is_file() else None


def _text(what: str) -> str | None:
    """The JSON that `what` is or leads to; None for a name."""
    if what.lstrip().startswith(("{", "[")):
        return what
    if what == "-":
        return sys.stdin.read()
    if what not in zoo.makers() and Path(what).is_file():
        return Path(what).read_text(encoding="utf-8")
    return None


def recipe_fields(what: str) -> Json | None:
    """The fields that `what` has as JSON, or a file of that name; None for a recipe's name. Raises ServiceError."""
    spelled = what.lstrip().startswith("{")
    if not spelled and not Path(what).is_file():
        return None
    try:
        return dict(json.loads(what if spelled else Path(what).read_text()))
    except (ValueError, TypeError) as error:
        raise ServiceError(f"recipe {what} is not a JSON object: {error}") from error


def image_arguments(parser: argparse.ArgumentParser, words: str) -> None:
    group = parser.add_argument_group(words)
    argument(group, Images, "resolution", type=int, metavar="PIXELS")
    argument(group, Images, "channels", told=False, type=int, metavar="N")
    argument(group, Images, "classes", told=False, type=int, metavar="N")


def images(arguments: argparse.Namespace, default: Images | None) -> Any:
    """`default` with what was said otherwise; None if there is neither."""
    said = {name: getattr(arguments, name) for name in ("resolution", "channels", "classes")}
    said = {name: value for name, value in said.items() if value is not None}
    if not said:
        return default
    base = default or Images(resolution=224)
    return Images(**{"resolution": base.resolution, "channels": base.channels, "classes": base.classes} | said)
