"""Trained networks: which there are, and their files."""

import json
import time
from pathlib import Path
from urllib.parse import quote

from nas.home import write, written
from nas.models.manifest import PACKINGS
from nas.service import PAGE, Download, Json, Report, Service, ServiceError, sha256

CHECKPOINT = "safetensors"


class Models(Service):
    """What a client asks of models."""

    def models(self, run: str | None = None) -> list[Json]:
        """Trained networks, newest first; of a run, or of all."""
        return self._list(f"/v1/models?limit={PAGE}" + (f"&run={quote(run, safe='')}" if run else ""), "models")

    def model(self, model: str) -> Json:
        """By its id, or as RUN@best, RUN@latest, RUN@b0 to RUN@b7: so wherever a model is named."""
        return self._json("GET", f"/v1/models/{quote(model, safe='')}")

    def pin(self, model: str) -> Json:
        """Its weights stay whatever else is removed."""
        return self._json("POST", f"/v1/models/{quote(model, safe='')}/pin")

    def unpin(self, model: str) -> Json:
        return self._json("DELETE", f"/v1/models/{quote(model, safe='')}/pin")

    def delete_model(self, model: str) -> None:
        """Its weights, for good; what was measured of it stays."""
        self._ask("DELETE", f"/v1/models/{quote(model, safe='')}")

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

    def classify(self, model: str, picture: str | Path, by: str = "model.onnx") -> dict[str, float]:
        """The most probable classes of a picture, by the service and the file model.onnx or model.int8.onnx of the
        model's archive, which has to have been made. Raises OSError where the picture cannot be read."""
        address = f"/v1/models/{quote(model, safe='')}/classes"
        content, headers = Path(picture).read_bytes(), {"Content-Type": "application/octet-stream"}
        answer = self._json("POST", address, parameters={"by": by}, content=content, headers=headers)
        return {row["name"]: row["probability"] for row in answer["classes"]}

    def offered(self, model: str, kind: str = CHECKPOINT) -> Download:
        """A model as a file of that kind, made now if it is not there: safetensors, which is the checkpoint, onnx,
        int8, pt2, or all of it as zip or tar."""
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
        with written(folder):
            folder.mkdir(parents=True, exist_ok=True)
        path: Path = folder / wanted.name
        if not (path.exists() and sha256(path) == wanted.sha256):
            part = path.with_name(f".{path.name}.part")
            with written(path):
                self._fetch(wanted, part, report)
            digest = sha256(part)
            if digest != wanted.sha256:
                part.unlink()
                detail = f"what came of model {model} has the SHA-256 {digest} instead of {wanted.sha256}"
                raise ServiceError(f"{detail}: it is thrown away, try again")
            part.replace(path)
        if kind == CHECKPOINT:
            card = json.dumps(self.card(model), indent=2, ensure_ascii=False) + "\n"
            write(path.with_suffix(".json"), card.encode())
        return path
