"""What goes and what does not, on SQLite and on PostgreSQL alike; and what is left by somebody who is killed."""

import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from nas import home
from nas.disk import going
from nas.models.checkpoint import artifact
from nas.recipes import Recipe
from nas.records import RunState
from nas.specs.fidelity import Fidelity
from nas.store import Conflict, NotFound, Store
from nas.store.tables import EVENT, MODEL, RUN, TRIAL
from tests.stored import GROWTH, MEASUREMENT, SEARCH, claimed, job, snapshot

ANNA = "anna"


pytestmark = pytest.mark.usefixtures("own_home")


def saved(store: Store, *weights: str, ending: RunState | None = "finished", **spec: Any) -> str:
    """A run whose trials have saved those weights, each a file."""
    run = claimed(store, ANNA, **spec).id
    for number, sha256 in enumerate(weights):
        trial(store, run, number, sha256)
    if ending:
        store.claims.release(run, ANNA, ending)
    return run


def trial(store: Store, run: str, number: int, sha256: str, **changes: Any) -> None:
    artifact(sha256).write_bytes(b"weights")
    store.claims.begin(ANNA, dataclasses.replace(job(run, number), **changes))
    measurement = dataclasses.replace(MEASUREMENT, weights=sha256)
    store.claims.end(ANNA, number, run, "done", measurement, checkpoint_bytes=7)


def rows(store: Store) -> list[int]:
    with store._database.reading() as connection:
        return [
            connection.scalars(select(func.count()).select_from(table)).one() for table in (RUN, TRIAL, MODEL, EVENT)
        ]


def sha(digit: int) -> str:
    return f"{digit:x}" * 64


def test_a_run_goes_with_all_that_came_of_it_and_nothing_else(store: Store) -> None:
    kept = saved(store, sha(1))
    before, counted = snapshot(store, kept), rows(store)
    run = saved(store, sha(2), sha(1))  # the second are the other's weights as well
    resumed = home.folder("resume") / f"{run}-3.pt"
    resumed.write_bytes(b"half")
    going.delete_run(store, run, "zoë")
    assert (rows(store), snapshot(store, kept)) == (counted, before)
    assert not artifact(sha(2)).exists()
    assert artifact(sha(1)).exists()
    assert not resumed.exists()
    with pytest.raises(NotFound, match=f"there is no run '{run}'"):
        store.trials(run)
    with pytest.raises(NotFound):
        going.delete_run(store, run)


def test_a_run_that_is_worked_on_does_not_go(store: Store) -> None:
    run = saved(store, ending=None)
    with pytest.raises(Conflict, match=rf"run {run} is running: pause or cancel it first"):
        store.removals.delete_run(run)
    store.claims.begin(ANNA, job(run))
    store.claims.release(run, ANNA, "running")  # with a trial that nobody has ended
    with pytest.raises(Conflict, match=r"is running: .* wait until that has come about"):
        store.removals.delete_run(run)
    assert store.trials(run)


def test_runs_that_wait_or_are_paused_go(store: Store) -> None:
    aside = saved(store, ending=None)
    store.claims.begin(ANNA, job(aside))
    store.wish(aside, "pause")
    store.claims.release(aside, ANNA, "paused")  # with a trial that had not begun
    paused, waiting = saved(store, sha(1), ending="paused"), store.add_run("search", SEARCH).id
    for run in (paused, waiting, aside):
        store.removals.delete_run(run)
    assert store.runs() == []


def test_handed_on_weights_go_with_their_run_and_are_needed_until_then(store: Store) -> None:
    run = claimed(store, ANNA).id
    trial(store, run, 0, sha(3), handed_on=True)
    assert sha(3) in store.removals.needed()
    store.claims.release(run, ANNA, "paused")
    assert sha(3) in store.removals.needed()
    assert store.removals.delete_run(run) == (sha(3),)
    assert store.removals.needed() == frozenset()


