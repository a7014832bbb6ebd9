"""`nas measure`: the latency of networks, on this machine's devices without a service, or on those of its workers."""

import argparse
import json
import re
import subprocess
import sys
from typing import Any

from api.cli import tables, terminal
from api.cli.arguments import AGAIN, whole
from api.cli.fields import argument
from api.cli.networks import checkpoint_card, image_arguments, images, network
from api.requests import BenchmarkRequest
from nas import codec, devices, extras, spaces, zoo
from nas.models.checkpoint import BadCheckpoint
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture

Json = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        help="a published network's name, a checkpoint, an architecture or choices as JSON or a file of it, or, with "
        "--on-service, a model's id",
    )
    argument(
        parser, BenchmarkRequest, "devices", "--device", dest="device", more=AGAIN, action="append", metavar="NAME"
    )
    argument(parser, BenchmarkRequest, "space", default="mbconv", metavar="NAME")
    parser.add_argument("--on-service", action="store_true", help="on the devices of the service's workers")
    argument(parser, BenchmarkRequest, "networks", more="with --on-service", type=whole, metavar="N")
    argument(parser, BenchmarkRequest, "dataset", more="with --networks", metavar="NAME")
    argument(parser, BenchmarkRequest, "parent", more="with --networks", metavar="NAME")
    parser.add_argument("--watch", action="store_true", help="with --on-service: and watch it until it has ended")
    image_arguments(parser, "what the network is for")


def request(options: argparse.Namespace) -> Json:
    """The API's request that the arguments stand for. Raises ValueError and OSError."""
    named: Json = {"devices": options.device or ["cpu"]}
    said = images(options, None)
    about = {"images": codec.encode(said)} if said else {"dataset": options.dataset} if options.dataset else {}
    if bool(options.what) == (options.networks is not None):
        raise ValueError("measure takes one network, or --networks and a number")
    if options.networks is not None:
        about |= {"parent": options.parent} if options.parent else {}
        return {**named, **about, "networks": options.networks, "space": options.space}
    if options.parent:
        raise ValueError("--parent is what drawn networks are cut out of: give it with --networks")
    if options.what in zoo.makers():
        return {**named, **about, "published": options.what}
    if re.fullmatch(r"[0-9a-f]{12}-\d+", options.what):
        return {**named, "model": options.what}
    return {**named, **_whole(options)}


def measure(options: argparse.Namespace) -> int:
    """On this machine, in a process of its own, as it needs torch and this one does not. 1 where a device could not
    measure."""
    named = options.device or ["cpu"]
    try:
        if options.networks is not None or options.dataset or options.parent or options.watch or not options.what:
            needing = "--networks, --dataset, --parent and --watch need --on-service"
            raise ValueError(f"measure takes one network here: {needing}")
        extras.require("measure without --on-service", "workers", "torch")
        for name in named:
            devices.find(name)
        whole = _whole(options)
        spaces.load(whole["space"])
    except (ValueError, OSError, BadCheckpoint) as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "nas.measure"]
    ran = subprocess.run(command, input=json.dumps(whole | {"devices": named}), stdout=subprocess.PIPE, text=True)
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    if options.json:
        terminal.print_json(answers)
    else:
        counted = counts(codec.decode(AnyArchitecture, whole["architecture"]))  # type: ignore[arg-type]
        one = {"params": counted.params, "mult_adds": counted.mult_adds, "readings": answers}
        terminal.console().print(tables.latencies([one]))
    return int(ran.returncode != 0)


def _whole(options: argparse.Namespace) -> Json:
    """The network's architecture and the space that builds it."""
    card = checkpoint_card(options.what)
    architecture = card.architecture if card else network(options.what, options)
    counts(architecture)
    return {"architecture": codec.encode(architecture), "space": card.space if card else options.space}
