"""A model by its id, or by what it is of its run: RUN@best, RUN@latest, RUN@b0 and other members."""

from typing import Annotated

from fastapi import Depends, Path

from api.history import Histories, History
from api.views import growth
from nas.filenames import plain
from nas.records import Model, Run
from nas.specs import GrowthSpec, SearchSpec
from nas.store import NotFound

ALIASES = "best, latest, and of a growth its members, as b0 or mult_adds-2x for mult_adds<=2x"


def model(history: History, name: str) -> tuple[Model, str | None]:
    """With the words that RUN@best of a growth is not the member that leads, where the weights of that one are gone.
    Raises NotFound, which says what there is instead."""
    run_id, at, alias = name.partition("@")
    if not at:
        return history.store.model(name), None
    rows, run = history.store.models(run_id), history.store.run(run_id)
    if not rows:
        raise NotFound(f"run {run_id} has no model: grow it, or search with save_weights")
    if alias == "latest":
        return rows[0], None
    taken, hint = _best(history, run) if alias == "best" else (_member(history, run, alias), None)
    return history.store.model(taken), hint


def _best(history: History, run: Run) -> tuple[str, str | None]:
    """Of a search the one with the highest reward, of a growth the most accurate member that has weights."""
    if isinstance(run.spec, SearchSpec):
        found = history.standing(run).best
        if found is None or found.model is None:
            raise NotFound(f"search {run.id} has no weights of its best network: grow it")
        return found.model, None
    assert isinstance(run.spec, GrowthSpec), "no other kind of run saves models"
    rows = growth.family(run.spec, history.trials(run.id))
    scores = [(row.accuracy if row.test_accuracy is None else row.test_accuracy, row) for row in rows]
    known = [(score, row) for score, row in scores if score is not None]
    known.sort(key=lambda each: (-each[0], not each[1].model))
    for own, taken in known:
        if taken.model:
            best, leader = known[0]
            words = (
                f"{leader.member}, which leads with {100 * best:.2f} %, has no weights any more: "
                f"{taken.member} with {100 * own:.2f} % is the best of those that have"
            )
            return taken.model, None if taken is leader else words
    raise NotFound(f"growth {run.id} has scored none of its members yet")


def _member(history: History, run: Run, alias: str) -> str:
    """The first seed's."""
    rows = growth.family(run.spec, history.trials(run.id)) if isinstance(run.spec, GrowthSpec) else ()
    there = {plain(row.member).lower(): row.model for row in rows if row.model}
    if (name := plain(alias).lower()) not in there:
        has = f"it has {', '.join(there)}" if there else "only growths have members"
        raise NotFound(f"run {run.id} has no model {alias[:100]!r}: there are {ALIASES}; {has}")
    return there[name]


def _chosen(
    model_name: Annotated[
        str,
        Path(
            alias="model",
            description=f"its id, or RUN@NAME with its run's id and {ALIASES}",
            examples=["0a1b2c3d4e5f@best"],
        ),
    ],
    history: Histories,
) -> tuple[Model, str | None]:
    return model(history, model_name)


Chosen = Annotated[tuple[Model, str | None], Depends(_chosen)]


def _named(chosen: Chosen) -> Model:
    return chosen[0]


Named = Annotated[Model, Depends(_named)]
