"""What owners use and may use: in the store of either kind, in the coordinator, over HTTP and on the command line."""

import contextlib
import dataclasses
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.cli.numbers import bytes_of
from api.edge import Edge
from nas import usage
from nas.client import Client, ServiceError
from nas.plans import plan_for
from nas.quotas import OverQuota, Quota, QuotaRequest, Usage
from nas.records import Progress, Run
from nas.refusal import Refusal
from nas.specs import SearchSpec
from nas.store import Store
from nas.uploads import UploadRequest, receiving
from tests.command_line import nas, unwrapped
from tests.databases import Clock
from tests.service import SMALLEST, serving
from tests.stored import MEASUREMENT, SEARCH, job
from tests.test_drive import IMAGES, SPEC, Inbox, Inline
from tests.test_slots import Queue
from workers.drive import drive

ANNA = "host:1:a"
HOUR = 3600.0

pytestmark = pytest.mark.usefixtures("own_home")


def submitted(store: Store, by: str | None, *hours: float, weights: str = "") -> str:
    """A run that is held, of which a trial has ended for each of these compute hours."""
    run = store.add_run("search", SEARCH, by).id
    claimed = store.claims.claim(ANNA, 1e6)
    assert claimed
    assert claimed.id == run
    for number, each in enumerate(hours):
        store.claims.begin(ANNA, job(run, number))
        came = dataclasses.replace(MEASUREMENT, weights=weights or None)
        store.claims.end(ANNA, number, run, "done", came, checkpoint_bytes=1000, compute_seconds=each * HOUR)
    return run


class TestStore:
    def test_adds_up_what_each_owner_uses(self, store: Store) -> None:
        run = submitted(store, "anna", 1.5, 0.5, weights="ab" * 32)
        store.claims.begin(ANNA, job(run, 2))
        store.claims.begin(ANNA, job(run, 3))
        store.claims.progress(ANNA, Progress(run=run, number=3, phase="training"))
        submitted(store, None, 0.25)
        store.add_run("search", SEARCH, "anna")
        receiving.begin(UploadRequest(name="roses", bytes=500), "anna")
        receiving.begin(UploadRequest(name="tulips", bytes=70), "bert")
        store.owners.limit("zoe", Quota(running_trials=3))
        expected = [
            Usage(
                owner="anna",
                runs=1,
                queued=1,
                running_trials=1,
                waiting_trials=1,
                compute_hours=2.0,
                disk_bytes=1500,  # two trials have saved the same weights
            ),
            Usage(owner=None, runs=1, compute_hours=0.25),
            Usage(owner="bert", disk_bytes=70),
            Usage(owner="zoe", quota=Quota(running_trials=3)),
        ]
        assert usage.usages(store) == expected
        assert [usage.usage(store, name) for name in ("anna", "bert", "zoe")] == [expected[0], *expected[2:]]
        assert usage.usage(store, "nobody") == Usage(owner="nobody")

    def test_trials_of_a_run_that_is_paused_neither_run_nor_wait(self, store: Store) -> None:
        run = submitted(store, "anna")
        store.claims.begin(ANNA, job(run, 0))
        store.claims.release(run, ANNA, "paused")
        assert store.owners.usages() == [Usage(owner="anna")]

    def test_hours_of_a_run_that_was_deleted_stay_spent_and_its_weights_do_not_count(self, store: Store) -> None:
        for hours in (2.0, 0.5):
            run = submitted(store, "anna", hours, weights="ab" * 32)
            store.claims.release(run, ANNA, "finished")
            store.removals.delete_run(run)
        assert store.owners.usages() == [Usage(owner="anna", compute_hours=2.5)]
        assert store.owners.usage("anna").compute_hours == 2.5

    def test_a_quota_is_kept_and_lifted(self, store: Store, second: Store) -> None:
        assert store.owners.quota("anna").unlimited
        quota = Quota(running_trials=2, compute_hours=0.5, disk_bytes=10**13)
        store.owners.limit("anna", quota)
        assert second.owners.quota("anna") == quota
        assert second.owners.most_running() == {"anna": 2}
        second.owners.limit("anna", Quota(disk_bytes=0))
        assert store.owners.quota("anna") == Quota(disk_bytes=0)
        assert store.owners.most_running() == {}
        store.owners.limit("anna", Quota())
        assert store.owners.usages() == [], "what was lifted has left nothing"

    def test_runs_of_an_owner_whose_trials_are_counted_are_held_by_one_process(
        self, store: Store, second: Store, clock: Clock
    ) -> None:
        runs = [store.add_run("search", SEARCH, by).id for by in ("anna", "anna", "anna", "bert", "bert")]
        store.owners.limit("anna", Quota(running_trials=1))

        def claimed(by: Store, owner: str) -> int | None:
            run = by.claims.claim(owner, 60)
            return None if run is None else runs.index(run.id)

        assert claimed(store, "host:1:a") == 0
        assert claimed(second, "host:12:b") == 3, "no other process has hers"
        assert claimed(second, "host:12:c") == 4
        assert claimed(second, "host:12:d") is None
        assert claimed(store, "host:1:e") == 1
        clock.now += 60
        assert claimed(second, "host:12:f") == 0, "the first one has died"
        store.owners.limit("anna", Quota())
        assert claimed(store, "host:1:g") == 3
        assert claimed(store, "host:1:h") == 1, "any process may"


