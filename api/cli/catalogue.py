"""What a search can be made of: the verbs that list it."""

from api.cli import arguments, listings, steadiness
from api.cli.session import Session
from nas.client import ServiceError


def datasets(session: Session) -> int:
    what, name = session.options.what, session.options.name
    if what is None:
        return session.show(session.client.datasets(), listings.datasets)
    if what == "check":
        if name is None:
            raise ServiceError("which images are to be looked at? give a dataset, or a folder of them")
        return session.show(session.client.look(arguments.dataset(name)), listings.look)
    if name is not None:
        raise ServiceError(f"one dataset at a time: {what!r} or {name!r}; or look at one: nas datasets check {name}")
    return session.show(session.client.dataset(arguments.dataset(what)), lambda row: listings.datasets([row]))


def spaces(session: Session) -> int:
    options = session.options
    if not options.dataset:
        if options.parent:
            raise ServiceError("--parent needs --dataset: which knobs there are depends on the images")
        rows = session.client.spaces()
        if options.space is None:
            return session.show(rows, listings.plugins)
        named = [row for row in rows if row["name"] == options.space]
        if not named:
            there = ", ".join(row["name"] for row in rows)
            raise ServiceError(f"unknown search space {options.space!r}: there are {there}")
        return session.show(named[0], listings.space)
    dataset = session.client.dataset(options.dataset)
    if not dataset["info"]:
        raise ServiceError(dataset["problem"])
    info = dataset["info"]
    images = (info["resolution"], info["channels"], len(info["classes"]))
    space = session.client.space(options.space or "mbconv", *images, parent=options.parent)
    return session.show(space, listings.knobs)


def searchers(session: Session) -> int:
    return session.show(session.client.searchers(), listings.plugins)


def boards(session: Session) -> int:
    return session.show(session.client.boards(), listings.boards)


def devices(session: Session) -> int:
    """Those of the service, or what this machine is worth."""
    if session.options.check:
        return steadiness.check(session.options.json)
    return session.show(session.client.devices(), listings.plugins)


def parents(session: Session) -> int:
    answer = session.client.all_parents()
    return session.show(answer["parents"], lambda _: listings.parents(answer))


def recipes(session: Session) -> int:
    return session.show(session.client.recipes(), listings.recipes)
