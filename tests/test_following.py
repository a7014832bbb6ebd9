"""Streams that tell what has changed, over HTTP against a store that a test writes to."""

import asyncio
import contextlib
import json
from collections.abc import Collection, Iterator

import httpx
import pytest

from api.app import create_app
from api.edge import Edge, Limits
from api.following import Following
from api.problems import Problem
from nas.agents.errands import Introduction
from nas.records import Progress
from nas.store import Store, StoreError
from tests.service import OWNER, UNKNOWN, Service, contract, serving
from tests.waiting import PATIENCE_SECONDS, eventually


class Told:
    """What comes of a stream, one after another; comments and the rest of the format left out."""

    def __init__(self, response: httpx.Response) -> None:
        self.response, self._lines = response, response.iter_lines()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Kinds, each with its id."""
        facts: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line:
                facts[name] = value
            elif "event" in facts:
                assert facts["event"] == "beat" or json.loads(facts["data"])["mark"] == facts["id"]
                yield facts["event"], facts.get("id", "")
                facts = {}

    def mark(self) -> str:
        """The next one."""
        return next(mark for kind, mark in self if kind == "changed")


@contextlib.contextmanager
def followed(url: str, run: str = "", known: str | None = None, **headers: str) -> Iterator[Told]:
    known_by = {} if known is None else {"Last-Event-ID": known}
    address = f"{url}/v1/events?run={run}"
    with httpx.stream("GET", address, headers=headers | known_by, timeout=PATIENCE_SECONDS) as response:
        if response.status_code == 200:
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["x-accel-buffering"] == "no"
        else:
            response.read()
        yield Told(response)


def test_whatever_is_shown_of_a_run_changes_its_mark_and_nothing_else_does(service: Service) -> None:
    store, run, other = service.store, service.search([(0.9, 10)], running=1), service.search([(0.9, 10)], running=1)

    def marks() -> tuple[str, str]:
        both = store.marks((run.id, ""))
        return both[run.id], both[""]

    before = marks()
    assert marks() == before
    store.claims.renew(run.id, OWNER, 1e6)
    assert marks() == before
    store.claims.progress(OWNER, Progress(run=other.id, number=1, phase="training", epoch=3, epochs=4))
    assert marks() == before
    store.claims.progress(OWNER, Progress(run=run.id, number=1, phase="training", epoch=3, epochs=4))
    epoch = marks()
    assert epoch[0] != before[0]
    assert epoch[1] == before[1], "the list shows no epochs"
    service.end(store.trial(run.id, 1).job, store.these(run.id, [0])[0].measurement)  # type: ignore[arg-type]
    seen = [epoch]
    for change in (
        lambda: None,  # the trial that has ended just now
        lambda: store.note(run.id, "note", "something"),
        lambda: store.wish(run.id, "pause"),
        lambda: store.claims.release(run.id, OWNER, "paused"),
        lambda: store.raise_budget(run.id, 500),
    ):
        change()
        now = marks()
        assert now[0] != seen[-1][0]
        assert now[1] != seen[-1][1]
        seen.append(now)
    assert store.marks((UNKNOWN,)) == {}


class TestOverHttp:
    def test_what_changes_is_told_once_and_to_those_alone_who_follow_it(self, service: Service) -> None:
        run, other = service.search([], running=1), service.search([], running=1)
        with followed(service.url, run.id) as told, followed(service.url, other.id) as others:
            first = told.mark()
            assert first == service.store.marks((run.id,))[run.id]
            assert others.mark() == service.store.marks((other.id,))[other.id]
            service.store.note(run.id, "note", "something")
            second = told.mark()
            assert second == service.store.marks((run.id,))[run.id] != first
            service.store.note(other.id, "note", "something")
            assert others.mark() == service.store.marks((other.id,))[other.id]

    def test_who_knows_the_mark_is_told_of_the_next_one(self, service: Service) -> None:
        run = service.search([], running=1)
        known = service.store.marks((run.id,))[run.id]
        with followed(service.url, run.id, known) as told:
            service.store.note(run.id, "note", "something")
            now = service.store.marks((run.id,))[run.id]
            assert told.mark() == now
        with followed(service.url, run.id, known) as told:  # what happened while nobody listened
            assert told.mark() == now

    def test_another_process_that_writes_is_heard_of(self, service: Service) -> None:
        with followed(service.url) as told:
            told.mark()
            with contextlib.closing(Store(f"sqlite:///{service.store.name.removeprefix('SQLite database ')}")) as other:
                added = other.add_run("search", service.search([]).spec)
            marks = iter(told.mark, None)
            assert any(mark == service.store.marks(("",))[""] for mark in marks)
        service.store.wish(added.id, "cancel")

    def test_a_run_that_is_deleted_ends_its_stream(self, service: Service) -> None:
        run = service.search([])
        service.store.claims.release(run.id, OWNER, "cancelled")
        with followed(service.url, run.id) as told:
            told.mark()
            service.store.removals.delete_run(run.id)
            assert [kind for kind, _ in told] == ["changed"]
        with followed(service.url, run.id) as told:
            assert told.response.status_code == 404
            contract().check(told.response)

    def test_something_is_sent_while_nothing_happens(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("api.following.BEAT_SECONDS", 0.01)
        with followed(service.url, service.search([]).id) as told:
            told.mark()
            assert next(iter(told)) == ("beat", "")

    def test_one_client_has_half_of_its_connections_for_them(self, service: Service) -> None:
        app = create_app(service.store, Edge(login=False, limits=Limits(connections=8, of_this_machine=4)))
        with serving(app) as url, followed(url) as first, followed(url) as second:
            first.mark()
            second.mark()
            with followed(url) as third:
                assert third.response.status_code == 429
                contract().check(third.response)
                assert "2 streams of 127.0.0.1" in third.response.json()["detail"]
            second.response.close()

            def there_is_room() -> bool:
                with followed(url) as again:
                    return again.response.status_code == 200

            eventually(there_is_room)  # as soon as the service knows who has left

    def test_a_token_that_is_revoked_hears_nothing_more(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("api.following.BEAT_SECONDS", 0.01)
        monkeypatch.setattr("api.access.REMEMBERED_SECONDS", 0.0)
        token, text = service.store.tokens.create("anna", "read")
        with (
            serving(create_app(service.store, Edge())) as url,
            followed(url, Authorization=f"Bearer {text}") as told,
        ):
            told.mark()
            service.store.tokens.revoke(token.id)
            assert {kind for kind, _ in told} <= {"beat", "changed"}, "and it ends"


class Stage:
    """A database as many streams see it."""

    def __init__(self) -> None:
        self.marks, self.looks, self.leaving, self.broken = dict[str, str](), list[set[str]](), False, False

    def look(self, runs: Collection[str]) -> dict[str, str]:
        self.looks.append(set(runs))
        if self.broken:
            raise StoreError("the database is away")
        return dict(self.marks)


class TestOneLookForAll:
    @pytest.fixture
    def stage(self, monkeypatch: pytest.MonkeyPatch) -> Stage:
        monkeypatch.setattr("api.following.LOOK_SECONDS", 0.01)
        return Stage()

    @staticmethod
    async def hear(following: Following, run: str, heard: list[str]) -> None:
        with following.place(run, run, 100):
            async for mark in following.marks(run, None):
                heard.append(mark or "beat")

    def test_a_hundred_streams_ask_no_more_than_one(self, stage: Stage) -> None:
        async def play() -> None:
            following = Following(stage.look, lambda: stage.leaving, 100)
            stage.marks = {"one": "a", "other": "x"}
            heard: list[list[str]] = [[] for _ in range(100)]
            streams = [
                asyncio.create_task(self.hear(following, "other" if index % 2 else "one", marks))
                for index, marks in enumerate(heard)
            ]
            while not all(heard):
                await asyncio.sleep(0)
            before = len(stage.looks)
            stage.marks["one"] = "b"
            while any(len(marks) < 2 for marks in heard[::2]):
                await asyncio.sleep(0)
            assert len(stage.looks) - before <= 2
            assert all(look <= {"one", "other"} for look in stage.looks)
            with pytest.raises(Problem), following.place("one", "whoever", 100):
                pass
            stage.leaving = True
            await asyncio.gather(*streams)
            assert heard == [["a", "b"], ["x"]] * 50

        asyncio.run(play())

    @pytest.mark.parametrize("how", ["leaving", "broken"])
    def test_they_end_with_the_service_and_where_the_database_is_away(self, stage: Stage, how: str) -> None:
        async def play() -> None:
            following = Following(stage.look, lambda: stage.leaving, 100)
            stage.marks = {"one": "a"}
            heard: list[str] = []
            stream = asyncio.create_task(self.hear(following, "one", heard))
            while not heard:
                await asyncio.sleep(0)
            setattr(stage, how, True)
            await stream
            assert heard == ["a"]
            setattr(stage, how, False)
            again = asyncio.create_task(self.hear(following, "one", heard))
            while len(heard) < 2:
                await asyncio.sleep(0)
            stage.leaving = True
            await again

        asyncio.run(play())


def test_devices_and_several_runs_have_marks(service: Service) -> None:
    store, one, other = service.store, service.search([], running=1), service.search([], running=1)
    both = f"{one.id},{other.id}"
    before = store.marks((both, "devices", one.id))
    store.note(other.id, "note", "something")
    after = store.marks((both, "devices", one.id))
    assert [name for name in before if before[name] != after[name]] == [both]
    agent = Introduction(name="pi9", fingerprint={"processor": "x"}, instance="a" * 16, edition="")
    store.agents.introduce(agent)
    assert store.marks(("devices",)) != {"devices": after["devices"]}
    assert store.marks((f"{one.id},{UNKNOWN}",)) == {}
    with followed(service.url, both) as told, followed(service.url, "devices") as devices:
        assert told.mark() == after[both]
        devices.mark()
    with followed(service.url, f"{one.id},{UNKNOWN}") as told:
        assert told.response.status_code == 404
