"""A Python client with the service's verbs: `Client().search(dataset="fashion_mnist", trials=8)`.

What is sent and what comes back are the API's JSON objects as dictionaries; /v1/openapi.json describes them.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nas.datasets import absolute
from nas.home import write
from nas.service import Download, Json, Report, Service
from nas.service import ServiceError as ServiceError
from nas.uploads import packing

PATIENCE_SECONDS = 60  # for which a watch waits for a service that went away
CHECK_SECONDS = 3600  # for which a whole archive may be looked through when its last bytes have come
PIECE_BYTES = 8 << 20  # of an archive, sent at a time
PAGE = 1000
CHECKPOINT = "safetensors"
PACKINGS = ("zip", "tar")


class Client(Service):
    """The verbs of the service at `url`; NAS_URL, else port 8000 of this machine. Every method raises ServiceError."""

    # Runs

    def search(self, **spec: Any) -> Json:
        """Submit a search; the fields are those of SearchSpec. A dataset's path is taken from the folder that this runs
        in, here as everywhere."""
        return self._json("POST", "/v1/searches", body=_placed(spec))

    def forecast(self, **spec: Any) -> Json:
        """What such a search would take; nothing is submitted."""
        return self._json("POST", "/v1/forecasts", body=_placed(spec))

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

    def runs(self, limit: int = 50) -> list[Json]:
        """Runs of every kind, newest first."""
        return self._list(f"/v1/runs?limit={min(limit, PAGE)}", "runs", limit)

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

    def trials(self, run: str, after: int = -1, state: str | None = None) -> list[Json]:
        """All trials with a number above `after`, in one state or any."""
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
        parameters = {name: value for name, value in ranking.items() if value is not None}
        return self._json("GET", f"/v1/searches/{quote(search, safe='')}/pareto", parameters=parameters)

    def watch(self, run: str, seconds: float = 1.0) -> Iterator[tuple[Json, list[Json]]]:
        """The run and its trials that had not ended when last looked at, every so many seconds, until it has ended.

        Waits a minute for a service that went away in the meantime.
        """
        settled, away = -1, 0.0
        while True:
            try:
                seen, trials = self.run(run), self.trials(run, after=settled)
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
            time.sleep(seconds)

    # Models

    def models(self, run: str | None = None) -> list[Json]:
        """Trained networks, newest first; of a run, or of all."""
        return self._list(f"/v1/models?limit={PAGE}" + (f"&run={quote(run, safe='')}" if run else ""), "models")

    def model(self, model: str) -> Json:
        """By its id, or as RUN@best, RUN@latest, RUN@b0 to RUN@b7: so wherever a model is named."""
        return self._json("GET", f"/v1/models/{quote(model, safe='')}")

    def card(self, model: str) -> Json:
        return self._json("GET", f"/v1/models/{quote(model, safe='')}/card")

    def files(self, model: str) -> Json:
        """What a model is handed out as, as far as that has been made."""
        return self._json("GET", f"/v1/models/{quote(model, safe='')}/files")

    def make_files(self, model: str, seconds: float = 1.0) -> Json:
        """The same once it has been made; asks every so many seconds. What is there already is not made again, unless
        something of it was refused."""
        files = self._json("POST", f"/v1/models/{quote(model, safe='')}/files")
        while files["state"] == "building":
            time.sleep(seconds)
            files = self.files(files["model"])
        if files["state"] != "built":
            raise ServiceError(f"the files of model {files['model']} could not be made: {files['reason']}")
        return files

    def offered(self, model: str, kind: str = CHECKPOINT) -> Download:
        """A model as a file of that kind, made now if it is not there: safetensors, which is the checkpoint, onnx, pt2,
        or all of it as zip or tar."""
        about = self.model(model)
        if kind == CHECKPOINT:
            address = about["links"]["checkpoint"]
            return Download(name=about["file"], bytes=about["bytes"], sha256=about["sha256"], address=address)
        files = self.files(about["id"])
        if kind in PACKINGS:
            if files["state"] != "built":
                files = self.make_files(about["id"])
            headers = self._ask("HEAD", files["links"][kind]).headers
            size, digest = int(headers["content-length"]), headers["etag"].strip('"')
            return Download(name=f"{files['name']}.{kind}", bytes=size, sha256=digest, address=files["links"][kind])
        if kind not in [file["exporter"] for file in files["files"]]:
            files = self.make_files(about["id"])
        for file in files["files"]:
            if file["exporter"] == kind:
                return Download(name=file["save_as"], bytes=file["bytes"], sha256=file["sha256"], address=file["link"])
        reasons = {row["exporter"]: row["reason"] for row in files["refused"]}
        there = ", ".join(file["exporter"] for file in files["files"] if file["exporter"])
        why = reasons.get(kind, f"there are {there}, {' and '.join(PACKINGS)}")
        raise ServiceError(f"model {about['id']} is not handed out as {kind!r}: {why}")

    def download(self, model: str, to: str | Path = ".", report: Report | None = None, kind: str = CHECKPOINT) -> Path:
        """Fetch a model as a file of that kind, see `offered`, into the folder `to`, and with a checkpoint its card;
        `report` is told how many bytes there are.

        A download that broke off goes on where it was. The file is checked against its SHA-256 and appears whole or
        not at all. Raises OSError where the disk is full or not writable.
        """
        wanted = self.offered(model, kind)
        folder = Path(to)
        folder.mkdir(parents=True, exist_ok=True)
        path: Path = folder / wanted.name
        if not (path.exists() and _sha256(path) == wanted.sha256):
            part = path.with_name(f".{path.name}.part")
            self._fetch(wanted, part, report)
            digest = _sha256(part)
            if digest != wanted.sha256:
                part.unlink()
                detail = f"what came of model {model} has the SHA-256 {digest} instead of {wanted.sha256}"
                raise ServiceError(f"{detail}: it is thrown away, try again")
            part.replace(path)
        if kind == CHECKPOINT:
            card = json.dumps(self.card(model), indent=2, ensure_ascii=False) + "\n"
            write(path.with_suffix(".json"), card.encode())
        return path

    # Images

    def images(self) -> list[Json]:
        """What was uploaded, or is being uploaded."""
        return self._list("/v1/images", "images")

    def upload(
        self, path: str | Path, name: str | None = None, report: Callable[[int, int], object] | None = None
    ) -> Json:
        """Send a folder of images, or an archive of one, under a name, which is by default its own: the upload, whose
        images are dataset "images:NAME". `report` is told how many bytes have come, and how many there are.

        One that broke off goes on where it was when this is called again. Raises OSError for what cannot be read.
        """
        path = Path(path)
        with packing.packed(path) as archive, open(archive, "rb") as file:
            size, digest = archive.stat().st_size, _sha256(archive)
            about = self._begun(name or packing.name_of(path), size, digest)
            while not about["ready"]:
                file.seek(about["received"])
                headers = {"Upload-Offset": str(about["received"]), "Content-Type": "application/octet-stream"}
                address = f"/v1/images/{quote(about['name'], safe='')}"
                piece: Json = {"content": file.read(PIECE_BYTES), "headers": headers, "timeout": CHECK_SECONDS}
                about = self._json("PATCH", address, **piece)
                if report:
                    report(about["received"], size)
        return about

    def delete_images(self, name: str) -> None:
        self._ask("DELETE", f"/v1/images/{quote(name, safe='')}")

    # What there is

    def spaces(self) -> list[Json]:
        return self._list("/v1/spaces", "spaces")

    def space(self, name: str, resolution: int, channels: int, classes: int, parent: str | None = None) -> Json:
        """A space's knobs for such images, around the parent if one is named."""
        asked: Json = {"resolution": resolution, "channels": channels, "classes": classes}
        if parent is not None:
            asked["parent"] = parent
        return self._json("GET", f"/v1/spaces/{quote(name, safe='')}", parameters=asked)

    def searchers(self) -> list[Json]:
        return self._list("/v1/searchers", "searchers")

    def devices(self) -> list[Json]:
        return self._list("/v1/devices", "devices")

    def datasets(self) -> list[Json]:
        return self._list("/v1/datasets", "datasets")

    def dataset(self, name: str) -> Json:
        return self._json("GET", f"/v1/datasets/{quote(absolute(name))}")

    def published(self) -> list[Json]:
        return self._list("/v1/published", "published")

    def parents(self) -> list[Json]:
        """Trained networks that a search can begin with, besides models and files."""
        return self._list("/v1/parents", "parents")

    def recipes(self) -> dict[str, Json]:
        recipes: dict[str, Json] = self._json("GET", "/v1/recipes")["recipes"]
        return recipes

    def health(self) -> Json:
        return self._json("GET", "/v1/health")

    # Who may use it

    def tokens(self) -> list[Json]:
        return self._list("/v1/tokens", "tokens")

    def create_token(self, **request: Any) -> Json:
        """The new token, with the text to send; the fields are those of TokenRequest."""
        return self._json("POST", "/v1/tokens", body=request)

    def revoke_token(self, token: str) -> None:
        self._ask("DELETE", f"/v1/tokens/{quote(token, safe='')}")

    # How it is asked

    def _address(self, run: str) -> str:
        address: str = self.run(run)["links"]["self"]
        return address

    def _wish(self, run: str, verb: str) -> Json:
        return self._json("POST", f"{self._address(run)}/{verb}")

    def _begun(self, name: str, size: int, digest: str) -> Json:
        """A new upload, or the one of the same archive that is there already."""
        try:
            return self._json("POST", "/v1/images", body={"name": name, "bytes": size, "sha256": digest})
        except ServiceError as error:
            if error.status != 409:
                raise
            there = self._json("GET", f"/v1/images/{quote(name, safe='')}")
            if (there["bytes"], there["sha256"]) != (size, digest):
                raise
            return there


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _placed(request: Json) -> Json:
    """With a dataset whose name means the same wherever the service runs."""
    dataset = request.get("dataset")
    return request | {"dataset": absolute(dataset)} if isinstance(dataset, str) else request
