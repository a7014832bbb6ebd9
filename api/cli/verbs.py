"""What the verbs of `nas` do; each returns the code that the command exits with."""

import functools
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from rich.console import RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from api.cli import arguments, listings, measure, proxy, summaries, tables, terminal
from api.cli.reasons import fruitless, reasons
from api.cli.session import Session
from api.cli.watch import watch
from nas import home, settings
from nas.client import ServiceError
from nas.codec import encode
from nas.extras import require
from nas.models.checkpoint import BadCheckpoint

FAILED = ("failed", "cancelled")
INTERRUPTED = 128 + signal.SIGINT
Verb = Callable[[Session], int]


def search(session: Session) -> int:
    request = arguments.search_request(session.options, session.client)
    forecast = session.client.forecast(**request)
    if session.options.forecast:
        return session.show(forecast, summaries.forecast)
    session.say(summaries.forecast(forecast))
    return _submitted(session, session.client.search(**request))


def grow(session: Session) -> int:
    request = arguments.growth_request(session.options, session.client)
    return _submitted(session, session.client.grow(session.options.run, **request))


def _submitted(session: Session, run: Any) -> int:
    remarks = [f"Note: {run['hint']}"] if run.get("hint") else []
    remarks += [f"Images: {text}" for text in summaries.remarks(run["spec"])]
    if session.options.watch:
        session.say("\n".join([f"{run['kind'].capitalize()} {run['id']} is submitted", *remarks]))
        return _watched(session, run["id"])

    def words(run: Any) -> RenderableType:
        said = f"{run['kind'].capitalize()} {run['id']} is submitted. Follow it with: nas watch {run['id']}"
        return "\n".join([said, *remarks])

    return session.show(run, words)


def watch_run(session: Session) -> int:
    return _watched(session, session.options.run)


def _watched(session: Session, run: str) -> int:
    try:
        view = watch(session.client, run, session.console)
    except KeyboardInterrupt:
        session.say(f"\nIt goes on without you. Come back with: nas watch {run}   End it with: nas stop {run}")
        return INTERRUPTED
    session.show(view, summaries.run)
    if view["kind"] == "search" and view["best"]:
        session.say(f"\nThe front: nas pareto {run}   A family: nas grow {run} --members B0,B1 --watch")
    elif view["kind"] == "growth" and view["counts"]["done"]:
        session.say(f"\nCheckpoints: nas download {run}")
    return 1 if view["state"] in FAILED else 0


def show(session: Session) -> int:
    return session.show(session.client.run(session.options.run), summaries.run)


def pareto(session: Session) -> int:
    options = session.options
    ranking = arguments.objective(options) | {"device": options.device}
    return session.show(session.client.pareto(options.run, **ranking), tables.pareto)


def trials(session: Session) -> int:
    rows = session.client.trials(session.options.run)
    return session.show(fruitless(rows), reasons) if session.options.why else session.show(rows, tables.trials)


def events(session: Session) -> int:
    return session.show(session.client.events(session.options.run), tables.events)


def list_runs(session: Session) -> int:
    return session.show(session.client.runs(session.options.limit), tables.runs)


def models(session: Session) -> int:
    return session.show(session.client.models(session.options.run), tables.models)


def download(session: Session) -> int:
    name, client = session.options.what, session.client
    rows = [client.model(name)] if "-" in name or "@" in name else client.models(name)
    if not rows:
        raise ServiceError(f"run {name} has saved no model: grow it (nas grow {name}), or search with --save-weights")
    files = []
    with _bars(session) as bars:
        for model in reversed(rows):
            bar = bars.add_task(f"{model['id']} as {session.options.kind}", total=None)
            wanted = client.offered(model["id"], session.options.kind)  # which may have to be made first
            bars.update(bar, description=wanted.name, total=wanted.bytes)
            report = functools.partial(_advance, bars, bar)
            files.append(str(client.download(model["id"], session.options.to, report, session.options.kind)))
            report(wanted.bytes)
    return session.show({"files": files}, lambda data: "\n".join(data["files"]))


