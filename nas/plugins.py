"""A plug-in is a file: the modules of a package, found and loaded by name.

What one says of itself is read from its source, and nothing that it needs is imported.
"""

import ast
import functools
import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from nas.fields import parsed
from nas.refusal import Refusal
from nas.tracebacks import blamed

LIGHT = {*sys.stdlib_module_names, "nas", "numpy"}
TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
Default: TypeAlias = str | int | float | bool
FAULTS = (Exception, SystemExit)  # whatever an author's code does, and it must not end the process that tries it


class UnknownPlugin(ValueError):
    """No file of that name; the message says which exist."""


class BrokenPlugin(ValueError):
    """A plug-in that does not work; the message says which, why, and in which line of it."""


class Unimportable(BrokenPlugin, ImportError):
    """One that cannot even be read or imported."""


def names(package: str) -> tuple[str, ...]:
    """The plug-ins in `package` (such as "nas.searchers"), in alphabetical order."""
    paths = importlib.import_module(package).__path__
    return tuple(sorted(module.name for module in pkgutil.iter_modules(paths) if not module.name.startswith("_")))


def load(package: str, name: str, *needs: str) -> ModuleType:
    """The module `name` of `package`, imported now. Raises BrokenPlugin where that fails, or where it does not define
    all that it `needs`."""
    check(package, name)
    try:
        module = importlib.import_module(f"{package}.{name}")
    except FAULTS as error:
        said = blamed(error, file(package, name))
        raise Unimportable(f"{_kind(package)} {name!r} cannot be imported: {said}") from error
    require(module, f"{_kind(package)} {name!r}", *needs)
    return module


def require(module: object, what: str, *needs: str) -> None:
    """Raise BrokenPlugin unless the module, which is called `what`, defines all of these."""
    if absent := [need for need in needs if not hasattr(module, need)]:
        raise BrokenPlugin(f"{what} does not define {', '.join(absent)}: it needs {', '.join(needs)}")


def check(package: str, name: str) -> None:
    """Raise UnknownPlugin unless `package` has a plug-in of that name; nothing is imported."""
    if name not in names(package):
        raise UnknownPlugin(f"unknown {_kind(package)} {name!r}: there are {', '.join(names(package))}")


def hidden(package: str, name: str) -> tuple[Path, ...]:
    """Files of that name that are not read, as another folder of the package has one before theirs."""
    folders = dict.fromkeys(map(Path, importlib.import_module(package).__path__))
    found = [path for folder in folders for path in (folder / name / "__init__.py", folder / f"{name}.py")]
    return tuple(path for path in found if path.exists())[1:]


def is_shipped(package: str, name: str) -> bool:
    """Whether the plug-in is one of this package's own, and not in a folder of the user's."""
    where = file(package, name)
    return where is not None and Path(where).is_relative_to(importlib.import_module(package).__path__[0])


def _kind(package: str) -> str:
    return package.rpartition(".")[2].removesuffix("s").replace("_", " ")


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
    """The docstring of the plug-in's file; of one that is not Python what is wrong with it, and before that of a user's
    own that imports what is not there."""
    try:
        tree = _tree(package, plugin)
    except Unimportable as error:
        return str(error).removeprefix(f"{_kind(package)} {plugin!r} ")
    said = ast.get_docstring(tree) or ""
    for node in [] if is_shipped(package, plugin) else tree.body:  # what extras bring is said where it is asked for
        for name in _modules(node):
            top = name.partition(".")[0]
            if top and top not in sys.modules and find_spec(top) is None:
                what = f"ModuleNotFoundError: No module named {top!r} ({plugin}.py:{node.lineno})"
                return f"cannot be imported here: {what}. {said}".strip()
    return said