@pytest.mark.parametrize("of", ["parent", "teacher"])
def test_what_another_run_needs_does_not_go_and_it_is_named(store: Store, of: str) -> None:
    run = saved(store, sha(4))
    use: dict[str, Any] = {"parent": sha(4)} if of == "parent" else {"recipe": Recipe(teacher=sha(4))}
    other = saved(store, ending=None, **use)
    for removal in (lambda: store.removals.delete_run(run), lambda: store.removals.delete_model(f"{run}-0")):
        with pytest.raises(Conflict, match=rf"search {other}, which is running, needs model {run}-0"):
            removal()
    assert store.removals.prune({f"{run}-0": "old"}) == []
    store.claims.release(other, ANNA, "finished")
    assert store.removals.prune({f"{run}-0": "old"}) == [], "its budget may be raised"
    assert sha(4) in store.removals.needed()
    store.removals.delete_model(f"{run}-0")


def test_the_weights_of_a_model_go_and_its_figures_stay(store: Store) -> None:
    run = saved(store, sha(5), sha(6))
    before = store.trials(run)
    gone = going.delete_model(store, f"{run}-0", "zoë")
    assert gone == store.model(f"{run}-0")
    assert gone.removed == "deleted by zoë"
    assert store.trials(run) == before
    assert [model.number for model in store.models(run)] == [1]
    assert {model.number for model in store.models(run, removed=True)} == {0, 1}
    assert store.removed(run) == {0}
    assert (artifact(sha(5)).exists(), artifact(sha(6)).exists()) == (False, True)
    last = store.events(run)[-1]
    assert (last.kind, last.by) == ("removed", "zoë")
    assert last.text == f"weights of model {run}-0 removed: deleted by zoë"
    with pytest.raises(Conflict, match="were removed before: deleted by zoë"):
        store.removals.delete_model(f"{run}-0")
    with pytest.raises(Conflict, match=r"were removed \(deleted by zoë\): name another model"):
        store.add_run("search", dataclasses.replace(SEARCH, parent=sha(5)))
    assert len(store.runs()) == 1


def test_a_model_of_a_run_that_has_not_ended_does_not_go(store: Store) -> None:
    run = saved(store, sha(7), ending="paused")
    with pytest.raises(Conflict, match=rf"run {run} is paused and may go on with the weights of model {run}-0"):
        store.removals.delete_model(f"{run}-0")


def test_what_is_pinned_stays(store: Store) -> None:
    run = saved(store, sha(8))
    assert store.removals.pin(f"{run}-0", True, "zoë").pinned
    store.removals.pin(f"{run}-0", True, "zoë")
    assert store.model(f"{run}-0").pinned
    for removal in (lambda: store.removals.delete_run(run), lambda: store.removals.delete_model(f"{run}-0")):
        with pytest.raises(Conflict, match=rf"model {run}-0 .*is pinned: unpin it first"):
            removal()
    assert store.removals.prune({f"{run}-0": "old"}) == []
    store.removals.pin(f"{run}-0", False, "zoë")
    assert [model.removed for model in store.removals.prune({f"{run}-0": "old"})] == ["old"]
    with pytest.raises(Conflict, match=r"were removed \(old\): they cannot be pinned"):
        store.removals.pin(f"{run}-0", True)
    told = [(event.kind, event.by) for event in store.events(run)][-3:]
    assert told == [("pinned", "zoë"), ("unpinned", "zoë"), ("removed", None)]


def test_many_that_go_together_are_one_event_of_their_run(store: Store) -> None:
    run, other = saved(store, sha(1), sha(2), sha(3)), saved(store, sha(4))
    gone = store.removals.prune(dict.fromkeys((f"{run}-0", f"{run}-2", f"{other}-0", "no-0"), "kept the best"), "zoë")
    assert sorted(model.id for model in gone) == sorted((f"{run}-0", f"{run}-2", f"{other}-0"))
    assert store.events(run)[-1].text == "weights of 2 models removed: kept the best"
    assert store.removals.prune({f"{run}-0": "again"}) == []


def test_a_search_is_told_that_its_growth_went(store: Store) -> None:
    search = saved(store)
    growth = store.add_run("growth", dataclasses.replace(GROWTH, source=(search, 2))).id
    store.removals.delete_run(growth, "zoë")
    last = store.events(search)[-1]
    assert (last.kind, last.text, last.by) == ("deleted", f"growth {growth} of it deleted", "zoë")


