"""A model by its id, or by what it is of its run: RUN@best, RUN@latest, RUN@b0 and other members."""

from typing import Annotated

from fastapi import Depends, Path

from api.history import Histories, History
from api.views import growth
from api.views.growth import Member
from nas.filenames import plain
from nas.records import Model, Run
from nas.specs import GrowthSpec, SearchSpec
from nas.store import NotFound

ALIASES = "best, latest, and of a growth its members, as b0 or mult_adds-2x for mult_adds<=2x"


def model(history: History, name: str) -> Model:
    """Raises NotFound, which says what there is instead."""
    run_id, at, alias = name.partition("@")
    if not at:
        return history.store.model(name)
    rows, run = history.store.models(run_id), history.store.run(run_id)
    if not rows:
        raise NotFound(f"run {run_id} has no model: grow it, or search with save_weights")
    if alias == "latest":
        return rows[0]
    if alias == "best":
        return history.store.model(_best(history, run))
    return history.store.model(_member(history, run, alias))


def _best(history: History, run: Run) -> str:
    """Of a search the one with the highest reward, of a growth the most accurate member."""
    if isinstance(run.spec, SearchSpec):
        leader = history.standing(run).best
        if leader is None or leader.model is None:
            raise NotFound(f"search {run.id} has no weights of its best network: grow it")
        return leader.model
    kept = [(score, row.model) for score, row in _scored(history, run) if row.model]
    if not kept:
        raise NotFound(f"growth {run.id} has scored none of its members yet")
    return max(kept, key=lambda each: each[0])[1]


def _scored(history: History, run: Run) -> list[tuple[float, Member]]:
    assert isinstance(run.spec, GrowthSpec), "no other kind of run saves models"
    rows = growth.family(run.spec, history.trials(run.id))
    scores = [(row.accuracy if row.test_accuracy is None else row.test_accuracy, row) for row in rows]
    return [(score, row) for score, row in scores if score is not None]


def passed_over(history: History, name: str) -> str | None:
    """That RUN@best of a growth is not the member that leads, as the weights of that one are gone, in words."""
    run_id, _, alias = name.partition("@")
    if alias != "best":
        return None
    run = history.store.run(run_id)
    if not isinstance(run.spec, GrowthSpec):
        return None
    scored = sorted(_scored(history, run), key=lambda each: (-each[0], not each[1].model))
    (best, leader), (own, taken) = scored[0], next(each for each in scored if each[1].model)
    if leader is taken:
        return None
    return (
        f"{leader.member}, which leads with {100 * best:.2f} %, has no weights any more: "
        f"{taken.member} with {100 * own:.2f} % is the best of those that have"
    )


def _member(history: History, run: Run, alias: str) -> str:
    """The first seed's."""
    rows = growth.family(run.spec, history.trials(run.id)) if isinstance(run.spec, GrowthSpec) else ()
    there = {plain(row.member).lower(): row.model for row in rows if row.model}
    if (name := plain(alias).lower()) not in there:
        has = f"it has {', '.join(there)}" if there else "only growths have members"
        raise NotFound(f"run {run.id} has no model {alias[:100]!r}: there are {ALIASES}; {has}")
    return there[name]


def _named(
    model_name: Annotated[
        str,
        Path(
            alias="model",
            description=f"its id, or RUN@NAME with its run's id and {ALIASES}",
            examples=["0a1b2c3d4e5f@best"],
        ),
    ],
    history: Histories,
) -> Model:
    return model(history, model_name)


Named = Annotated[Model, Depends(_named)]
