"""The command line, `nas`. Exit codes: 0 done; 1 a run failed, or the service refused or is away; 2 used wrongly."""

import argparse
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from api import listings, measure, proposal, proxy, reference, summaries, tables
from api.client import DEFAULT_URL, Client, ServiceError
from api.watch import watch
from nas.codec import encode
from nas.models.checkpoint import BadCheckpoint

FAILED = ("failed", "cancelled")
INTERRUPTED = 128 + signal.SIGINT
PIPED_COLUMNS = 200  # what reads a pipe cuts by itself
Verb = Callable[["Session"], int]


class Session:
    """One invocation: its arguments, the service, and where words and data go."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen, self.json, self._open = chosen, chosen.json, contextlib.ExitStack()
        # With --json standard output is for a program; whatever is for people goes beside it.
        self.console = Console(stderr=self.json)
        if not self.console.is_terminal and "COLUMNS" not in os.environ:
            self.console.width = PIPED_COLUMNS

    @functools.cached_property
    def client(self) -> Client:
        return self._open.enter_context(Client(self.chosen.url))

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def show(self, data: Any, shown: Callable[[Any], RenderableType]) -> int:
        if self.json:
            print(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            text = shown(data)
            self.console.print(text, highlight=False, markup=False, soft_wrap=isinstance(text, str))
        return 0

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    verb: Verb = chosen.verb
    try:
        with Session(chosen) as session:
            code = verb(session)
        sys.stdout.flush()
    except (ServiceError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # whoever read on has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"nas: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def search(session: Session) -> int:
    request = proposal.search_request(session.chosen, session.client)
    forecast = session.client.forecast(**request)
    if session.chosen.forecast:
        return session.show(forecast, summaries.forecast)
    session.say(summaries.forecast(forecast))
    return _submitted(session, session.client.search(**request))


def grow(session: Session) -> int:
    request = proposal.growth_request(session.chosen, session.client)
    return _submitted(session, session.client.grow(session.chosen.run, **request))


def _submitted(session: Session, run: Any) -> int:
    if session.chosen.watch:
        session.say(f"{run['kind'].capitalize()} {run['id']} is submitted")
        return _watched(session, run["id"])

    def told(run: Any) -> RenderableType:
        return f"{run['kind'].capitalize()} {run['id']} is submitted. Follow it with: nas watch {run['id']}"

    return session.show(run, told)


def watch_run(session: Session) -> int:
    return _watched(session, session.chosen.run)


def _watched(session: Session, run: str) -> int:
    try:
        found = watch(session.client, run, session.console)
    except KeyboardInterrupt:
        session.say(f"\nIt goes on without you. Come back with: nas watch {run}   End it with: nas stop {run}")
        return INTERRUPTED
    session.show(found, summaries.run)
    if found["kind"] == "search" and found["best"]:
        session.say(f"\nThe front: nas pareto {run}   A family: nas grow {run} --members B0,B1 --watch")
    elif found["kind"] == "growth" and found["counts"]["done"]:
        session.say(f"\nCheckpoints: nas download {run}")
    return 1 if found["state"] in FAILED else 0


def show(session: Session) -> int:
    return session.show(session.client.run(session.chosen.run), summaries.run)


def pareto(session: Session) -> int:
    chosen = session.chosen
    ranking = proposal.objective(chosen) | {"device": chosen.device}
    return session.show(session.client.pareto(chosen.run, **ranking), tables.pareto)


def trials(session: Session) -> int:
    return session.show(session.client.trials(session.chosen.run), tables.trials)


def events(session: Session) -> int:
    return session.show(session.client.events(session.chosen.run), tables.events)


def list_runs(session: Session) -> int:
    return session.show(session.client.runs(session.chosen.limit), tables.runs)


def models(session: Session) -> int:
    return session.show(session.client.models(session.chosen.run), tables.models)


def download(session: Session) -> int:
    name, client = session.chosen.what, session.client
    chosen = [client.model(name)] if "-" in name else client.models(name)
    if not chosen:
        raise ServiceError(f"run {name} has saved no model: grow it (nas grow {name}), or search with --save-weights")
    files = []
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, console=session.console, disable=not session.console.is_terminal) as bars:
        for model in reversed(chosen):
            bar = bars.add_task(model["file"], total=model["bytes"])
            report = functools.partial(_advance, bars, bar)
            files.append(str(client.download(model["id"], session.chosen.to, report)))
            report(model["bytes"])
    return session.show({"files": files}, lambda data: "\n".join(data["files"]))


def _advance(bars: Progress, bar: TaskID, done: int) -> None:
    bars.update(bar, completed=done)


def score(session: Session) -> int:
    """In a process of its own, as it needs torch and this one does not."""
    code, results = 0, []
    for checkpoint in session.chosen.checkpoint:
        command = [sys.executable, "-m", "nas.models.score", checkpoint]
        command += ["--dataset", session.chosen.dataset] if session.chosen.dataset else []
        ran = subprocess.run(command, stdout=subprocess.PIPE if session.json else None, text=True)
        results.append({"checkpoint": checkpoint, "kept": ran.returncode == 0, "text": (ran.stdout or "").strip()})
        code = max(code, ran.returncode)
    if session.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    return min(code, 1)


def export(session: Session) -> int:
    """In a process of its own, as it needs Optuna and this one does not."""
    chosen = session.chosen
    found = session.client.run(chosen.run)
    if found["kind"] != "search":
        raise ServiceError(f"run {chosen.run} is a {found['kind']}: a study is made of a search")
    past = {"id": chosen.run, "objective": found["spec"]["objective"], "trials": session.client.trials(chosen.run)}
    command = [sys.executable, "-m", "nas.searchers._study", chosen.out or f"{chosen.run}.db"]
    ran = subprocess.run(command, input=json.dumps(past), capture_output=True, text=True)
    if ran.returncode:
        raise ServiceError(ran.stderr.strip().rpartition("\n")[2])
    made = {"file": command[-1], "study": chosen.run, "trials": int(ran.stdout)}
    words = "Study {study} with {trials} trials is in {file}: optuna-dashboard sqlite:///{file}"
    return session.show(made, lambda data: words.format(**data))


def wish(session: Session) -> int:
    verb = session.chosen.wish
    found = getattr(session.client, verb)(session.chosen.run)
    return session.show(
        found, lambda run: f"{run['kind'].capitalize()} {run['id']}: {verb} is wished for, it is {run['state']}"
    )


def raise_budget(session: Session) -> int:
    chosen = session.chosen
    found = session.client.raise_budget(
        chosen.run, chosen.trials, hours=chosen.hours, compute_hours=chosen.compute_hours
    )

    def said(run: dict[str, Any]) -> str:
        spec = run["spec"]
        hours = (f", {spec[name]:g} {name.replace('_', ' ')}" for name in ("hours", "compute_hours") if spec[name])
        return f"Search {run['id']} has {run['trials']} trials{''.join(hours)} now, it is {run['state']}"

    return session.show(found, said)


def datasets(session: Session) -> int:
    return session.show(session.client.datasets(), listings.datasets)


def spaces(session: Session) -> int:
    if not session.chosen.dataset:
        return session.show(session.client.spaces(), listings.plugins)
    found = session.client.dataset(session.chosen.dataset)
    if not found["info"]:
        raise ServiceError(found["problem"])
    info = found["info"]
    space = session.client.space(session.chosen.space, info["resolution"], info["channels"], len(info["classes"]))
    return session.show(space, listings.knobs)


def searchers(session: Session) -> int:
    return session.show(session.client.searchers(), listings.plugins)


def devices(session: Session) -> int:
    return session.show(session.client.devices(), listings.plugins)


def recipes(session: Session) -> int:
    return session.show(session.client.recipes(), listings.recipes)


def compare(session: Session) -> int:
    """On this machine, or on the service's workers."""
    try:
        spec = proxy.specified(session.chosen)
        if session.chosen.on_service:
            return _submitted(session, session.client.proxy(**encode(spec)))
        say = Console(stderr=True, highlight=False, markup=False).print
        found = proxy.found_here(spec, say)
    except (ValueError, ModuleNotFoundError) as error:
        raise ServiceError(str(error)) from error
    return session.show({"spec": encode(spec), "report": encode(found)}, tables.fidelity)


