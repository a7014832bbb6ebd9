"""What fields mean, read from below them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nas import fields
from nas.fields import briefly, described
from nas.records import Job, Trial
from nas.specs import GrowthSpec, SearchSpec


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Not a field's."""

    one: int
    """Its own. And more
    on another line."""
    two: int
    """Of the ground."""


@dataclass(frozen=True, kw_only=True)
class Other:
    two: int
    """Of the other."""
    three: int
    """Of the other."""


@dataclass(frozen=True, kw_only=True)
class Raised(Ground):
    LIKE: ClassVar[tuple[type, ...]] = (Other,)

    three: int
    four: int = 4
    two: int = 2

    def method(self) -> None:
        """No field's."""


def test_words_are_a_fields_own_or_inherited_or_those_of_one_alike() -> None:
    assert described(Ground) == {"one": "Its own. And more on another line.", "two": "Of the ground."}
    assert described(Raised) == {"one": described(Ground)["one"], "two": "Of the ground.", "three": "Of the other."}
    assert briefly(Raised, "one") == "Its own"
    assert briefly(Raised, "three") == "Of the other"


def test_a_field_of_the_same_meaning_is_described_once() -> None:
    assert described(GrowthSpec)["name"] == described(SearchSpec)["name"]
    assert described(GrowthSpec)["seeds"] not in described(SearchSpec).values()
    assert described(Trial)["number"] == described(Job)["number"]


def test_sources_are_read_by_several_threads_at_once() -> None:
    """As requests do, each in a thread of its own."""
    source = Path(fields.__file__).read_text()
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda _: fields.parsed(source), range(400)))) == 400
