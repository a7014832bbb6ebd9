"""What bench.killing does at length, in short: a round of it."""

import random
import sys

import pytest

from bench._living import POSTGRESQL, living
from bench.killing import Tally, disturbed, pictures, search
from nas.store import Store


@pytest.mark.timeout(3600)  # Ray gives up starting where others keep the processors busy, and is started again
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc, which Linux has")
def test_a_database_and_a_raylet_that_are_killed_cost_no_trial_and_leave_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.killing.TRIALS", 3)
    tally, draw = Tally(), random.Random(0)
    with living(postgresql=True) as service:
        store = Store(service.database)
        pictures(service.folder / "images")
        search(service, store, tally, 2, disturbed(service, tally, (POSTGRESQL, "raylet"), draw))
        store.close()
        left = service.leave()
    assert tally.faults == []
    assert left == ([], [])
    assert tally.hits.total() > 0
