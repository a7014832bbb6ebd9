"""A plug-in is a file: the modules of a package, found and loaded by name.

What one says of itself is read from its source, and nothing that it needs is imported.
"""

import ast
import functools
import importlib
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from nas.fields import parsed
from nas.refusal import Refusal

LIGHT = {*sys.stdlib_module_names, "nas", "numpy"}
TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
Default: TypeAlias = str | int | float | bool


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


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of a searcher's own, as its constructor declares it."""

    name: str
    """Its name."""
    type: str
    """What it takes: int, float, str or bool."""
    default: Default | None
    """What it is where nothing else is said."""


def documentation(package: str, plugin: str) -> str:
    """The docstring of the plug-in's file; of one that is not Python, what is wrong with it."""
    try:
        return ast.get_docstring(_tree(package, plugin)) or ""
    except SyntaxError as error:
        return f"cannot be imported: SyntaxError: {error}"


def options(searcher: str) -> tuple[Option, ...]:
    """The options of a searcher, in the order of its signature."""
    try:
        tree = _tree("nas.searchers", searcher)
    except SyntaxError:  # its documentation says so
        return ()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == "Searcher":
            constructor = next(
                (part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None
            )
            return tuple(_options(constructor.args)) if constructor else ()
    return ()


def check_options(searcher: str, values: Mapping[str, Default]) -> None:
    """Raise Refusal unless the searcher has these options with values of these types."""
    try:
        _tree("nas.searchers", searcher)
    except SyntaxError as error:
        detail = f"searcher {searcher!r} cannot be imported: SyntaxError: {error}"
        raise Refusal(detail, field="searcher") from error
    known = {option.name: option for option in options(searcher)}
    for name, value in values.items():
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "it has none"
            raise Refusal(f"searcher {searcher!r} has no option {name!r}: {there}", field="options")
        types = TYPES.get(known[name].type)
        if types and type(value) not in types:
            detail = f"option {name!r} of searcher {searcher!r} is {value!r}: it takes {known[name].type}"
            raise Refusal(detail, field="options")


def says_gain(searcher: str) -> bool:
    """Whether the searcher can say what it expects to gain."""
    return any(
        isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "expected_gain"
        for node in ast.walk(_tree("nas.searchers", searcher))
    )


def learns(searcher: str) -> bool:
    """Whether the searcher minds what its problem says of earlier searches."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == "earlier"
        for node in ast.walk(_tree("nas.searchers", searcher))
    )


def is_light(searcher: str) -> bool:
    """Whether the searcher, with the private files that it shares, needs nothing heavy: this process may import it."""
    for node in ast.walk(_tree("nas.searchers", searcher)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            shared = name.removeprefix("nas.searchers._")
            if name.partition(".")[0] not in LIGHT or (shared != name and not is_light(f"_{shared}")):
                return False
    return True


def _options(arguments: ast.arguments) -> list[Option]:
    listing = []
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
        if argument.arg != "seed":  # which every searcher takes
            type_ = ast.unparse(argument.annotation) if argument.annotation else "str"
            listing.append(Option(name=argument.arg, type=type_, default=_literal(default)))
    return listing


def _literal(node: ast.expr | None) -> Default | None:
    try:
        value: Default | None = ast.literal_eval(node) if node else None
    except ValueError:  # a name: its value is only known where the module may be imported
        return None
    return value


def defines(package: str, plugin: str, function: str) -> bool:
    """Whether the plug-in has a function of that name."""
    try:
        body = _tree(package, plugin).body
    except SyntaxError:  # its documentation says so
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in body)


def constant(package: str, plugin: str, name: str) -> Default | None:
    """The literal that the plug-in's file gives that name at its top; None where it gives none."""
    try:
        body = _tree(package, plugin).body
    except SyntaxError:  # its documentation says so
        return None
    given = (node.value for node in body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name)
    return _literal(next(given, None))


@functools.cache
def _tree(package: str, plugin: str) -> ast.Module:
    if not plugin.startswith("_"):
        check(package, plugin)
    spec = PathFinder.find_spec(f"{package}.{plugin}", sys.modules[package].__path__)
    assert spec is not None
    assert spec.origin is not None
    return parsed(Path(spec.origin).read_text())
