"""Folders that are made beside their place, and those that somebody killed has left."""

from pathlib import Path

from nas.models.unfinished import making, sweep


def test_it_becomes_the_folder_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "model"
    with making(folder) as place:
        (place / "whole").mkdir()
        assert place.parent == folder.parent
        (place / "whole").rename(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_what_was_left_goes_at_the_next_time_and_what_is_being_made_stays(tmp_path: Path) -> None:
    left, others, old = (tmp_path / name for name in (".model.0a1b", ".other.0a1b", ".model.2c3d"))
    for place in (left, others, old):
        (place / "whole").mkdir(parents=True)
    for place in (left, others):
        (place / ".lock").touch()
    with making(tmp_path / "model") as first, making(tmp_path / "model") as second:
        assert {path.name for path in tmp_path.iterdir()} == {others.name, old.name, first.name, second.name}
        sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {old.name, first.name, second.name}  # one has no lock
    assert [path.name for path in tmp_path.iterdir()] == [old.name]
