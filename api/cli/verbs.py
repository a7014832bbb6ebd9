"""What the verbs of `nas` do; each returns the code that the command exits with."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from rich.console import RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from api.cli import INTERRUPTED, arguments, deliveries, listings, measure, proxy, summaries, tables, terminal
from api.cli.reasons import fruitless, reasons
from api.cli.session import Session
from api.cli.watch import watch
from nas import home, settings, sinks
from nas.client import ServiceError
from nas.client.models import CHECKPOINT
from nas.codec import decode, encode
from nas.extras import require
from nas.models.checkpoint import BadCheckpoint
from nas.proposal import Suggestion, applied, open_to

FAILED = ("failed", "cancelled")
Verb = Callable[[Session], int]


def search(session: Session) -> int:
    request = arguments.search_request(session.options, session.client)
    if session.options.like:
        request = arguments.merged(session.client.request(session.options.like), request)
    if "dataset" not in request:
        session.options.misused("give --dataset NAME, or --like RUN for the images of that search")
    if session.options.auto:
        suggested = decode(tuple[Suggestion, ...], session.client.look(request["dataset"])["proposal"])
        suggested = open_to(suggested, request)
        session.say("\n".join(f"Auto: {line}" for line in listings.reasons(suggested)))
        request = applied(suggested, request)
    forecast = session.client.forecast(**request)
    told = functools.partial(summaries.forecast, shared=request.get("weights") == "shared")
    if session.options.forecast:
        return session.show(forecast, told)
    session.say(told(forecast))
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
        other = "" if view["advised"] == view["best"]["number"] else f" --trial {view['advised']}"
        session.say(f"\nThe front: nas pareto {run}   A family: nas grow {run}{other} --members B0,B1 --watch")
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
    run = session.client.run(session.options.run)
    rows = session.client.trials(run)
    if session.options.why:
        return session.show(fruitless(rows), reasons)
    return session.show(rows, lambda rows: tables.trials(rows, tables.metric_of(run)))


def events(session: Session) -> int:
    return session.show(session.client.events(session.options.run), tables.events)


def list_runs(session: Session) -> int:
    options = session.options
    rows = session.client.runs(options.limit, archived=options.archived, tag=options.tag)
    return session.show(rows, tables.runs)


def models(session: Session) -> int:
    return session.show(session.client.models(session.options.run), deliveries.models)


def download(session: Session) -> int:
    name, client = session.options.what, session.client
    rows = [client.model(name)] if "-" in name or "@" in name else client.models(name)
    if not rows:
        raise ServiceError(f"run {name} has saved no model: grow it (nas grow {name}), or search with --save-weights")
    files = []
    with _bars(session) as bars:
        for model in reversed(rows):
            if model.get("hint"):  # which services of earlier versions do not tell
                session.say(model["hint"])
            bar = bars.add_task(f"{model['id']} as {session.options.kind}", total=None)
            if session.options.kind != CHECKPOINT and client.files(model["id"])["state"] != "built":
                session.say(f"The files of model {model['id']} are made and scored first, which may take minutes")
            wanted = client.offered(model["id"], session.options.kind)  # which may have to be made first
            bars.update(bar, description=wanted.name, total=wanted.bytes)
            report = functools.partial(_advance, bars, bar)
            files.append(str(client.download(model["id"], session.options.to, report, session.options.kind)))
            report(wanted.bytes)
    return session.show({"files": files}, lambda data: "\n".join(data["files"]))


def files(session: Session) -> int:
    client, model = session.client, session.options.model
    return session.show(client.make_files(model) if session.options.make else client.files(model), deliveries.files)


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
    """In a process of its own, as it needs packages that this one does not."""
    options = session.options
    if options.format == "optuna":
        return _studied(session)
    sinks.require(options.format)
    run = session.client.run(options.run)
    where = options.out or sinks.load(options.format).WHERE
    said = _piped(["nas.sinks", options.format, where], run | {"trials": session.client.trials(run)}).strip()
    return session.show({"sink": options.format, "where": where, "words": said}, lambda data: str(data["words"]))


def _studied(session: Session) -> int:
    require("export optuna", "searchers", "optuna")
    options = session.options
    view = session.client.run(options.run)
    if view["kind"] != "search":
        raise ServiceError(f"run {options.run} is a {view['kind']}: a study is made of a search")
    past = {"id": options.run, "objective": view["spec"]["objective"], "trials": session.client.trials(view)}
    file = options.out or f"{options.run}.db"
    facts = {"file": file, "study": options.run, "trials": int(_piped(["nas.study", file], past))}
    words = "Study {study} with {trials} trials is in {file}: optuna-dashboard sqlite:///{file}"
    return session.show(facts, lambda data: words.format(**data))


def _piped(module: list[str], data: Any) -> str:
    """What a module prints that is given the data. Raises ServiceError with the last line of what it complains of."""
    ran = subprocess.run([sys.executable, "-m", *module], input=json.dumps(data), capture_output=True, text=True)
    if ran.returncode:
        raise ServiceError(ran.stderr.strip().rpartition("\n")[2])
    return ran.stdout


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
        given = {"trials": run["trials"], "hours": spec["hours"], "compute hours": spec["compute_hours"]}
        budget = (f"{most:.9g} {unit[:-1] if most == 1 else unit}" for unit, most in given.items() if most)
        return f"Search {run['id']} has {', '.join(budget)} now, it is {run['state']}"

    return session.show(view, said)


def queue(session: Session) -> int:
    options, client = session.options, session.client
    if options.run and not options.place:
        raise ServiceError("where is it to wait? say first or last")
    return session.show(client.move(options.run, options.place) if options.run else client.queue(), listings.queue)


def measure_again(session: Session) -> int:
    options = session.options
    view = session.client.measure_again(options.run, options.trial)
    words = f"Search {view['id']}: the latency of trial {options.trial} is measured again, it is {view['state']}"
    return session.show(view, lambda _: words)


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
            name = client.revoke_token(options.token)
            return session.show({"revoked": name}, lambda answer: f"Token {answer['revoked']} is revoked.")
    if options.owner is None:
        raise ServiceError("whose token is it to be? say --owner NAME")
    made = client.create_token(owner=options.owner, scope=options.scope, days=options.days)
    return session.show(made, lambda answer: answer["token"])


def tools(session: Session) -> int:
    require("mcp", "mcp", "mcp")
    from api.tools import server

    server(session.client).run()
    return 0


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
