"""Answers that are JSON already: named by their hash, so that who has them is not sent them again, and compressed."""

import gzip
import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Response

LEAST_BYTES = 1000  # that are worth compressing
LEVEL = 1  # of gzip, whose others take twice as long for a tenth less


@dataclass(frozen=True, kw_only=True)
class Answering:
    """What the request says of the answer that it takes."""

    if_none_match: str | None
    accept_encoding: str | None

    def response(self, text: str, *, packed: bool = False) -> Response:
        """The text, or that it is what is there already; `packed` where compressing takes less than it saves."""
        body = text.encode()
        tag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"} | ({"Vary": "Accept-Encoding"} if packed else {})
        if matches(self.if_none_match, tag):
            return Response(status_code=304, headers=headers)
        if packed and len(body) >= LEAST_BYTES and "gzip" in (self.accept_encoding or ""):
            body = gzip.compress(body, LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type="application/json")


def matches(tags: str | None, tag: str) -> bool:
    """Whether If-None-Match names that tag, whether weak or not (RFC 9110, section 13.1.2)."""
    each = [own.strip().removeprefix("W/") for own in (tags or "").split(",")]
    return each == ["*"] or tag.removeprefix("W/") in each


def _answering(
    if_none_match: Annotated[str | None, Header(description="the ETag of the answer that is there already")] = None,
    accept_encoding: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Answering:
    return Answering(if_none_match=if_none_match, accept_encoding=accept_encoding)


Answers = Annotated[Answering, Depends(_answering)]
