"""What every request passes first: nothing too large, nothing sent by a web page of somebody else's."""

import re
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, refused, response
from nas.agents import errands, parcel

MOST_BYTES = 1_000_000  # of a body; the largest sensible one has a few thousand
LARGER = {r"/v1/agents/[^/]+/errands": parcel.MOST_BYTES, r"/v1/errands/[^/]+/answer": errands.MOST_ANSWER_BYTES}
HARMLESS = ("GET", "HEAD", "OPTIONS")


class Gate:
    """Middleware around `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = next((size for path, size in LARGER.items() if re.fullmatch(path, scope["path"])), MOST_BYTES)
        problem = _foreign(scope["method"], headers) or _too_large(int(headers.get("content-length", "0") or 0), most)
        if problem:
            await response(scope["path"], problem)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            problem = _too_large(received, most)
            if problem:
                raise problem
            return message

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, counted, marked)


def known_parameters(request: Request) -> None:
    """A dependency: refuses parameters in the query that the route does not have, as they would change nothing."""
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    for name, value in request.query_params.items():
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there are none here"
            raise refused(f"?{name}", value, f"unknown parameter {name!r}: {there}")


def _foreign(method: str, headers: Headers) -> Problem | None:
    # A browser sends other sites' requests here as well, and names the site; there is no password to stop them.
    origin = headers.get("origin")
    if method in HARMLESS or origin is None or urlsplit(origin).netloc == headers.get("host"):
        return None
    return Problem(403, f"{method} from a page of {origin} is not taken: use this service's own dashboard")


def _too_large(size: int, most: int) -> Problem | None:
    if size <= most:
        return None
    return Problem(413, f"the body has {size:,} bytes or more: {most:,} are taken at most")
