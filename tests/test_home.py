"""What is kept in the home appears whole, whoever else writes it at the same time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nas import home
from nas.datasets._archive import keep


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (
            "nowhere/z.html",
            r"nowhere/z\.html cannot be written \(.*nowhere is not a folder\): make it, or name another",
        ),
        ("folder", r"folder cannot be written \(Is a directory\): name another place"),
    ],
)
def test_what_cannot_be_written_is_named_with_the_way_out(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=rf"^{tmp_path}/{words}") as raised:
        home.write(tmp_path / place, b"")
    assert raised.value.errno
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    "written",
    [
        lambda path: home.write(path, b'"what many say"'),
        lambda path: keep(path, "what many say", path),
    ],
    ids=["home", "datasets"],
)
def test_threads_of_one_process_may_write_the_same_file(tmp_path: Path, written: Callable[[Path], None]) -> None:
    path = tmp_path / "said.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(written, [path] * 400))  # none of which raises
    assert path.read_text() == '"what many say"'
    assert list(tmp_path.iterdir()) == [path]
