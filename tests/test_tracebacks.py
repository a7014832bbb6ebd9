"""Tracebacks as they are kept: short, without this machine's folders, the cause included."""

import json
import runpy
from pathlib import Path

import pytest

from nas.tracebacks import MOST_BYTES, traced


def raised(code: str, place: Path, name: str = "space.py") -> str:
    """The traceback of what a file with this code raises."""
    file = place / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(code)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever it is
        runpy.run_path(str(file))
    return traced(caught.value)


def test_it_names_what_failed_where_and_why(tmp_path: Path) -> None:
    code = """
def build(choices):
    try:
        return choices["stage9.op"]
    except KeyError as error:
        raise ValueError("no such stage") from error

build({})
"""
    lines = raised(code, tmp_path).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: no such stage"
    assert "KeyError: 'stage9.op'" in lines
    assert f'  File "{tmp_path}/space.py", line 4, in build' in lines
    assert '    return choices["stage9.op"]' in lines


def test_files_are_named_as_they_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path / "packages")
    text = raised("from nas.codec import decode\ndecode(int, 'x')", tmp_path, "packages/mine.py")
    assert '  File "mine.py", line 2, in <module>' in text
    assert '  File "nas/codec.py", line ' in text
    assert '  File "tests/test_tracebacks.py", line ' in text
    assert str(Path(json.__file__).parent.parent) not in text, "nor those of Python itself"
    assert '  File "~/own.py", line 1, in <module>' in raised("1 / 0", tmp_path, "own.py")


@pytest.mark.parametrize("character", ["x", "☃", "\n"])
def test_it_is_bounded_and_keeps_both_ends(character: str, tmp_path: Path) -> None:
    text = raised(f"raise ValueError('begins' + {character!r} * 100_000 + 'ends')", tmp_path)
    assert MOST_BYTES * 0.8 < len(text.encode()) <= MOST_BYTES
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ends")
    assert "\n  ... some of it is left out ...\n" in text


def test_a_recursion_without_end_says_where(tmp_path: Path) -> None:
    deep = "".join(f"def f{i}(n): return f{(i + 1) % 60}(n)\n" for i in range(60)) + "f0(1)"
    text = raised(deep, tmp_path)
    assert len(text.encode()) <= MOST_BYTES
    assert "in f1\n" in text
    assert text.endswith("RecursionError: maximum recursion depth exceeded")
