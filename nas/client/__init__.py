"""A Python client with the service's verbs: `Client().search(dataset="fashion_mnist", trials=8)`.

What is sent and what comes back are the API's JSON objects as dictionaries; /v1/openapi.json describes them.
"""

import contextlib
import time
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from nas.client.catalogue import Catalogue
from nas.client.following import Following
from nas.client.models import CHECKPOINT as CHECKPOINT
from nas.client.models import Models
from nas.client.uploads import Uploads
from nas.datasets import absolute
from nas.service import PAGE, Json
from nas.service import ServiceError as ServiceError

REFUSED_SECONDS = 30  # after which a stream that was not to be had is asked for again
LEAST_SECONDS = 0.25  # between two looks, however much happens
PATIENCE_SECONDS = 60  # for which a watch waits for a service that went away


class Client(Models, Uploads, Catalogue, Following):
    """The verbs of the service at `url`; NAS_URL, else port 8000 of this machine. Every method raises ServiceError."""

    # Runs

    def search(self, **spec: Any) -> Json:
        """Submit a search; the fields are those of SearchSpec. A dataset's path is taken from the folder that this runs
        in, here as everywhere."""
        return self._json("POST", "/v1/searches", body=_placed(spec))

    def forecast(self, **spec: Any) -> Json:
        """What such a search would take; nothing is submitted."""
        return self._json("POST", "/v1/forecasts", body=_placed(spec))

    def request(self, search: str) -> Json:
        """What asks for a search like that one again: `client.search(**client.request(RUN))`."""
        return self._json("GET", f"/v1/searches/{quote(search, safe='')}/request")

    def grow(self, search: str, **request: Any) -> Json:
        """Grow a search's trial, by default its best, into a family; the fields are those of GrowthRequest."""
        return self._json("POST", "/v1/growths", body={"search": search, **request})

    def measure(self, **request: Any) -> Json:
        """Measure networks on the workers' devices; the fields are those of BenchmarkRequest."""
        return self._json("POST", "/v1/benchmarks", body=_placed(request))

    def proxy(self, **spec: Any) -> Json:
        """Ask what a cheap training is worth; the fields are those of ProxySpec."""
        return self._json("POST", "/v1/proxies", body=_placed(spec))

    def run(self, run: str) -> Json:
        """A run of any kind."""
        return self._json("GET", f"/v1/runs/{quote(run, safe='')}")

    def runs(self, limit: int = 50, *, archived: bool | None = None, tag: str | None = None) -> list[Json]:
        """Runs of every kind, newest first; only those that are put away, or the others, and with that tag."""
        only = {} if archived is None else {"archived": str(archived).lower()}
        only |= {} if tag is None else {"tag": tag}
        return self._list(f"/v1/runs?{urlencode({'limit': min(limit, PAGE), **only})}", "runs", limit)

    def edit(self, run: str, **label: Any) -> Json:
        """Write on a run: `name`, `note`, `tags` and `archived`; what is left out stays."""
        return self._json("PATCH", f"/v1/runs/{quote(run, safe='')}", body=label)

    def queue(self) -> Json:
        """What runs, and what waits for what, the next one first."""
        return self._json("GET", "/v1/queue")

    def move(self, run: str, place: str) -> Json:
        """Let a run that waits become the "first" or the "last" of those that do; gives the queue."""
        return self._json("POST", f"/v1/queue/{quote(run, safe='')}/{quote(place, safe='')}")

    def searches(self, limit: int = 50) -> list[Json]:
        return self._list(f"/v1/searches?limit={min(limit, PAGE)}", "searches", limit)

    def growths(self, limit: int = 50) -> list[Json]:
        return self._list(f"/v1/growths?limit={min(limit, PAGE)}", "growths", limit)

    def measurements(self, limit: int = 50) -> list[Json]:
        return self._list(f"/v1/benchmarks?limit={min(limit, PAGE)}", "benchmarks", limit)

    def proxies(self, limit: int = 50) -> list[Json]:
        return self._list(f"/v1/proxies?limit={min(limit, PAGE)}", "proxies", limit)

    def pause(self, run: str) -> Json:
        return self._wish(run, "pause")

    def resume(self, run: str) -> Json:
        return self._wish(run, "resume")

    def stop(self, run: str) -> Json:
        return self._wish(run, "stop")

    def cancel(self, run: str) -> Json:
        return self._wish(run, "cancel")

    def delete_run(self, run: str) -> None:
        """For good, with its trials, models and events."""
        self._ask("DELETE", self._address(run))

    def raise_budget(
        self,
        search: str,
        trials: int | None = None,
        *,
        hours: float | None = None,
        compute_hours: float | None = None,
    ) -> Json:
        """What is None stays as it is."""
        budgets = {"trials": trials, "hours": hours, "compute_hours": compute_hours}
        body = {name: value for name, value in budgets.items() if value is not None}
        return self._json("PATCH", f"/v1/searches/{quote(search, safe='')}", body=body)

    def measure_again(self, search: str, trial: int) -> Json:
        """Measure the latency of a search's trial once more: the one that is known better counts."""
        return self._json("POST", f"/v1/searches/{quote(search, safe='')}/trials/{trial}/measure")

    def trials(self, run: str | Json, after: int = -1, state: str | None = None) -> list[Json]:
        """All trials with a number above `after`, in one state or any, of a run by its id or as `run` gave it."""
        address = f"{self._address(run)}/trials?limit={PAGE}&after={after}"
        return self._list(f"{address}&state={state}" if state else address, "trials")

    def events(self, run: str, after: int = 0) -> list[Json]:
        events: list[Json] = []
        while True:
            page = self._json("GET", f"{self._address(run)}/events?limit={PAGE}&after={after}")["events"]
            events += page
            if len(page) < PAGE:
                return events
            after = page[-1]["id"]

    def pareto(self, search: str, **ranking: Any) -> Json:
        """The Pareto front; `cost`, `also`, `target`, `w`, `w_under`, `w_over`, `form`, `device` rank again what was
        measured."""
        return self._json("GET", f"/v1/searches/{quote(search, safe='')}/pareto", parameters=ranking)

    def predictions(self, search: str) -> Json:
        """Latencies as they were predicted, beside what was measured."""
        return self._json("GET", f"/v1/searches/{quote(search, safe='')}/predictions")

    def knobs(self, search: str, **ranking: Any) -> Json:
        """Which knobs mattered, and what networks with each choice came to; the ranking as for `pareto`."""
        return self._json("GET", f"/v1/searches/{quote(search, safe='')}/knobs", parameters=ranking)

    def columns(self, search: str) -> Json:
        """What a plot needs of all trials that have ended, a value of each in every column; one is empty where nothing
        is known of any."""
        address, whole = f"/v1/searches/{quote(search, safe='')}/columns", dict[str, list[Any]]()
        after, more, ended = 0, True, 0
        while more:
            part = self._json("GET", address, parameters={"after": after})
            after, more, count = part.pop("after"), part.pop("more"), len(part["number"])
            del part["running"]
            for name, values in part.items():
                known = whole.get(name) or [None] * (ended if values else 0)
                whole[name] = known + (values or [None] * (count if known else 0))
            ended += count
        return whole

    def compare(self, *of: str, **ranking: Any) -> Json:
        """Searches and growths side by side, each as RUN or RUN:TRIAL; the ranking as for `pareto`."""
        return self._json("GET", "/v1/comparison", parameters={"of": ",".join(of), **ranking})

    def report(self, run: str) -> str:
        """A search or growth as one HTML file."""
        return self._ask("GET", f"/v1/runs/{quote(run, safe='')}/report").text

    def watch(self, run: str, seconds: float = 1.0) -> Iterator[tuple[Json, list[Json]]]:
        """The run and its trials that had not ended when last looked at, whenever something has changed, until it has
        ended; every so many seconds where the service does not tell.

        Waits a minute for a service that went away in the meantime.
        """
        with contextlib.closing(self._changes(run, seconds)) as changes:
            yield from self._watched(run, seconds, changes)

    def _changes(self, run: str, seconds: float) -> Generator[None]:
        while True:
            asked = time.monotonic()
            for change in self._told(run):
                yield change
                time.sleep(LEAST_SECONDS)
            while time.monotonic() - asked < REFUSED_SECONDS:
                time.sleep(seconds)
                yield None

    def _watched(self, run: str, seconds: float, changes: Iterator[None]) -> Iterator[tuple[Json, list[Json]]]:
        settled, away = -1, 0.0
        while True:
            try:
                seen = self.run(run)
                trials = self.trials(seen, after=settled)
            except ServiceError as error:
                if error.status is not None or settled < 0 or away > PATIENCE_SECONDS:
                    raise
                away += seconds
                time.sleep(seconds)
                continue
            away = 0.0
            yield seen, trials
            if seen["ended_at"] is not None:
                return
            for trial in trials:
                if trial["state"] == "running":
                    break
                settled = trial["number"]
            next(changes)

    # The disk

    def disk(self) -> Json:
        """What lies on the service's disk, and which runs hold it."""
        return self._json("GET", "/v1/disk")

    def prune(self, older_than_days: float = 30.0, *, dry_run: bool = False) -> Json:
        """Remove what nobody has used for so many days, and what is left of what is gone; or say what would go."""
        return self._json("POST", "/v1/prune", body={"older_than_days": older_than_days, "dry_run": dry_run})

    # Who may use it

    def tokens(self) -> list[Json]:
        return self._list("/v1/tokens", "tokens")

    def create_token(self, **request: Any) -> Json:
        """The new token, with the text to send; the fields are those of TokenRequest."""
        return self._json("POST", "/v1/tokens", body=request)

    def revoke_token(self, token: str) -> str:
        """By its id, or the whole token, of which nothing else is sent; gives the id."""
        name = token.removeprefix("nas_").partition("_")[0]
        self._ask("DELETE", f"/v1/tokens/{quote(name, safe='')}")
        return name

    def usage(self) -> list[Json]:
        """What each owner uses and may use, who has most trials running first."""
        return self._list("/v1/usage", "owners")

    def set_quota(self, owner: str, **quota: Any) -> Json:
        """What the owner may use from now on: `running_trials`, `compute_hours` and `disk_bytes`; what is left out is
        not limited."""
        return self._json("PUT", "/v1/quotas", body={"owner": owner, **quota})

    # How it is asked

    def _address(self, run: str | Json) -> str:
        address: str = (self.run(run) if isinstance(run, str) else run)["links"]["self"]
        return address

    def _wish(self, run: str, verb: str) -> Json:
        return self._json("POST", f"{self._address(run)}/{verb}")


def _placed(request: Json) -> Json:
    """With a dataset whose name means the same wherever the service runs."""
    dataset = request.get("dataset")
    return request | {"dataset": absolute(dataset)} if isinstance(dataset, str) else request