def test_what_trials_of_its_own_run_begin_with_is_not_pruned_whatever_was_so_when_it_was_chosen(store: Store) -> None:
    run = saved(store, sha(1), sha(2), ending=None)
    trial(store, run, 2, sha(3), parent=sha(1))
    reasons = {f"{run}-{number}": "old" for number in range(2)}
    assert [model.number for model in store.removals.prune(reasons)] == [1]
    store.claims.release(run, ANNA, "finished")  # and may go on with a larger budget
    assert store.removals.prune(reasons) == []
    inheriting = Fidelity(eta=2, rungs=2, inherit=True)
    open_one = saved(store, sha(4), ending=None, fidelity=inheriting, trials=20, recipe=Recipe(epochs=4, folds=1))
    assert store.removals.prune({f"{open_one}-0": "old"}) == []
    store.claims.release(open_one, ANNA, "cancelled")
    assert [model.number for model in store.removals.prune({f"{open_one}-0": "old"})] == [0]


def test_what_was_saved_elsewhere_is_a_parent_as_long_as_its_file_is_there(store: Store) -> None:
    artifact(sha(7)).write_bytes(b"of another service")
    for changes in ({"parent": sha(7)}, {"recipe": Recipe(teacher=sha(7))}):
        assert store.add_run("search", dataclasses.replace(SEARCH, **changes)).state == "queued"
    artifact(sha(7)).unlink()
    with pytest.raises(Conflict, match=f"the weights {sha(7)}"):
        store.add_run("search", dataclasses.replace(SEARCH, parent=sha(7)))


def test_what_went_with_its_run_is_no_parent_any_more(store: Store) -> None:
    run = saved(store, sha(5))
    for changes in ({"parent": sha(5)}, {"recipe": Recipe(teacher=sha(5))}):
        store.removals.delete_run(store.add_run("search", dataclasses.replace(SEARCH, **changes)).id)
    going.delete_run(store, run)
    for changes in ({"parent": sha(5)}, {"recipe": Recipe(teacher=sha(5))}):
        with pytest.raises(Conflict, match=f"the weights {sha(5)} went with the run that had saved them"):
            store.add_run("search", dataclasses.replace(SEARCH, **changes))


def test_of_those_who_delete_and_those_who_need_one_is_first(store: Store) -> None:
    """Whatever the order: never a run whose parent went."""
    barrier = threading.Barrier(2)

    def add() -> str | None:
        barrier.wait()
        try:
            return store.add_run("search", dataclasses.replace(SEARCH, parent=sha(9))).id
        except Conflict:
            return None

    def remove(model: str) -> bool:
        barrier.wait()
        try:
            return bool(store.removals.delete_model(model))
        except Conflict:
            return False

    with ThreadPoolExecutor(2) as pool:
        for _ in range(8):
            run = saved(store, sha(9))
            adding, removing = pool.submit(add), pool.submit(remove, f"{run}-0")
            added = adding.result()
            assert (added is None) == removing.result()
            for each in filter(None, (added, run)):
                store.removals.delete_run(each)


def test_who_is_killed_before_the_files_went_leaves_only_files(store: Store, database_url: str) -> None:
    run, kept = saved(store, sha(1), sha(2)), saved(store, sha(3))
    store.close()
    program = multiprocessing.get_context("spawn").Process(target=_killed_meanwhile, args=(database_url, run))
    program.start()
    program.join()
    assert program.exitcode == -signal.SIGKILL
    with pytest.raises(NotFound):
        store.run(run)
    assert rows(store)[:3] == [1, 1, 1]
    there = {path.stem for path in home.folder("artifacts").iterdir()}
    assert there - store.removals.needed() == {sha(1), sha(2)}
    assert store.removals.needed() == {store.model(f"{kept}-0").sha256}


def _killed_meanwhile(url: str, run: str) -> None:
    def killed(paths: Iterable[Path]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    going.remove = killed
    going.delete_run(Store(url), run)
