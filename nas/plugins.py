"""A plug-in is a file: the modules of a package, found and loaded by name."""

import importlib
import pkgutil
from types import ModuleType


class UnknownPlugin(ValueError):
    """No file of that name; the message says which exist."""


def names(package: str) -> tuple[str, ...]:
    """The plug-ins in `package` (such as "nas.searchers"), in alphabetical order."""
    paths = importlib.import_module(package).__path__
    return tuple(sorted(module.name for module in pkgutil.iter_modules(paths) if not module.name.startswith("_")))


def load(package: str, name: str) -> ModuleType:
    """The module `name` of `package`, imported now."""
    check(package, name)
    return importlib.import_module(f"{package}.{name}")


def check(package: str, name: str) -> None:
    """Raise UnknownPlugin unless `package` has a plug-in of that name; nothing is imported."""
    if name not in names(package):
        kind = package.rpartition(".")[2].removesuffix("s").replace("_", " ")
        raise UnknownPlugin(f"unknown {kind} {name!r}: there are {', '.join(names(package))}")
