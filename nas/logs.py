"""The log: a line for each record, with its date, its level and what it is about; for people, or as JSON for programs.

Whoever logs says in `about(run=…, trial=…)` or `bind(request=…)` once what the records that follow are about.
"""

import contextlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime
from types import MappingProxyType
from typing import Any, TextIO

from nas import settings
from nas.refusal import Refusal

OURS = ("nas", "api", "workers", "search_spaces")  # of others only warnings are logged
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
FORMATS = ("text", "json")

NO_CONTROL = dict.fromkeys([*range(32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}")

_about: ContextVar[Mapping[str, Any]] = ContextVar("about", default=MappingProxyType({}))


def begin(level: str = "info") -> None:
    """This process logs to its standard error from here on, at `level` unless NAS_LOG_LEVEL says otherwise. Raises
    Refusal for a setting that means nothing."""
    level, form = settings.LOG_LEVEL.value or level, settings.LOG_FORMAT.value
    for setting, value, allowed in ((settings.LOG_LEVEL, level, LEVELS), (settings.LOG_FORMAT, form, FORMATS)):
        if value not in allowed:
            raise Refusal(f"{setting.name} {value!r} is none of {', '.join(allowed)}")
    handler = logging.StreamHandler()
    handler.setLevel(LEVELS[level])
    handler.addFilter(_complete)
    handler.setFormatter(Objects() if form == "json" else Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in OURS:  # warnings are also for `heard`, whatever is logged
        logging.getLogger(name).setLevel(min(LEVELS[level], logging.WARNING))


def bind(**fields: object) -> None:
    """The records that follow in this task or thread are about these as well."""
    _about.set({**_about.get(), **fields})


@contextlib.contextmanager
def about(**fields: object) -> Iterator[None]:
    """The records in it are about these as well."""
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def subject(name: str) -> Any:
    """What the records of this task or thread are about under that name; None where it is nothing."""
    return _about.get().get(name)


@contextlib.contextmanager
def heard(tell: Callable[[str], object]) -> Iterator[None]:
    """Warnings of our own, and of spaces, that this thread logs in it are told as well."""
    handler = _Ear(tell)
    for name in OURS:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in OURS:
            logging.getLogger(name).removeHandler(handler)


class _Ear(logging.Handler):
    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._tell, self._thread, self._busy = tell, threading.get_ident(), False

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread or self._busy:  # what telling it warns of is not told in turn
            return
        self._busy = True
        try:
            self._tell(record.getMessage())
        except Exception:  # as handlers do: what is wrong with a log must not end what is logged
            self.handleError(record)
        finally:
            self._busy = False


class Lines(logging.Formatter):
    """For people: 2026-01-31T12:00:00.000+00:00 WARNING nas.training run=0a1b2c3d4e5f trial=3: its words

    What follows the first line of one is indented, so that no text from outside can pass for a line of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_word(value)}" for name, value in _fields(record).items())
        text = f"{_date(record)} {record.levelname} {record.name}{fields}: {record.getMessage()}"
        lines = [*text.splitlines(), *(_traceback(record) or "").splitlines()]
        return "\n    ".join(line.translate(NO_CONTROL) for line in lines)


class Objects(logging.Formatter):
    """For programs: an object a line, whose fields are those of `Lines` by their names."""

    def format(self, record: logging.LogRecord) -> str:
        said = {"time": _date(record), "level": record.levelname.lower(), "logger": record.name}
        line = {**said, "message": record.getMessage(), **_fields(record)}
        traceback = _traceback(record)
        return json.dumps(line | ({"traceback": traceback} if traceback else {}), default=str)


class Relay:
    """A stream for what a library prints, of other processes too: each line becomes a record here. One that such a
    process logged itself as an object, behind "(its name pid=1234) ", is that record again."""

    def __init__(self, logger: str) -> None:
        self._logger, self._rest, self._busy = logger, "", False

    def write(self, text: str) -> int:
        if not self._busy:  # or a log that cannot be written would tell itself so
            *lines, self._rest = (self._rest + text).split("\n")
            self._busy = True
            try:
                for record in map(self._record, filter(str.strip, lines)):
                    logging.getLogger(record.name).handle(record)
            finally:
                self._busy = False
        return len(text)

    def flush(self) -> None:
        """There is nothing that waits but the rest of a line."""

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        """Standard error's, for what writes past this stream, as a crash does."""
        return 2

    def _record(self, line: str) -> logging.LogRecord:
        parts = re.fullmatch(r"(?:\(([^()]*)\) )?(.*)", line.rstrip(), re.DOTALL)
        assert parts is not None  # whatever the line is
        try:
            said = json.loads(parts[2])
            level, created = LEVELS[said.pop("level")], datetime.fromisoformat(said.pop("time")).timestamp()
            record = logging.LogRecord(said.pop("logger"), level, "", 0, said.pop("message"), None, None)
            record.created, record.exc_text = created, said.pop("traceback", None)
        except (ValueError, LookupError, TypeError, AttributeError):  # printed, not logged
            record = logging.LogRecord(self._logger, logging.INFO, "", 0, parts[2], None, None)
            said = {"process": parts[1]} if parts[1] else {}
        record.about = said
        return record


def relay(logger: str) -> TextIO:
    """As a stream that standard output and standard error can be."""
    stream: Any = Relay(logger)
    return stream  # type: ignore[no-any-return]


def _complete(record: logging.LogRecord) -> bool:
    """A handler's filter: the record says what it is about."""
    if not hasattr(record, "about"):
        record.about = {**_about.get(), **getattr(record, "fields", {})}
    return True


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "about", {})
    return fields


def _word(value: Any) -> str:
    text = str(value)
    return text if re.fullmatch(r"\S+", text) else json.dumps(text)


def _date(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")


def _traceback(record: logging.LogRecord) -> str | None:
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    return record.exc_text
