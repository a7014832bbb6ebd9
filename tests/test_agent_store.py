"""Agents and errands in the store, on SQLite and on PostgreSQL alike."""

import dataclasses

import pytest

from nas.agents.errands import Answer
from nas.refusal import Refusal
from nas.store import Conflict, NotFound, Store
from nas.store import agents as stored
from tests.agents import PI
from tests.databases import Clock
from tests.service import latency


class TestStore:
    """On SQLite and on PostgreSQL alike."""

    def test_an_agent_is_online_while_it_is_heard_of(self, store: Store, clock: Clock) -> None:
        store.agents.introduce(dataclasses.replace(PI, fingerprint={"processor": "größer\0"}))
        clock.now += stored.ONLINE_SECONDS - 1
        (found,) = store.agents.all()
        assert (found.name, found.online, found.registered_at, found.heard_at) == ("pi4", True, 1000.0, 1000.0)
        assert found.fingerprint == {"processor": "größer�"}
        assert store.agents.heard("pi4", PI.instance).heard_at == clock.now
        clock.now += stored.ONLINE_SECONDS
        assert [agent.online for agent in store.agents.all()] == [False]

    def test_a_name_is_one_machines_while_that_is_online(self, store: Store, clock: Clock) -> None:
        store.agents.introduce(PI)
        other = dataclasses.replace(PI, instance="b" * 16, fingerprint={"processor": "another"})
        with pytest.raises(Conflict, match="agent 'pi4' is online on another machine: choose another name"):
            store.agents.introduce(other)
        assert store.agents.all()[0].fingerprint == PI.fingerprint
        clock.now += stored.ONLINE_SECONDS
        assert store.agents.introduce(other).fingerprint == other.fingerprint
        with pytest.raises(Conflict, match="another agent has registered as 'pi4' in the meantime"):
            store.agents.heard("pi4", PI.instance)

    def test_a_new_process_takes_name_and_errand_over_at_once(self, store: Store) -> None:
        store.agents.introduce(PI)
        errand = store.agents.send("pi4", b"x").id
        assert store.agents.take("pi4", PI.instance) == errand
        new = dataclasses.replace(PI, instance="b" * 16)
        store.agents.introduce(new)
        assert store.agents.take("pi4", new.instance) == errand
        for forbidden in (
            lambda: store.agents.take("pi4", PI.instance),
            lambda: store.agents.answer(errand, PI.instance, Answer(error="x")),
        ):
            with pytest.raises(Conflict, match="another agent has registered"):
                forbidden()
        assert store.agents.answer(errand, new.instance, Answer(latency=latency(1.0))).state == "answered"

    def test_errands_are_served_one_after_another(self, store: Store) -> None:
        for name in ("pi4", "pi5"):
            store.agents.introduce(dataclasses.replace(PI, name=name))
        first, other, second = (store.agents.send(name, name.encode()).id for name in ("pi4", "pi5", "pi4"))
        assert store.agents.parcel(other) == b"pi5"
        for _ in range(2):  # the answer to the first may have been lost
            assert store.agents.take("pi4", PI.instance) == first
        assert store.agents.look(second).state == "queued"
        with pytest.raises(Conflict, match="was not taken by this agent"):
            store.agents.answer(second, PI.instance, Answer(error="x"))
        store.agents.answer(first, PI.instance, Answer(error="x"))
        assert store.agents.unanswered() == {other: "pi5", second: "pi4"}
        assert store.agents.take("pi4", PI.instance) == second
        store.agents.answer(second, PI.instance, Answer(error="x"))
        assert store.agents.unanswered() == {other: "pi5"}
        assert store.agents.take("pi4", PI.instance) is None
        assert store.agents.take("pi5", PI.instance) == other

    def test_what_an_agent_dies_of_is_not_given_to_it_for_ever(self, store: Store) -> None:
        store.agents.introduce(PI)
        deadly, next_ = (store.agents.send("pi4", b"x").id for _ in range(2))
        for number in range(stored.MOST_TAKINGS):
            assert store.agents.introduce(dataclasses.replace(PI, instance=f"{number:016x}")).online
            for _ in range(2):  # the same instance asks again: that is no death
                assert store.agents.take("pi4", f"{number:016x}") == deadly
        store.agents.introduce(PI)
        assert store.agents.take("pi4", PI.instance) == next_
        answer = store.agents.look(deadly).answer
        assert answer
        assert "it went away 3 times in the middle of it" in str(answer.error)
        with pytest.raises(Conflict, match="its network is not kept"):
            store.agents.parcel(deadly)

    def test_nothing_is_kept_of_what_nobody_wants_to_know(self, store: Store, clock: Clock) -> None:
        store.agents.introduce(PI)
        wanted, abandoned = (store.agents.send("pi4", b"x").id for _ in range(2))
        clock.now += stored.ABANDONED_SECONDS - 1
        assert store.agents.ask(wanted).silent_seconds == stored.ABANDONED_SECONDS - 1
        clock.now += 1
        assert store.agents.take("pi4", PI.instance) == wanted
        store.agents.answer(wanted, PI.instance, Answer(error="x"))
        assert store.agents.unanswered() == {}, "it is not measured for nobody"
        store.agents.heard("pi4", PI.instance)
        with pytest.raises(NotFound, match=f"no errand '{abandoned}'"):
            store.agents.look(abandoned)
        assert store.agents.look(wanted).answer
        clock.now += stored.ABANDONED_SECONDS
        store.agents.send("pi4", b"x")
        with pytest.raises(NotFound):
            store.agents.ask(wanted)

    def test_what_waits_has_bounds(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stored, "MOST_PARCEL_BYTES", 10)
        store.agents.introduce(PI)
        errand = store.agents.send("pi4", b"x" * 6).id
        with pytest.raises(Conflict, match="networks of 6 bytes wait"):
            store.agents.send("pi4", b"x" * 6)
        store.agents.take("pi4", PI.instance)
        store.agents.answer(errand, PI.instance, Answer(error="x"))
        store.agents.send("pi4", b"x" * 6)

    def test_who_is_not_there_is_named(self, store: Store) -> None:
        for absent in (
            lambda: store.agents.send("pi4", b"x"),
            lambda: store.agents.heard("pi4", PI.instance),
            lambda: store.agents.take("pi4\0", PI.instance),
        ):
            with pytest.raises(NotFound, match="has registered: there is none"):
                absent()
        with pytest.raises(NotFound, match="no errand 'f00'"):
            store.agents.parcel("f00")


def test_an_answer_is_a_latency_or_an_error() -> None:
    with pytest.raises(Refusal, match="there is one of them"):
        Answer()
    with pytest.raises(Refusal, match="there is one of them"):
        Answer(error="x", latency=latency(1.0))
