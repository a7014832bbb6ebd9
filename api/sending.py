"""A file as an answer that is fetched in parts and checked: its ETag and Repr-Digest are the SHA-256 of the whole."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Header, Response
from starlette.responses import FileResponse

from api.answering import matches
from api.problems import Problem

BAD_RANGE = {
    "_400": "Range 'bytes=a-b' cannot be read: write it like bytes=1000-",
    "_416": "Range 'bytes=9999-' begins behind the end: the file has 1,234 bytes",
}


@dataclass(frozen=True, kw_only=True)
class Sending:
    """What the request says of the part that is wanted."""

    if_none_match: str | None
    wanted: str | None

    def response(self, path: Path, sha256: str, size: int, name: str, media_type: str) -> Response:
        """The file at `path`, the part of it that is wanted, or that it is the one that is there already. Raises
        Problem."""
        digest = base64.b64encode(bytes.fromhex(sha256)).decode()
        headers = {
            "ETag": f'"{sha256}"',
            "Repr-Digest": f"sha-256=:{digest}:",
            "Cache-Control": "private, no-cache",
        }
        if matches(self.if_none_match, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if self.wanted is not None:
            _check_range(self.wanted, size)
        return FileResponse(path, headers=headers, media_type=media_type, filename=name)


def _sending(
    if_none_match: Annotated[str | None, Header(description='"SHA-256" of the file that is there already')] = None,
    wanted: Annotated[str | None, Header(alias="range", description="a part of the file, such as bytes=1000-")] = None,
) -> Sending:
    return Sending(if_none_match=if_none_match, wanted=wanted)


Wanted = Annotated[Sending, Depends(_sending)]


def _check_range(wanted: str, size: int) -> None:
    """Raise Problem for what the file response would answer without a document."""
    parts = re.fullmatch(r"bytes=((?:\d+-\d*|-\d+)(?:\s*,\s*(?:\d+-\d*|-\d+))*)", wanted.strip())
    bounds = [part.strip().split("-") for part in parts[1].split(",")] if parts else []
    if not bounds or any(first and last and int(last) < int(first) for first, last in bounds):
        raise Problem(400, f"Range {wanted!r} cannot be read: write it like bytes=1000- or bytes=0-999")
    if any(int(first or 0) >= size for first, _ in bounds):
        detail = f"Range {wanted!r} begins behind the end: the file has {size:,} bytes"
        raise Problem(416, detail, headers={"Content-Range": f"bytes */{size}"})