@pytest.mark.parametrize(
    ("quota", "more_bytes", "said"),
    [
        (Quota(running_trials=1), 0, None),
        (Quota(compute_hours=2.1), 0, None),
        (
            Quota(compute_hours=2.0),
            0,
            r"anna has spent 2 compute hours of a quota of 2: ask an admin .*--compute-hours",
        ),
        (Quota(compute_hours=2.0), 10, None),
        (Quota(disk_bytes=1501), 0, None),
        (Quota(disk_bytes=1501), 1, None),
        (
            Quota(disk_bytes=1501),
            2,
            r"anna holds 1,500 bytes of a quota of 1,501 .* 2 more are too many: delete models",
        ),
        (
            Quota(disk_bytes=1500),
            0,
            r"anna holds 1,500 bytes of a quota of 1,500 of the disk: delete .*nas quota anna",
        ),
    ],
)
def test_what_is_too_much_is_said_with_the_way_out(
    tmp_path: Any, quota: Quota, more_bytes: int, said: str | None
) -> None:
    with contextlib.closing(Store(f"sqlite:///{tmp_path}/nas.db")) as store:
        submitted(store, "anna", 1.5, 0.5, weights="ab" * 32)
        receiving.begin(UploadRequest(name="roses", bytes=500), "anna")
        store.owners.limit("anna", quota)
        usage.require(store, "bert", more_bytes)
        usage.require(store, None, more_bytes)
        with pytest.raises(OverQuota, match=said) if said else contextlib.nullcontext():
            usage.require(store, "anna", more_bytes)


