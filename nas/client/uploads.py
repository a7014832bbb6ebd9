"""Images that are sent to the service."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from nas.service import Json, Service, ServiceError, sha256
from nas.uploads import packing

CHECK_SECONDS = 3600  # for which a whole archive may be looked through when its last bytes have come
PIECE_BYTES = 8 << 20  # of an archive, sent at a time


class Uploads(Service):
    """What a client sends, and asks of that."""

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
            size, digest = archive.stat().st_size, sha256(archive)
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
