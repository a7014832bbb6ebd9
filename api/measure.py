"""`nas measure`: the latency of any network on this machine's devices. It needs no service."""

import argparse
import json
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from api import numbers
from api.given import checkpoint_card, image_arguments, network
from api.tables import Fitted
from nas import codec, devices
from nas.counts import counts
from nas.models.checkpoint import BadCheckpoint

PIPED_COLUMNS = 200  # what reads a pipe cuts by itself


def add_arguments(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    words = "the latency of a network on this machine's devices"
    added = verbs.add_parser("measure", help=words, description=words)
    added.set_defaults(verb=lambda session: measure(session.chosen), url=None)
    added.add_argument(
        "what",
        help="a reference network's name, a checkpoint, or an architecture or choices as JSON or a file of it",
    )
    added.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help='of `nas devices`, with options or without: cpu, "cpu:threads=2,batch=8"; may be repeated; cpu by default',
    )
    added.add_argument("--space", default="mbconv", help="the search space of choices; mbconv if none is named")
    added.add_argument("--json", action="store_true", help="print JSON, and nothing else, on standard output")
    image_arguments(added, "what the network is for")


def measure(arguments: argparse.Namespace) -> int:
    """In a process of its own, as it needs torch and this one does not. 1 where a device could not measure."""
    named = arguments.device or ["cpu"]
    try:
        for name in named:
            devices.find(name)
        card = checkpoint_card(arguments.what)
        architecture = card.architecture if card else network(arguments.what, arguments)
        counted = counts(architecture)
    except (ValueError, OSError, BadCheckpoint) as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1
    request = {
        "architecture": codec.encode(architecture),
        "space": card.space if card else arguments.space,
        "devices": named,
    }
    command = [sys.executable, "-m", "nas.measure"]
    ran = subprocess.run(command, input=json.dumps(request), stdout=subprocess.PIPE, text=True)
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    if arguments.json:
        print(json.dumps(answers, indent=2, ensure_ascii=False))
    else:
        console = Console()
        if not console.is_terminal:
            console.width = PIPED_COLUMNS
        console.print(
            Text(f"{numbers.short(counted.params)} parameters, {numbers.short(counted.mult_adds)} multiply-adds"),
            _table(answers),
            sep="\n",
        )
    return int(ran.returncode != 0)


def _table(answers: list[dict[str, Any]]) -> Fitted:
    rows = []
    for answer in answers:
        latency = answer["latency"] or {}
        rows.append(
            (
                answer["device"],
                *(numbers.milliseconds(latency.get(name)) for name in ("median_ms", "p95_ms", "minimum_ms")),
                f"{latency['ratio']:.3g}" if latency else "–",
                str(latency["rounds"]) if latency else "–",
                " ".join((answer["error"] or latency.get("noisy") or "").split()),
            )
        )
    return Fitted(["Device", ">Median", ">95 %", ">Minimum", ">Ratio", ">Rounds", ""], rows, flexible=[""])
