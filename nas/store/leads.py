"""Which networks of a search lead, kept up to date as they are measured.

A network leads where none of its rung that was measured before costs as little and is worth as much, or where its
reward is the highest. So the front and the best of all are among those that lead, and the best of the first so many is
among those that ever led, whatever the number of the others. Baselines lead always and beat nobody, as a search's best
is none of them. All trials of a network that was trained or measured again lead, and it beats nobody any more: what it
is worth by all of them may be less than what it was measured at first.

A `place` says how many networks of the rung had been measured with this one; it is negative once another has taken the
lead, and null for what never had it.
"""

import math
from typing import Any

from sqlalchemy import Connection, and_, select, update

from nas.outlines import OWN_ROLES, comparable
from nas.pareto import Point
from nas.records import Trial
from nas.specs import Spec
from nas.store.tables import OUTLINE

_KEYS = (OUTLINE.c.number, OUTLINE.c.cost, OUTLINE.c.also, OUTLINE.c.value, OUTLINE.c.reward)


class Leaders:
    """Networks of a rung that lead so far: by number the reward and the point of each."""

    def __init__(self) -> None:
        self.points: dict[int, tuple[float, Point]] = {}
        self._best = (-math.inf, 0.0, -1)

    def add(self, number: int, reward: float, point: Point) -> bool:
        """Whether this one leads; those that it beats do not any more."""
        standing = (reward, -point[0], number)
        if standing[:2] <= self._best[:2] and any(_beats(other, point) for _, other in self.points.values()):
            return False
        self._best = max(self._best, standing, key=lambda own: own[:2])
        best = self._best[2]
        self.points = {own: its for own, its in self.points.items() if own == best or not _beats(point, its[1])}
        self.points[number] = reward, point
        return True


def place(connection: Connection, spec: Spec, trial: Trial, networks: int) -> None:
    """Of a trial that can be judged, or that measured a network again, after its outline was written; `networks`
    of its rung have been measured."""
    run, job = trial.run, trial.job
    if not comparable(spec, job, trial.measurement):
        first = job.measures if job.repeats is None else job.repeats
        _again(connection, run, trial.number, first or 0)
    elif job.compared or _leads(connection, run, trial.number, job.rung):
        _lead(connection, run, trial.number, networks)


def _leads(connection: Connection, run: str, number: int, rung: int | None) -> bool:
    """Whether a new network leads; those that it beats do not any more."""
    query = select(OUTLINE).where(OUTLINE.c.run == run, OUTLINE.c.number == number)
    own, leading = connection.execute(query).one(), and_(OUTLINE.c.place > 0, *_rivals(run, rung))
    best = connection.execute(
        select(OUTLINE.c.number, OUTLINE.c.reward, OUTLINE.c.cost)
        .where(leading)
        .order_by(OUTLINE.c.reward.desc(), OUTLINE.c.cost)
        .limit(1)
    ).one_or_none()
    if best is None:
        return True
    is_best = (own.reward, -own.cost) > (best.reward, -best.cost)
    costs = [(OUTLINE.c.cost, own.cost)] + ([] if own.also is None else [(OUTLINE.c.also, own.also)])
    beats_it = and_(OUTLINE.c.value >= own.value, *(column <= its for column, its in costs))
    rival = select(OUTLINE.c.number).where(leading, beats_it).limit(1)
    if not is_best and connection.scalars(rival).first() is not None:
        return False
    beaten = and_(OUTLINE.c.value <= own.value, *(column >= its for column, its in costs))
    kept = OUTLINE.c.number != (number if is_best else best.number)
    lost = select(OUTLINE.c.number).where(leading, beaten, kept)
    _lose(connection, run, set(connection.scalars(lost)))
    return True


def _again(connection: Connection, run: str, number: int, first: int) -> None:
    """Those that its network kept from the lead may have it now."""
    where = OUTLINE.c.run == run, OUTLINE.c.number == first
    its = connection.execute(select(OUTLINE.c.place, OUTLINE.c.reward, OUTLINE.c.rung).where(*where)).one()
    count = abs(its.place or number + 1)
    for trial in (number, first) if its.reward is not None else (number,):
        _lead(connection, run, trial, count)
    if (its.place or 0) <= 0 or its.reward is None:  # those that it beats are beaten by who leads, too
        return
    leaders, places = Leaders(), dict[int, int]()
    rivals = set(connection.scalars(select(OUTLINE.c.number).where(*_rivals(run, its.rung))))
    for count, (other, reward, point) in enumerate(_networks(connection, run, its.rung), 1):
        if other in rivals:
            leaders.add(other, reward, point)
            places[other] = count
    before = set(connection.scalars(select(OUTLINE.c.number).where(OUTLINE.c.place > 0, *_rivals(run, its.rung))))
    _lose(connection, run, before - set(leaders.points))
    for other in set(leaders.points) - before:
        _lead(connection, run, other, places[other])


def _rivals(run: str, rung: int | None) -> tuple[Any, ...]:
    """Networks of a rung that were trained and measured once, but for baselines."""
    again = select(OUTLINE.c.repeats).where(
        OUTLINE.c.run == run, OUTLINE.c.repeats.is_not(None), OUTLINE.c.params.is_not(None)
    )
    once = OUTLINE.c.repeats.is_(None), OUTLINE.c.number.not_in(again)
    own = OUTLINE.c.role.in_(OWN_ROLES)
    return OUTLINE.c.run == run, OUTLINE.c.rung.is_not_distinct_from(rung), OUTLINE.c.reward.is_not(None), own, *once


def _networks(connection: Connection, run: str, rung: int | None) -> list[tuple[int, float, Point]]:
    """Number, reward and point of each of a rung, baselines too, in the order in which they ended."""
    which = OUTLINE.c.rung.is_not_distinct_from(rung), OUTLINE.c.reward.is_not(None), OUTLINE.c.repeats.is_(None)
    query = select(*_KEYS).where(OUTLINE.c.run == run, *which).order_by(OUTLINE.c.finished)
    return [
        (number, reward, (cost, value) if also is None else (cost, also, value))
        for number, cost, also, value, reward in connection.execute(query)
    ]


def _lead(connection: Connection, run: str, number: int, count: int) -> None:
    own = and_(OUTLINE.c.run == run, OUTLINE.c.number == number)
    connection.execute(update(OUTLINE).where(own).values(place=count))


def _lose(connection: Connection, run: str, numbers: set[int]) -> None:
    if numbers:
        own = and_(OUTLINE.c.run == run, OUTLINE.c.number.in_(numbers))
        connection.execute(update(OUTLINE).where(own).values(place=-OUTLINE.c.place))


def _beats(one: Point, other: Point) -> bool:
    return one[-1] >= other[-1] and all(own <= its for own, its in zip(one[:-1], other[:-1]))
