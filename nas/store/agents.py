"""Agents and their errands: rows to records, one short transaction a method."""

import json
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from nas.agents.errands import Agent, Answer, Errand, Introduction
from nas.store.database import Database
from nas.store.errors import Conflict, NotFound
from nas.store.tables import AGENT, ERRAND
from nas.store.text import plain, restored, written

ONLINE_SECONDS = 30.0  # an agent is heard of every ten
ABANDONED_SECONDS = 120.0  # after which nobody wants to know what became of an errand; it is asked for every ten
MOST_TAKINGS = 3  # of an errand: then it seems to be what the agent dies of
MOST_PARCEL_BYTES = 2**30  # of all that wait together


class Agents:
    """Those who have registered, and what they are asked to measure.

    Promises:
    - A name belongs to one instance of one agent at a time: `heard`, `take` and `answer` of another raise Conflict.
    - Errands to an agent are served in the order in which they were sent, one after the other. One that was taken and
      not answered is served again to the next instance of the agent, three times at the most.
    - A parcel is deleted once it is answered, and an errand that nobody has asked for in two minutes.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def introduce(self, new: Introduction) -> Agent:
        """The agent of that name is there from now on, as that instance of it.

        Raises Conflict where another machine has the name and is online; a new instance on what seems to be the same
        machine takes it over at once.
        """
        now = self._clock()
        fingerprint = {plain(name): plain(fact) for name, fact in new.fingerprint.items()}
        values = {"fingerprint": json.dumps(fingerprint), "instance": new.instance, "heard_at": now}
        with self._database.writing() as connection:
            row = connection.execute(select(AGENT).where(AGENT.c.name == new.name).with_for_update()).one_or_none()
            if row is None:
                try:
                    connection.execute(insert(AGENT).values(name=new.name, registered_at=now, **values))
                except IntegrityError as error:
                    raise Conflict(f"another agent registers as {new.name!r} at this moment: try again") from error
            elif row.instance != new.instance and self._online(row) and json.loads(row.fingerprint) != fingerprint:
                raise Conflict(
                    f"agent {new.name!r} is online on another machine: choose another name, or end that one and wait "
                    f"for {ONLINE_SECONDS:g} seconds"
                )
            else:
                connection.execute(update(AGENT).where(AGENT.c.name == new.name).values(values))
            row = _agent(connection, new.name)
        return self._record(row)

    def heard(self, agent: str, instance: str) -> Agent:
        """The agent is still there."""
        with self._database.writing() as connection:
            self._hold(connection, agent, instance)
            self._forget(connection)
            row = _agent(connection, agent)
        return self._record(row)

    def all(self) -> list[Agent]:
        """Every agent that has ever registered, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(AGENT).order_by(AGENT.c.name)).all()
        return [self._record(row) for row in rows]

    def send(self, agent: str, parcel: bytes) -> Errand:
        """A new errand, queued. Raises Conflict where too much waits already."""
        errand = secrets.token_hex(8)
        with self._database.writing() as connection:
            _agent(connection, agent)
            self._forget(connection)
            waiting = connection.scalars(select(func.coalesce(func.sum(func.length(ERRAND.c.parcel)), 0))).one()
            if waiting + len(parcel) > MOST_PARCEL_BYTES:
                raise Conflict(f"networks of {waiting:,} bytes wait to be measured by agents: send fewer at once")
            values = {"id": errand, "agent": agent, "parcel": parcel, "takings": 0, "asked_at": self._clock()}
            connection.execute(insert(ERRAND).values(values))
            row = _errand(connection, errand)
        return self._told(row)

    def unanswered(self) -> dict[str, str]:
        """The errands that wait for their agents or are being done, each with its agent, in the order in which they
        were sent."""
        query = select(ERRAND.c.id, ERRAND.c.agent).where(ERRAND.c.answer.is_(None), self._wanted())
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(ERRAND.c.serial)).all()
        return {row.id: row.agent for row in rows}

    def parcels(self, *, forgotten: bool = False) -> list[int]:
        """The bytes of each parcel that is kept; with `forgotten` of those alone that nobody asks for any more."""
        query = select(func.length(ERRAND.c.parcel)).where(ERRAND.c.parcel.is_not(None))
        with self._database.reading() as connection:
            return list(connection.scalars(query.where(~self._wanted()) if forgotten else query))

    def forget(self) -> None:
        """Delete errands that nobody asks for any more."""
        with self._database.writing() as connection:
            self._forget(connection)

    def take(self, agent: str, instance: str) -> str | None:
        """That errand, taken by the agent; None if there is none."""
        with self._database.writing() as connection:
            self._hold(connection, agent, instance)
            while row := self._next(connection, agent):
                which = ERRAND.c.id == row.id
                if row.taken_by != instance and row.takings >= MOST_TAKINGS:
                    gone = f"it went away {row.takings} times in the middle of it: does the network fit its memory?"
                    values = {"answer": written(Answer(error=gone)), "parcel": None}
                    connection.execute(update(ERRAND).where(which).values(values))
                    continue
                takings = row.takings + (row.taken_by != instance)
                connection.execute(update(ERRAND).where(which).values(taken_by=instance, takings=takings))
                return str(row.id)
        return None

    def parcel(self, errand: str) -> bytes:
        """What the agent is to measure. Raises Conflict where it has been answered."""
        with self._database.reading() as connection:
            row = _errand(connection, errand)
            parcel = connection.scalars(select(ERRAND.c.parcel).where(ERRAND.c.id == row.id)).one()
        if parcel is None:
            raise Conflict(f"errand {errand} is answered: its network is not kept")
        return bytes(parcel)

    def answer(self, errand: str, instance: str, answer: Answer) -> Errand:
        """The errand, answered. Raises Conflict unless it is taken by that instance and not answered yet."""
        text = written(answer)
        with self._database.writing() as connection:
            row = _errand(connection, errand)
            self._hold(connection, row.agent, instance)
            open_ = and_(ERRAND.c.id == row.id, ERRAND.c.taken_by == instance, ERRAND.c.answer.is_(None))
            if not connection.execute(update(ERRAND).where(open_).values(answer=text, parcel=None)).rowcount:
                raise Conflict(f"errand {errand} is answered already, or was not taken by this agent")
            row = _errand(connection, errand)
        return self._told(row)

    def ask(self, errand: str) -> Errand:
        """The errand; who sent it has to ask for it every two minutes."""
        with self._database.writing() as connection:
            row = _errand(connection, errand)
            connection.execute(update(ERRAND).where(ERRAND.c.id == row.id).values(asked_at=self._clock()))
        return self._told(row)

    def look(self, errand: str) -> Errand:
        """The errand, without asking for it."""
        with self._database.reading() as connection:
            row = _errand(connection, errand)
        return self._told(row)

    def _next(self, connection: Connection, agent: str) -> Row[Any] | None:
        columns: list[Any] = [ERRAND.c.id, ERRAND.c.taken_by, ERRAND.c.takings]
        query = select(*columns).where(ERRAND.c.agent == plain(agent), ERRAND.c.answer.is_(None), self._wanted())
        return connection.execute(query.order_by(ERRAND.c.serial).limit(1)).one_or_none()

    def _wanted(self) -> ColumnElement[bool]:
        return ERRAND.c.asked_at > self._clock() - ABANDONED_SECONDS

    def _hold(self, connection: Connection, agent: str, instance: str) -> None:
        """The agent is heard of, and nobody else can take its name before the transaction ends. Raises Conflict."""
        row = _agent(connection, agent, lock=True)
        if row.instance != instance:
            raise Conflict(f"another agent has registered as {agent!r} in the meantime: this one is not it any more")
        connection.execute(update(AGENT).where(AGENT.c.name == agent).values(heard_at=self._clock()))

    def _forget(self, connection: Connection) -> None:
        connection.execute(delete(ERRAND).where(ERRAND.c.asked_at <= self._clock() - ABANDONED_SECONDS))

    def _online(self, row: Row[Any]) -> bool:
        return bool(self._clock() - row.heard_at < ONLINE_SECONDS)

    def _record(self, row: Row[Any]) -> Agent:
        return Agent(
            name=row.name,
            fingerprint=json.loads(row.fingerprint),
            registered_at=row.registered_at,
            heard_at=row.heard_at,
            online=self._online(row),
        )

    def _told(self, row: Row[Any]) -> Errand:
        return Errand(
            id=row.id,
            agent=row.agent,
            state="answered" if row.answer else "measuring" if row.taken_by else "queued",
            silent_seconds=max(0.0, self._clock() - row.heard_at),
            answer=row.answer and restored(Answer, row.answer),
        )


def _agent(connection: Connection, name: str, lock: bool = False) -> Row[Any]:
    query = select(AGENT).where(AGENT.c.name == plain(name))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        known = ", ".join(connection.scalars(select(AGENT.c.name).order_by(AGENT.c.name)))
        raise NotFound(f"no agent {name!r} has registered: there {f'are {known}' if known else 'is none'}")
    return row


def _errand(connection: Connection, errand: str) -> Row[Any]:
    """All but its parcel, and when its agent was heard of."""
    columns: list[Any] = [ERRAND.c.id, ERRAND.c.agent, ERRAND.c.taken_by, ERRAND.c.answer, AGENT.c.heard_at]
    query = select(*columns).join(AGENT, AGENT.c.name == ERRAND.c.agent).where(ERRAND.c.id == plain(errand))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no errand {errand!r}: it is forgotten once nobody asks for it")
    return row
