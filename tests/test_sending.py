"""A request that is sent again under its key is done once: in a store of either kind, and over HTTP."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.edge import Edge
from nas.quotas import Quota
from nas.records import Sending
from nas.refusal import Refusal
from nas.store import Store
from tests.service import SMALLEST, serving
from tests.stored import SEARCH

SENT = Sending(key="anna's first", body="ab")


class TestStore:
    def test_adds_one_run_for_a_request_and_refuses_its_key_to_another(self, store: Store, second: Store) -> None:
        assert store.sent(SENT) is None
        run = store.add_run("search", SEARCH, "anna", sending=SENT)
        assert second.add_run("search", SEARCH, "anna", sending=SENT) == second.sent(SENT) == run
        with pytest.raises(Refusal, match=f"another request had this Idempotency-Key, for run {run.id}: give each its"):
            store.add_run("search", SEARCH, "anna", sending=Sending(key=SENT.key, body="cd"))
        assert [each.id for each in store.runs()] == [run.id]
        for other in (Sending(key="anna's other", body="ab"), None, None):
            store.add_run("search", SEARCH, "anna", sending=other)
        assert len(store.runs()) == 4

    def test_adds_one_run_where_a_request_comes_several_times_at_once(self, store: Store, second: Store) -> None:
        barrier = threading.Barrier(4)

        def add(where: Store) -> str:
            barrier.wait()
            return where.add_run("search", SEARCH, "anna", sending=SENT).id

        with ThreadPoolExecutor(4) as pool:
            ids = list(pool.map(add, (store, second, store, second)))
        assert [[run.id] for run in store.runs()] == [list(set(ids))]


def test_a_search_that_its_owner_sends_again_is_answered_with_the_one_that_there_is(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    with serving(create_app(store, Edge())) as url:

        def sent(owner: str, key: str = '"8e03978e"', **more: int) -> httpx.Response:
            token = store.tokens.create(owner, "write")[1]
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
            return httpx.post(f"{url}/v1/searches", json={**SMALLEST, **more}, headers=headers)

        first = sent("anna")
        store.wish(first.json()["id"], "cancel")
        again = sent("anna")
        assert (first.status_code, again.status_code, again.json()["state"]) == (201, 201, "cancelled")
        assert again.headers["location"] == first.headers["location"] == f"/v1/searches/{again.json()['id']}"
        other = sent("anna", trials=7)
        assert (other.status_code, first.json()["id"] in other.json()["detail"]) == (422, True)
        assert len({response.json()["id"] for response in (first, sent("bert"), sent("anna", "another"))}) == 3
        for wrong in ("", "k" * 256):
            assert (sent("anna", wrong).status_code, sent("anna", wrong).json()["errors"]) == (422, [])
            assert sent("anna", wrong).json()["detail"].startswith("Idempotency-Key ")
        store.owners.limit("anna", Quota(disk_bytes=0))
        assert (sent("anna").status_code, sent("anna", "one more").status_code) == (201, 403), "what was taken stays so"
    store.close()