def options(searcher: str) -> tuple[Option, ...]:
    """The options of a searcher, in the order of its signature."""
    for node in ast.walk(_readable("nas.searchers", searcher)):
        if isinstance(node, ast.ClassDef) and node.name == "Searcher":
            constructor = next(
                (part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None
            )
            return tuple(_options(constructor.args)) if constructor else ()
    return ()


def check_options(searcher: str, values: Mapping[str, Default]) -> None:
    """Raise Refusal unless the searcher has these options with values of these types."""
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
        for node in ast.walk(_readable("nas.searchers", searcher))
    )


def learns(searcher: str) -> bool:
    """Whether the searcher minds what its problem says of earlier searches."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == "earlier"
        for node in ast.walk(_readable("nas.searchers", searcher))
    )


def is_light(searcher: str) -> bool:
    """Whether the searcher, with the private files that it shares, needs nothing heavy: this process may import it."""
    return LIGHT.issuperset(_imported(searcher))


def check_searcher(searcher: str, *, elsewhere: bool = False) -> None:
    """Raise UnknownPlugin, and BrokenPlugin for one whose file has no class Searcher, or that imports what is not
    installed; whether it is does not count where searches are driven `elsewhere`."""
    if not _may_define(_tree("nas.searchers", searcher), "Searcher"):
        raise BrokenPlugin(f"searcher {searcher!r} has no class Searcher: give it one with ask and tell")
    if not elsewhere and any(name and find_spec(name) is None for name in _imported(searcher)):
        load("nas.searchers", searcher)  # which ends there, in words that say what to install


def _may_define(tree: ast.Module, name: str) -> bool:
    """Whether something in the file may be called so; what a star imports may."""
    return any(
        (isinstance(node, ast.ClassDef) and node.name == name)
        or (isinstance(node, ast.alias) and (node.asname or node.name) in (name, "*"))
        or (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store))
        for node in ast.walk(tree)
    )


def _imported(searcher: str) -> Iterator[str]:
    """The packages that the searcher's file imports, and the private files that it shares; "" is none by name."""
    for node in ast.walk(_readable("nas.searchers", searcher)):
        for name in _modules(node):
            shared = name.removeprefix("nas.searchers._")
            yield name.partition(".")[0]
            if shared != name:
                yield from _imported(f"_{shared}")


def _modules(node: ast.AST) -> list[str]:
    """What the line imports, "" where that has no name; nothing of another line."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return ["" if node.level else node.module or ""] if isinstance(node, ast.ImportFrom) else []


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
    body = _readable(package, plugin).body
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in body)


def constant(package: str, plugin: str, name: str) -> Default | None:
    """The literal that the plug-in's file gives that name at its top; None where it gives none."""
    body = _readable(package, plugin).body
    given = (node.value for node in body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name)
    return _literal(next(given, None))


def _readable(package: str, plugin: str) -> ast.Module:
    """The plug-in's syntax; nothing of one that cannot be read, which is what its documentation says."""
    try:
        return _tree(package, plugin)
    except Unimportable:
        return ast.Module(body=[], type_ignores=[])


def _tree(package: str, plugin: str) -> ast.Module:
    """Raises Unimportable."""
    if not plugin.startswith("_"):
        check(package, plugin)
    where = file(package, plugin)
    try:
        if where is None:
            raise FileNotFoundError("its file cannot be found: is it a link that leads nowhere?")
        return _parsed(where, Path(where).stat().st_mtime_ns)
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
        said = f"{type(error).__name__}: {error}"
        raise Unimportable(f"{_kind(package)} {plugin!r} cannot be imported: {said}") from error


@functools.lru_cache(maxsize=256)
def _parsed(where: str, changed_ns: int) -> ast.Module:
    """The file as it was when it was `changed_ns`, for its author may mend it."""
    return parsed(Path(where).read_bytes())  # whose own encoding counts, as for Python


def file(package: str, plugin: str) -> str | None:
    """Where the plug-in is; None where only its name is there."""
    spec = PathFinder.find_spec(f"{package}.{plugin}", importlib.import_module(package).__path__)
    return spec.origin if spec else None