def files(session: Session) -> int:
    client, model = session.client, session.options.model
    return session.show(client.make_files(model) if session.options.make else client.files(model), tables.files)


def _bars(session: Session) -> Progress:
    """Of bytes that are sent or fetched, in a terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    return Progress(*columns, console=session.console, disable=not session.console.is_terminal)


def _advance(bars: Progress, bar: TaskID, done: int) -> None:
    bars.update(bar, completed=done)


def score(session: Session) -> int:
    """In a process of its own, as it needs torch and this one does not."""
    require("score", "workers", "torch", "numpy", "safetensors")
    code, results = 0, []
    for checkpoint in session.options.checkpoint:
        command = [sys.executable, "-m", "nas.models.score", checkpoint]
        command += ["--dataset", session.options.dataset] if session.options.dataset else []
        ran = subprocess.run(command, stdout=subprocess.PIPE if session.json else None, text=True)
        results.append({"checkpoint": checkpoint, "kept": ran.returncode == 0, "text": (ran.stdout or "").strip()})
        code = max(code, ran.returncode)
    if session.json:
        terminal.print_json(results)
    return min(code, 1)


def export(session: Session) -> int:
    """In a process of its own, as it needs Optuna and this one does not."""
    require("export optuna", "searchers", "optuna")
    options = session.options
    view = session.client.run(options.run)
    if view["kind"] != "search":
        raise ServiceError(f"run {options.run} is a {view['kind']}: a study is made of a search")
    past = {"id": options.run, "objective": view["spec"]["objective"], "trials": session.client.trials(options.run)}
    command = [sys.executable, "-m", "nas.study", options.out or f"{options.run}.db"]
    ran = subprocess.run(command, input=json.dumps(past), capture_output=True, text=True)
    if ran.returncode:
        raise ServiceError(ran.stderr.strip().rpartition("\n")[2])
    facts = {"file": command[-1], "study": options.run, "trials": int(ran.stdout)}
    words = "Study {study} with {trials} trials is in {file}: optuna-dashboard sqlite:///{file}"
    return session.show(facts, lambda data: words.format(**data))


def wish(session: Session) -> int:
    verb = session.options.wish
    view = getattr(session.client, verb)(session.options.run)
    return session.show(
        view, lambda run: f"{run['kind'].capitalize()} {run['id']}: {verb} is wished for, it is {run['state']}"
    )


def raise_budget(session: Session) -> int:
    options = session.options
    view = session.client.raise_budget(
        options.run, options.trials, hours=options.hours, compute_hours=options.compute_hours
    )

    def said(run: dict[str, Any]) -> str:
        spec = run["spec"]
        hours = (f", {spec[name]:g} {name.replace('_', ' ')}" for name in ("hours", "compute_hours") if spec[name])
        return f"Search {run['id']} has {run['trials']} trials{''.join(hours)} now, it is {run['state']}"

    return session.show(view, said)


def datasets(session: Session) -> int:
    if session.options.name is None:
        return session.show(session.client.datasets(), listings.datasets)
    return session.show(session.client.dataset(session.options.name), lambda row: listings.datasets([row]))


def images(session: Session) -> int:
    options, client = session.options, session.client
    if options.what == "list":
        return session.show({"images": client.images()}, listings.images)
    if options.images is None:
        raise ServiceError(f"what is to be {options.what.rstrip('e')}ed? give a path to upload, or a name to delete")
    if options.what == "delete":
        client.delete_images(options.images)
        return session.show({"deleted": options.images}, lambda answer: f"Images {answer['deleted']} are deleted.")
    with _bars(session) as bars:
        bar = bars.add_task(options.images, total=None)

        def report(received: int, whole: int) -> None:
            bars.update(bar, completed=received, total=whole)

        about = client.upload(options.images, options.name, report)
    words = "Images {name} are dataset images:{name}. Search with: nas search --dataset images:{name}"
    return session.show(about, lambda answer: words.format(**answer))


def spaces(session: Session) -> int:
    options = session.options
    if not options.dataset:
        if options.parent:
            raise ServiceError("--parent needs --dataset: which knobs there are depends on the images")
        return session.show(session.client.spaces(), listings.plugins)
    dataset = session.client.dataset(options.dataset)
    if not dataset["info"]:
        raise ServiceError(dataset["problem"])
    info = dataset["info"]
    images = (info["resolution"], info["channels"], len(info["classes"]))
    space = session.client.space(options.space, *images, parent=options.parent)
    return session.show(space, listings.knobs)


def searchers(session: Session) -> int:
    return session.show(session.client.searchers(), listings.plugins)


def devices(session: Session) -> int:
    return session.show(session.client.devices(), listings.plugins)


def parents(session: Session) -> int:
    return session.show(session.client.parents(), listings.parents)


def recipes(session: Session) -> int:
    return session.show(session.client.recipes(), listings.recipes)


def compare(session: Session) -> int:
    """On this machine, or on the service's workers."""
    try:
        spec = proxy.specified(session.options)
        if session.options.on_service:
            return _submitted(session, session.client.proxy(**encode(spec)))
        if session.options.watch:
            raise ValueError("--watch needs --on-service: here it is waited for anyway")
        require("proxy without --on-service", "workers", "torch", "numpy")
        console = terminal.console(error=True)
        spec = proxy.settled(spec)
        report = proxy.found_here(spec, functools.partial(console.print, highlight=False, markup=False))
    except ValueError as error:
        raise ServiceError(str(error)) from error
    return session.show({"spec": encode(spec), "report": encode(report)}, tables.fidelity)


