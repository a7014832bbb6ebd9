"""The log: lines for people, objects for programs, what they are about, and whoever listens."""

import contextlib
import json
import logging
import re
import sys
import threading
from datetime import datetime
from typing import Any

import pytest

from nas import logs
from nas.refusal import Refusal
from tests.log import DATE, logged, objects

log = logging.getLogger("nas.something")


def test_a_line_has_date_level_logger_and_what_it_is_about() -> None:
    with logged() as written:
        with logs.about(run="0a1b", trial=3):
            log.info("%d images", 5)
            with logs.about(trial=4):
                log.warning("none", extra={"fields": {"path": "/a b"}})
        log.info("after it")
    first, second, third = written.getvalue().splitlines()
    assert re.fullmatch(DATE + r" INFO nas\.something run=0a1b trial=3: 5 images", first)
    assert re.fullmatch(DATE + r' WARNING nas\.something run=0a1b trial=4 path="/a b": none', second)
    assert re.fullmatch(DATE + r" INFO nas\.something: after it", third)


def test_an_object_has_the_same_as_fields() -> None:
    with logged(form="json") as written:
        with logs.about(run="0a1b", trial=3):
            log.info("a\nb “c”", extra={"fields": {"status": 200}})
        try:
            raise KeyError("stage9.op")
        except KeyError:
            log.exception("it failed")
    first, second = objects(written)
    assert re.fullmatch(DATE, first.pop("time"))
    said = {"level": "info", "logger": "nas.something", "message": "a\nb “c”"}
    assert first == said | {"run": "0a1b", "trial": 3, "status": 200}
    assert second["traceback"].endswith("KeyError: 'stage9.op'")
    assert "run" not in second


def test_no_text_from_outside_passes_for_a_line_or_moves_the_cursor() -> None:
    with logged() as written:
        log.info("a run called %s", "x\n2026-01-01T00:00:00.000+00:00 ERROR nas: all is lost\r\x1b[2Jy\u2028z")
        try:
            raise ValueError("two\nlines")
        except ValueError:
            log.exception("it failed")
    lines = written.getvalue().splitlines()
    assert [bool(re.match(DATE, line)) for line in lines[:2]] == [True, False]
    assert sum(bool(re.match(DATE, line)) for line in lines) == 2
    assert "\x1b" not in written.getvalue()
    assert lines[-1] == "    lines"


@pytest.mark.parametrize(
    ("level", "default", "expected"),
    [
        ("", "warning", ["warning", "error"]),
        ("", "info", ["info", "warning", "error"]),
        ("debug", "warning", ["debug", "info", "warning", "error"]),
        ("info", "warning", ["info", "warning", "error"]),
        ("error", "info", ["error"]),
    ],
)
def test_the_level_is_the_program_s_unless_it_is_set(level: str, default: str, expected: list[str]) -> None:
    with logged(level, default=default) as written:
        for name in logs.LEVELS:
            log.log(logs.LEVELS[name], name)
            logging.getLogger("sqlalchemy").log(logs.LEVELS[name], "of somebody else")
    lines = written.getvalue().splitlines()
    assert [line.rpartition(" ")[2] for line in lines if "nas.something" in line] == expected
    others = sum("somebody else" in line for line in lines)
    assert others == (1 if level == "error" else 2), "of others nothing below a warning"


@pytest.mark.parametrize(("name", "value"), [("NAS_LOG_LEVEL", "loud"), ("NAS_LOG_FORMAT", "xml")])
def test_a_setting_that_means_nothing_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Refusal, match=f"{name} '{value}' is none of "):
        logs.begin()


class TestHeard:
    def test_warnings_of_this_thread_are_told_whatever_is_logged(self) -> None:
        told: list[str] = []
        with logged("error") as written:
            with logs.heard(told.append):
                log.warning("graph %s", "not used")
                logging.getLogger("search_spaces.mine").warning("a space says")
                log.info("no warning")
                logging.getLogger("torch").warning("of somebody else")
                other = threading.Thread(target=log.warning, args=("of another trial",))
                other.start()
                other.join()
            log.warning("afterwards")
        assert told == ["graph not used", "a space says"]
        assert written.getvalue() == ""

    def test_who_cannot_be_told_does_not_end_what_warns(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fail(text: str) -> None:
            raise ConnectionError("nobody is there")

        with logs.heard(fail):
            log.warning("graph not used")
        assert "nobody is there" in capsys.readouterr().err


class TestRelay:
    def test_what_another_process_logged_is_that_record_again(self) -> None:
        record: dict[str, Any] = {"time": "2026-01-31T12:00:00.125+00:00", "level": "warning", "logger": "nas.training"}
        record |= {"message": "graph not used", "run": "0a1b", "trial": 3, "traceback": "KeyError: 1"}
        with logged(form="json") as written:
            print(f"(_evaluate pid=123, ip=10.0.0.2) {json.dumps(record)}", file=logs.relay("ray"))
        (again,) = objects(written)
        when = datetime.fromisoformat(record.pop("time"))
        assert datetime.fromisoformat(again.pop("time")) == when
        assert again == record

    def test_below_the_level_it_is_not_logged(self) -> None:
        record = {"time": "2026-01-31T12:00:00+00:00", "level": "info", "logger": "nas.training", "message": "x"}
        with logged("warning") as written:
            print(json.dumps(record), file=logs.relay("ray"))
        assert written.getvalue() == ""

    def test_what_was_only_printed_says_by_whom(self) -> None:
        stream = logs.relay("ray")
        with logged(form="json") as written:
            print("(_evaluate pid=123) a space says hello", file=stream)
            print("  \n(raylet) two\nhalf a", end="", file=stream)
            print(' line {"no": "record"}', file=stream)
            print('{"level": "loud"}', file=stream)
        assert {(line["logger"], line["level"]) for line in objects(written)} == {("ray", "info")}
        assert [(line.get("process"), line["message"]) for line in objects(written)] == [
            ("_evaluate pid=123", "a space says hello"),
            ("raylet", "two"),
            (None, 'half a line {"no": "record"}'),
            (None, '{"level": "loud"}'),
        ]

    def test_a_log_that_cannot_be_written_does_not_tell_itself_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with logged() as written, contextlib.redirect_stderr(logs.relay("ray")):
            written.close()
            print("hello", file=sys.stderr)
