"""The command line, `nas`. Exit codes: 0 done; 1 a run failed, or the service refused or is away; 2 used wrongly, or a
verb needs packages that are not installed."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.cli import (
    INTERRUPTED,
    arguments,
    catalogue,
    comparisons,
    importance,
    keeping,
    measure,
    numbers,
    offline,
    owners,
    proxy,
    terminal,
    verbs,
)
from api.cli.fields import argument
from api.cli.session import Session
from api.requests import Budget, Labelling
from nas import plugins, settings, sinks
from nas.client import CHECKPOINT, ServiceError
from nas.extras import NotInstalled
from nas.models.manifest import PACKINGS
from nas.quotas import Quota
from nas.tokens import SCOPES, TokenRequest
from nas.version import version


def main(arguments: Sequence[str] | None = None) -> int:
    terminal.prepare()
    options = parser().parse_args(arguments)
    try:
        with Session(options) as session:
            code: int = options.verb(session)
        sys.stdout.flush()
    except (ServiceError, OSError, plugins.BrokenPlugin) as error:
        if isinstance(error, BrokenPipeError):  # whoever read on has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"nas: {_said(error)}", file=sys.stderr)
        return 1
    except NotInstalled as error:
        print(f"nas: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _said(error: ServiceError | OSError | plugins.BrokenPlugin) -> str:
    if isinstance(error, ServiceError):
        return f"{error}: nas show {error.elsewhere.rpartition('/')[-1]} shows it" if error.elsewhere else str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


class Version(argparse.Action):
    """Prints it and leaves, as argparse's own action does, which would ask git for it before every other verb too."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="which build this is")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(version())
        parser.exit()


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="nas", description="Search for the best network for your images and your device."
    )
    whole.add_argument("--version", action=Version)
    known = whole.add_subparsers(title="verbs", metavar="VERB", required=True)

    def add(name: str, verb: verbs.Verb, words: str) -> argparse.ArgumentParser:
        added = known.add_parser(name, help=words, description=words)
        added.set_defaults(verb=verb)
        added.add_argument("--json", action="store_true", help="print JSON, and nothing else, on standard output")
        added.add_argument("--url", help=f"where the service is; NAS_URL, else {settings.URL.default}")
        return added

    served = add("serve", verbs.serve, "start the service: API, dashboard and coordinator")
    served.add_argument("--host", default="127.0.0.1", help="the address to listen at; 127.0.0.1 lets nobody else in")
    served.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    served.add_argument("--database", metavar="URL", help="NAS_DATABASE, else a SQLite file in NAS_HOME")
    served.add_argument(
        "--images",
        action="append",
        default=[],
        metavar="DIR",
        help="a folder that datasets may be read from, beside those of NAS_IMAGES; may be given several times",
    )
    served.add_argument("--no-coordinator", action="store_true", help="the workers are elsewhere")
    served.add_argument(
        "--no-login",
        action="store_true",
        help="ask nobody for a token: who can open a port of this machine is an admin",
    )

    migrated = add("migrate", verbs.migrate, "make the database, or bring it up to date; the service does so as well")
    migrated.add_argument("--database", metavar="URL", help="NAS_DATABASE, else a SQLite file in NAS_HOME")

    for name, verb, words in (
        ("backup", keeping.backup, "write database, checkpoints and uploads of this machine to one file"),
        ("restore", keeping.restore, "bring a backup back, into an empty database of either kind"),
    ):
        saved = add(name, verb, words)
        saved.add_argument("file", type=Path, metavar="FILE.tar")
        saved.add_argument("--database", metavar="URL", help="NAS_DATABASE, else a SQLite file in NAS_HOME")

    searched = add("search", verbs.search, "submit a search")
    arguments.search_arguments(searched)
    searched.set_defaults(misused=searched.error)
    searched.add_argument("--like", metavar="RUN", help="what is left out is as that search has it")
    searched.add_argument("--auto", action="store_true", help="what is left out is what a look at the images proposes")
    searched.add_argument("--forecast", action="store_true", help="say what it would take, and submit nothing")
    searched.add_argument("--watch", action="store_true", help="and watch it until it has ended")
    add("watch", verbs.watch_run, "watch a run until it has ended").add_argument("run")
    add("show", verbs.show, "a run, whole").add_argument("run")
    ranked = add("pareto", verbs.pareto, "the Pareto front of a search, ranked by its objective or another")
    ranked.add_argument("run")
    arguments.ranking_arguments(ranked, told=False)
    ranked.add_argument("--device", metavar="NAME", help="by the latency on this one of the search's devices")
    mattered = add("knobs", importance.knobs, "which knobs of a search mattered, and what each choice came to")
    mattered.add_argument("run")
    arguments.ranking_arguments(mattered, told=False)
    mattered.add_argument("--device", metavar="NAME", help="by the latency on this one of the search's devices")
    beside = add("compare", comparisons.compare, "up to six runs or trials side by side, ranked by one objective")
    beside.add_argument("of", nargs="+", metavar="RUN|RUN:TRIAL", help="a search or growth, or one trial of it")
    arguments.ranking_arguments(beside, told=False)
    beside.add_argument("--device", metavar="NAME", help="by the latency on this device, which all were measured on")
    told = add("report", keeping.report, "write a search or growth to one HTML file that needs no other")
    told.add_argument("run")
    told.add_argument("--out", type=Path, metavar="FILE", help="where to; RUN.html by default")
    tried = add("trials", verbs.trials, "the trials of a run")
    tried.add_argument("run")
    tried.add_argument("--why", action="store_true", help="why trials failed or were refused, with tracebacks")
    add("events", verbs.events, "what happened to a run").add_argument("run")
    grown = add("grow", verbs.grow, "grow a network that a search found into a family")
    grown.add_argument("run", metavar="search")
    arguments.growth_arguments(grown)
    grown.add_argument("--watch", action="store_true", help="and watch it until it has ended")
    fetched = add("download", verbs.download, "fetch trained networks, as whatever runs them")
    fetched.add_argument(
        "what", metavar="model|RUN@NAME|run", help="one model, best, latest or b0, say, of a run, or all of a run"
    )
    fetched.add_argument(
        "--as",
        dest="kind",
        choices=(*plugins.names("nas.exporters"), *PACKINGS),
        default=CHECKPOINT,
        help="a checkpoint with its card (safetensors, the default), another runtime's file, or all of it in one",
    )
    fetched.add_argument("--to", default=".", metavar="FOLDER", help="where to put them")
    handed = add("files", verbs.files, "what a model is handed out as, and what each file scored in its own runtime")
    handed.add_argument("model", metavar="model|RUN@NAME")
    handed.add_argument("--make", action="store_true", help="make them first; what was refused is tried again")
    scored = add("score", verbs.score, "reload checkpoints and compare their accuracy with what was promised")
    scored.add_argument("checkpoint", nargs="+")
    scored.add_argument("--dataset", metavar="NAME", help="where its images are now, if not where they were")
    exported = add("export", verbs.export, "write the trials of a run to where other tools open them")
    exported.add_argument("format", choices=sorted((*sinks.names(), "optuna")))
    exported.add_argument("run", help="for Optuna a search, else a run of any kind")
    exported.add_argument(
        "--out",
        metavar="WHERE",
        help="optuna: a SQLite file, by default named after the search; tensorboard: a folder, by default tensorboard; "
        "mlflow: a tracking URI, by default sqlite:///mlflow.db",
    )
    edited = add("edit", keeping.edit, "rename a run, write a note on it, tag it, or put it away")
    edited.add_argument("run")
    argument(edited, Labelling, "name", metavar="TEXT")
    argument(edited, Labelling, "note", metavar="TEXT")
    edited.add_argument("--tag", action="append", default=[], metavar="TAG", help="one tag more; may be repeated")
    edited.add_argument("--untag", action="append", default=[], metavar="TAG", help="one tag less; may be repeated")
    away = edited.add_mutually_exclusive_group()
    argument(away, Labelling, "archived", "--archive", dest="archived", action="store_true", default=None)
    away.add_argument("--unarchive", dest="archived", action="store_false", help="take it out of the archive")
    listed = add("list", verbs.list_runs, "runs of every kind, newest first, without those that are put away")
    listed.add_argument("--archived", action="store_true", help="those that are put away")
    listed.add_argument("--tag", metavar="TAG", help="only those with this tag")
    listed.add_argument("--limit", type=int, default=20, metavar="N", help="so many at most")
    add("models", verbs.models, "trained networks, newest first").add_argument(
        "run", nargs="?", help="only of this run"
    )
    for name, words in (
        ("pause", "begin no new trials for now"),
        ("resume", "go on with a paused run"),
        ("stop", "end a run when its running trials have ended"),
        ("cancel", "end a run at once and kill its running trials"),
    ):
        wished = add(name, verbs.wish, words)
        wished.add_argument("run")
        wished.set_defaults(wish=name)
    gone = add("delete", keeping.delete, "delete a run with all that came of it, or the weights of a model, for good")
    gone.add_argument("what", metavar="run|model|RUN@NAME")
    for name, words in (
        ("pin", "keep the weights of a model whatever else is removed"),
        ("unpin", "let the weights of a model go like others"),
    ):
        pinned = add(name, keeping.pin, words)
        pinned.add_argument("model", metavar="model|RUN@NAME")
        pinned.set_defaults(pin=name)
    add("disk", keeping.disk, "what lies on the service's disk, and which runs hold it")
    pruned = add("prune", keeping.prune, "remove what nobody has used for long, and what is left of what is gone")
    pruned.add_argument(
        "--older-than",
        type=keeping.days,
        default=30.0,
        metavar="AGE",
        help="such as 30d, the default, 12h or 2w; what is left of runs and processes that are gone goes at any age",
    )
    pruned.add_argument("--dry-run", action="store_true", help="say what would go, and remove nothing")
    raised = add("raise", verbs.raise_budget, "give a search another number of trials or hours")
    raised.add_argument("run", metavar="search")
    argument(raised, Budget, "trials", "trials", type=int, nargs="?")
    argument(raised, Budget, "hours", type=arguments.number, metavar="H")
    argument(raised, Budget, "compute_hours", type=arguments.number, metavar="H")
    waiting = add(
        "queue", verbs.queue, "what runs and what waits for what; or let a run wait before or behind the others"
    )
    waiting.add_argument("run", nargs="?", help="one that waits")
    waiting.add_argument("place", nargs="?", choices=("first", "last"), help="of those that wait")
    rough = add("remeasure", verbs.measure_again, "measure the latency of a search's trial again, where it is noisy")
    rough.add_argument("run", metavar="search")
    rough.add_argument("trial", type=int, help="its number")
    listed = add("datasets", catalogue.datasets, "datasets that are known, or what is known of one")
    listed.add_argument(
        "what", nargs="?", metavar="check|NAME", help="a dataset such as folder:/data/flowers; check looks at one"
    )
    listed.add_argument(
        "name", nargs="?", metavar="NAME|FOLDER", help="check: what there is of each class, and what a search should be"
    )
    sent = add("images", verbs.images, "images that were uploaded to the service: list, upload and delete them")
    sent.add_argument("what", choices=("list", "upload", "delete"))
    sent.add_argument("images", nargs="?", metavar="PATH|NAME", help="a folder or archive to upload; a name to delete")
    sent.add_argument("--name", help="what to call an upload: it is dataset images:NAME; by default as the folder is")
    spaced = add("spaces", catalogue.spaces, "search spaces, or one of them, or its knobs")
    spaced.add_argument("space", nargs="?", help="one of them; of a dataset mbconv, if none is named")
    spaced.add_argument("--dataset", metavar="NAME", help="show the knobs for these images")
    spaced.add_argument("--parent", metavar="NAME", help="show those around this parent")
    add("searchers", catalogue.searchers, "searchers and their options")
    add("boards", catalogue.boards, "boards that networks can be made to fit on")
    there = add("devices", catalogue.devices, "devices that latency can be measured on")
    there.add_argument("--check", action="store_true", help="what this host is worth for latency, in five seconds")
    add("parents", catalogue.parents, "trained networks whose weights the candidates of a search can begin with")
    add("recipes", catalogue.recipes, "recipes for training, by name")
    compared = add("proxy", verbs.compare, "what a cheap training is worth: does it order candidates like a dear one?")
    proxy.arguments(compared)
    measured = add("measure", verbs.measure_networks, "the latency of a network, here or on the service's workers")
    measure.arguments(measured)
    add("config", verbs.config, "variables of the environment that count, and what they are here")
    add("health", verbs.health, "how the service is")
    kept = add("token", verbs.tokens, "who may use the service: make, list and revoke tokens")
    kept.add_argument("what", choices=("create", "list", "revoke"))
    kept.add_argument("token", nargs="?", help="the one to revoke, or its id")
    argument(kept, TokenRequest, "owner", metavar="NAME")
    argument(kept, TokenRequest, "scope", choices=SCOPES, default="write")
    argument(kept, TokenRequest, "days", type=arguments.number, metavar="N")
    add("top", owners.top, "who uses what: trials, hours of processors and GPUs, disk")
    owned = add("quota", owners.quota, "what an owner may use; an admin sets it, as far as it is named")
    owned.add_argument("owner", type=owners.name, help="the name that tokens were made for")
    argument(owned, Quota, "running_trials", type=owners.limit(int), metavar="N|none")
    argument(owned, Quota, "compute_hours", type=owners.limit(arguments.number), metavar="H|none")
    size = owners.limit(numbers.bytes_of)
    argument(owned, Quota, "disk_bytes", "--disk", dest="disk_bytes", type=size, metavar="SIZE|none")
    add("mcp", verbs.tools, "the service as tools of the Model Context Protocol, on standard input and output")
    offline.add_arguments(known)
    return whole


if __name__ == "__main__":
    sys.exit(main())
