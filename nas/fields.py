"""What the fields of records mean: the string below each, read from the source. Standard library only."""

import ast
import dataclasses
import functools
import inspect
import itertools
import sys
import threading
from typing import Any

_parsing = threading.Lock()


def described(record: Any) -> dict[str, str]:
    """Each field of a record in words: its own, those of the record that it inherits from, or, where `LIKE` names
    others with fields of the same meaning, theirs. A field without words is left out."""
    words: dict[str, str] = {}
    for other in reversed(getattr(record, "LIKE", ())):
        words |= described(other)
    for base in reversed(record.__mro__):
        words |= _own(base)
    return {field.name: words[field.name] for field in dataclasses.fields(record) if field.name in words}


def briefly(record: Any, field: str) -> str:
    """The first sentence of what a field means, without its full stop."""
    return described(record)[field].partition(". ")[0].removesuffix(".")


def parsed(source: str | bytes) -> ast.Module:
    """A module's syntax. One thread at a time: Python 3.11 counts how deep all of them are in it together, and raises
    SystemError where one ends another's count."""
    with _parsing:
        return ast.parse(source)


@functools.cache
def _own(record: type) -> dict[str, str]:
    """The strings below the fields in the body of this class."""
    body = _classes(record.__module__).get(record.__name__, [])
    return {
        name.id: inspect.cleandoc(text).replace("\n", " ")
        for field, below in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(name := field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(text := below.value.value, str)
    }


@functools.cache
def _classes(module: str) -> dict[str, list[ast.stmt]]:
    """The bodies of the classes of a module, by name; none of one without a source, such as builtins."""
    try:
        tree = parsed(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return {}
    return {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