def measure_networks(session: Session) -> int:
    """On this machine, or on the service's workers."""
    if not session.chosen.on_service:
        return measure.measure(session.chosen)
    try:
        request = measure.request(session.chosen)
    except (ValueError, BadCheckpoint) as error:
        raise ServiceError(str(error)) from error
    return _submitted(session, session.client.measure(**request))


def health(session: Session) -> int:
    return session.show(session.client.health(), listings.health)


def serve(session: Session) -> int:
    from api.serve import serve as run_service

    chosen = session.chosen
    return run_service(chosen.host, chosen.port, chosen.database, coordinator=not chosen.no_coordinator)


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="nas", description="Search for the best network for your images and your device."
    )
    whole.add_argument("--version", action="version", version=version("nas-service"))
    verbs = whole.add_subparsers(title="verbs", metavar="VERB", required=True)

    def add(name: str, verb: Verb, words: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=words, description=words)
        added.set_defaults(verb=verb)
        added.add_argument("--json", action="store_true", help="print JSON, and nothing else, on standard output")
        added.add_argument("--url", help=f"where the service is; NAS_URL, else {DEFAULT_URL}")
        return added

    served = add("serve", serve, "start the service: API, dashboard and coordinator")
    served.add_argument("--host", default="127.0.0.1", help="the address to listen at; 127.0.0.1 lets nobody else in")
    served.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    served.add_argument("--database", metavar="URL", help="NAS_DATABASE, else a SQLite file in NAS_HOME")
    served.add_argument("--no-coordinator", action="store_true", help="the workers are elsewhere")

    searched = add("search", search, "submit a search")
    proposal.search_arguments(searched)
    searched.add_argument("--forecast", action="store_true", help="say what it would take, and submit nothing")
    searched.add_argument("--watch", action="store_true", help="and watch it until it has ended")
    add("watch", watch_run, "watch a run until it has ended").add_argument("run")
    add("show", show, "a run, whole").add_argument("run")
    ranked = add("pareto", pareto, "the Pareto front of a search, ranked by its objective or another")
    ranked.add_argument("run")
    proposal.ranking_arguments(ranked)
    proposal.form_argument(ranked)
    ranked.add_argument("--device", metavar="NAME", help="by the latency on this one of the search's devices")
    add("trials", trials, "the trials of a run").add_argument("run")
    add("events", events, "what happened to a run").add_argument("run")
    grown = add("grow", grow, "grow a network that a search found into a family")
    grown.add_argument("run", metavar="search")
    proposal.growth_arguments(grown)
    grown.add_argument("--watch", action="store_true", help="and watch it until it has ended")
    fetched = add("download", download, "fetch checkpoints and their cards")
    fetched.add_argument("what", metavar="model|run", help="one model, or all of a growth or search")
    fetched.add_argument("--to", default=".", metavar="FOLDER", help="where to put them")
    scored = add("score", score, "reload checkpoints and compare their accuracy with what was promised")
    scored.add_argument("checkpoint", nargs="+")
    scored.add_argument("--dataset", metavar="NAME", help="where its images are now, if not where they were")
    exported = add("export", export, "write the trials of a search to a file that other tools open")
    exported.add_argument("format", choices=("optuna",))
    exported.add_argument("run", metavar="search")
    exported.add_argument("--out", metavar="FILE", help="the study, a SQLite file; named after the search by default")
    listed = add("list", list_runs, "runs of every kind, newest first")
    listed.add_argument("--limit", type=int, default=20, metavar="N", help="so many at most")
    add("models", models, "trained networks, newest first").add_argument("run", nargs="?", help="only of this run")
    for name, words in (
        ("pause", "begin no new trials for now"),
        ("resume", "go on with a paused run"),
        ("stop", "end a run when its running trials have ended"),
        ("cancel", "end a run at once and kill its running trials"),
    ):
        wished = add(name, wish, words)
        wished.add_argument("run")
        wished.set_defaults(wish=name)
    raised = add("raise", raise_budget, "give a search another number of trials or hours")
    raised.add_argument("run", metavar="search")
    raised.add_argument("trials", type=int, nargs="?", help="in all, those that have ended included")
    raised.add_argument("--hours", type=float, metavar="H", help="of work, in all")
    raised.add_argument("--compute-hours", type=float, metavar="H", help="of processors, or GPUs, in all")
    add("datasets", datasets, "datasets that are known")
    spaced = add("spaces", spaces, "search spaces, or the knobs of one")
    spaced.add_argument("space", nargs="?", default="mbconv")
    spaced.add_argument("--dataset", metavar="NAME", help="show the knobs for these images")
    add("searchers", searchers, "searchers and their options")
    add("devices", devices, "devices that latency can be measured on")
    add("recipes", recipes, "recipes for training, by name")
    compared = add("proxy", compare, "what a cheap training is worth: does it order candidates as a dear one does?")
    proxy.arguments(compared)
    measured = add("measure", measure_networks, "the latency of a network, here or on the service's workers")
    measure.arguments(measured)
    add("health", health, "how the service is")
    reference.add_arguments(verbs)
    return whole


if __name__ == "__main__":
    sys.exit(main())