def measure_networks(session: Session) -> int:
    """On this machine, or on the service's workers."""
    if not session.options.on_service:
        return measure.measure(session.options)
    try:
        request = measure.request(session.options)
    except (ValueError, BadCheckpoint) as error:
        raise ServiceError(str(error)) from error
    return _submitted(session, session.client.measure(**request))


def config(session: Session) -> int:
    """Of this process: a service may have been started with others."""
    rows = [
        {"name": one.name, "value": one.shown, "given": bool(one.given), "words": one.words}
        for one in settings.SETTINGS
    ]
    return session.show({"settings": rows, "evaluators": settings.EVALUATORS}, listings.settings)


def health(session: Session) -> int:
    return session.show(session.client.health(), listings.health)


def tokens(session: Session) -> int:
    options, client = session.options, session.client
    match options.what:
        case "list":
            return session.show({"tokens": client.tokens()}, listings.tokens)
        case "revoke":
            if options.token is None:
                raise ServiceError("which token is to be revoked? give its id: `nas token list` shows them")
            client.revoke_token(options.token)
            return session.show({"revoked": options.token}, lambda answer: f"Token {answer['revoked']} is revoked.")
    if options.owner is None:
        raise ServiceError("whose token is it to be? say --owner NAME")
    request = {"owner": options.owner, "scope": options.scope} | ({"days": options.days} if options.days else {})
    return session.show(client.create_token(**request), lambda answer: answer["token"])


def migrate(session: Session) -> int:
    require("migrate", "serve", "alembic", "sqlalchemy")
    from nas.store import Store, StoreError

    try:
        store = Store(session.options.database or home.database_url())
    except StoreError as error:
        raise ServiceError(str(error)) from error
    store.close()
    return session.show({"database": store.name}, lambda answer: f"{answer['database']} is up to date.")


def serve(session: Session) -> int:
    options = session.options
    beside = () if options.no_coordinator else ("ray", "torch")
    require("serve", "serve,workers" if beside else "serve", "alembic", "fastapi", "sqlalchemy", "uvicorn", *beside)
    from api.serve import serve as run_service

    login = not options.no_login
    return run_service(
        options.host,
        options.port,
        options.database,
        images=options.images,
        coordinator=not options.no_coordinator,
        login=login,
    )