@pytest.mark.parametrize(
    ("field", "wrong"), [("running_trials", 0), ("compute_hours", -1.0), ("disk_bytes", 2**61), ("owner", "a\nb")]
)
def test_a_quota_that_is_none_is_refused(field: str, wrong: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        QuotaRequest(**{"owner": "anna", field: wrong})
    assert refusal.value.field == field


def test_trials_beyond_the_quota_wait_while_others_pass_and_begin_once_it_is_raised() -> None:
    queue = Queue(4, hers=1.0, his=1.0)
    hers, his = queue.slots.line("anna", 1), queue.slots.line("bert", 1)
    queue.slots.limit({"anna": 1})
    first, *_ = [queue.ask(hers, "hers") for _ in range(3)]
    queue.ask(his, "his")
    assert queue.begun == ["hers", "his"]
    first.free()
    assert queue.begun == ["hers", "his", "hers"], "in their turn"
    queue.slots.limit({"anna": 2})
    queue.slots.deal()
    assert queue.begun == ["hers", "his", "hers", "hers"]


def test_runs_of_one_owner_share_their_quota_and_nobody_saves_up_behind_one() -> None:
    queue = Queue(2, one=1.0, other=1.0, his=1.0)
    queue.slots.limit({"anna": 1})
    lines = {"one": queue.slots.line("anna", 1), "other": queue.slots.line("anna", 1)}
    had = queue.run(lines, 100.0)
    assert had["one"] == pytest.approx(had["other"], abs=2)
    assert sum(had.values()) == pytest.approx(100, abs=2), "one at a time"
    queue = Queue(3, one=1.0, his=1.0, late=1.0)
    queue.slots.limit({"anna": 1})
    lines = {"one": queue.slots.line("anna", 1), "his": queue.slots.line("bert", 1)}
    queue.run(lines, 100.0, parallel=3)
    queue.begun.clear()
    queue.run(lines | {"late": queue.slots.line("carl", 1)}, 130.0, parallel=3)
    assert queue.begun.count("late") == pytest.approx(30, abs=4), "as much as bert from now on, not what anna lacks"


def test_a_run_is_paused_when_its_owner_has_spent_their_hours_and_goes_on_with_more(tmp_path: Any) -> None:
    with contextlib.closing(Store(f"sqlite:///{tmp_path}/nas.db")) as store:
        store.owners.limit("anna", Quota(compute_hours=2.0))
        run = store.add_run("search", dataclasses.replace(SPEC, trials=4, parallel=1), "anna")

        def driven() -> Run | None:
            held = store.claims.claim(ANNA, 600)
            assert held is not None
            return drive(store, ANNA, held, plan_for(held, IMAGES), Inline(compute_seconds=HOUR), Inbox())

        left = driven()
        assert left
        assert left.state == "paused"
        assert len(store.trials(run.id)) == 2
        (said,) = [event.text for event in store.events(run.id) if event.kind == "quota"]
        assert said.startswith("anna has spent 2 compute hours of a quota of 2: ask an admin for more")
        store.owners.limit("anna", Quota(compute_hours=3.5))
        store.wish(run.id, "run")
        left = driven()
        assert left
        assert left.state == "finished", "the last trial took her over it, and nothing else was to begin"
        assert len(store.trials(run.id)) == 4


@pytest.fixture
def app(tmp_path: Any) -> Iterator[tuple[Store, FastAPI]]:
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    yield store, create_app(store, Edge())
    store.close()


def test_over_http_who_has_used_it_up_is_told_so_and_an_admin_gives_more(app: tuple[Store, FastAPI]) -> None:
    store, service = app
    tokens = {owner: store.tokens.create(owner, "write")[1] for owner in ("anna", "bert")}
    admin = store.tokens.create("zoe", "admin")[1]
    with (
        serving(service) as url,
        Client(url, tokens["anna"]) as anna,
        Client(url, tokens["bert"]) as bert,
        Client(url, admin) as zoe,
    ):
        run = anna.search(**SMALLEST)["id"]
        anna.pause(run)
        with pytest.raises(ServiceError, match="this takes one for 'admin'"):
            anna.set_quota("anna", compute_hours=1e6)
        answer = zoe.set_quota("anna", compute_hours=0, disk_bytes=1000)
        assert answer["quota"] == {"running_trials": None, "compute_hours": 0, "disk_bytes": 1000}
        ways: list[Callable[[], object]] = [
            lambda: anna.search(**SMALLEST),
            lambda: anna.proxy(**SMALLEST),
            lambda: anna.measure(published="LeNet-5"),
            lambda: anna.grow(run),
            lambda: anna.resume(run),
            lambda: bert.resume(run),
            lambda: anna.raise_budget(run, 50),
        ]
        for refused in ways:
            with pytest.raises(ServiceError, match="anna has spent 0 compute hours of a quota of 0") as refusal:
                refused()
            assert refusal.value.status == 403
        upload = httpx.post(
            f"{url}/v1/images",
            json={"name": "roses", "bytes": 1001},
            headers={"Authorization": f"Bearer {tokens['anna']}"},
        )
        assert upload.status_code == 403
        assert "1,001 more are too many" in upload.json()["detail"]
        bert.search(**SMALLEST)
        zoe.set_quota("anna")
        anna.resume(run)
        assert [row["owner"] for row in anna.usage()] == ["anna", "bert"]


def test_the_command_shows_who_uses_what_and_sets_quotas(
    app: tuple[Store, FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, service = app
    with serving(service) as url:
        monkeypatch.setenv("NAS_URL", url)
        monkeypatch.setenv("NAS_TOKEN", store.tokens.create("zoe", "admin")[1])
        assert "Nobody uses anything yet" in nas("top").out
        store.add_run("search", SearchSpec(dataset="fashion_mnist"), "anna")
        assert nas("quota", "anna", "--running-trials", "2", "--disk", "50GB").code == 0
        assert nas("quota", "anna", "--compute-hours", "1.5", "--running-trials", "none", "--json").json["quota"] == {
            "running_trials": None,
            "compute_hours": 1.5,
            "disk_bytes": 50_000_000_000,
        }
        words = " ".join(nas("top").out.split())
        assert "anna 0 1 0 0 0.00 of 1.5 0 B of 50.0 GB" in words
        assert nas("quota", "bert", "--json").json["quota"]["disk_bytes"] is None
        assert "bert" not in nas("top").out, "who is only asked for has none"
        unheard_of = "Nobody called bert has used anything here: nas token list has the names of owners"
        assert unheard_of in unwrapped(nas("quota", "bert").out)
        assert unheard_of in unwrapped(nas("quota", "bert", "--running-trials", "1").out)
        assert "Nobody called" not in nas("quota", "bert").out
        assert "bert" in nas("top").out
        nas("quota", "bert", "--running-trials", "none")
        assert "bert" not in nas("top").out, "whose quota is lifted has none"
        zoe = [nas("quota", unicodedata.normalize(form, "Zoë"), "--running-trials", "2") for form in ("NFC", "NFD")]
        assert [ran.code for ran in zoe] == [0, 0]
        assert nas("quota", unicodedata.normalize("NFD", "Zoë"), "--json").json["quota"]["running_trials"] == 2
        assert nas("top").out.count("Zo") == 1
        wrong = nas("quota", "anna", "--disk", "much")
        assert wrong.code == 2
        assert "'much' is neither a number, a size like 50GB, nor none" in wrong.error
        assert nas("quota", "anna", "--running-trials", "0").code == 1
    assert [bytes_of(text) for text in ("50GB", "1.5 TB", "2000", "3k")] == [50 * 10**9, 15 * 10**11, 2000, 3000]
