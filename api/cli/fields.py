"""Arguments that stand for fields of what is asked for: --help says of one what stands below the field."""

import dataclasses
from typing import Any

from nas.fields import briefly


def argument(parser: Any, record: Any, field: str, *flags: str, more: str = "", told: bool = True, **how: Any) -> None:
    """An argument for that field of a record, `--field` if no flags are given. Its help is the field's first sentence,
    then `more`, then, if it is to be `told`, what the field is where it is left out."""
    words = filter(None, (briefly(record, field), more, _default(record, field) if told else ""))
    flags = flags or (f"--{field.replace('_', '-')}",)
    parser.add_argument(*flags, help="; ".join(words).replace("%", "%%"), **how)


def _default(record: Any, field: str) -> str:
    """In words; nothing for one that is empty, a switch or a record."""
    value = next(each.default for each in dataclasses.fields(record) if each.name == field)
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return ""
    text = f"{value:g}".replace("e+0", "e") if isinstance(value, float) else str(value)
    return f"{text} by default"
