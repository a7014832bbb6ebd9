"""What every request passes first: nothing too large, slow or packed, for another host, or of another site's page."""

import re
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.edge import HARMLESS, Edge
from api.problems import Problem, refused, response
from api.steady import Steady
from nas.agents import errands, parcel
from nas.models import shown as pictures
from nas.refusal import shown

MOST_BYTES = 1_000_000  # of a body; the largest sensible one has a few thousand
LARGER = {
    r"/v1/agents/[^/]+/errands": parcel.MOST_BYTES,
    r"/v1/errands/[^/]+/answer": errands.MOST_ANSWER_BYTES,
    r"/v1/models/[^/]+/classes": pictures.MOST_BYTES,
    r"/v1/images/[^/]+": 2**60,  # written to the disk as it comes, and counted there: nas.uploads
}
# Of every answer that says nothing else; a page may load nothing from elsewhere, and no other page may show it within
# itself.
MARKS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Gate:
    """Middleware around `app`, for a service that is reached as `edge` says."""

    def __init__(self, app: ASGIApp, edge: Edge) -> None:
        self._app, self._edge = app, edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in MARKS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["client"] and self._edge.believes(scope["client"][0]):
            scope = _forwarded(scope)
        prefix = self._edge.prefix
        if prefix and scope["path"] == prefix:  # a page there would look for its files beside itself
            await RedirectResponse(f"{prefix}/", 308)(scope, receive, marked)
            return
        if prefix and scope["path"].startswith(f"{prefix}/"):
            scope = {**scope, "path": scope["path"].removeprefix(prefix), "raw_path": None}
        headers = Headers(scope=scope)
        most = next((size for path, size in LARGER.items() if re.fullmatch(path, scope["path"])), MOST_BYTES)
        problem = (
            self._stray(headers)
            or _foreign(scope, headers)
            or _encoded(scope, headers)
            or _too_large(int(headers.get("content-length", "0") or 0), most)
        )
        if problem:
            await response(scope["path"], problem)(scope, receive, marked)
            return
        received, steady = 0, Steady(receive)

        async def counted() -> Message:
            nonlocal received
            message = await steady()
            received += len(message.get("body", b""))
            problem = _too_large(received, most)
            if problem:
                raise problem
            return message

        await self._app(scope, counted, marked)

    def _stray(self, headers: Headers) -> Problem | None:
        host = headers.get("host", "")
        if self._edge.answers_to(host):
            return None
        detail = f"host {shown(host)} is none that this service answers to: NAS_HOSTS names others"
        return Problem(421, detail)


def known_parameters(request: Request) -> None:
    """A dependency: refuses parameters in the query that the route does not have, as they would change nothing."""
    known = [
        name  # of a parameter, or of each of a model of them
        for field in request.scope["route"].dependant.query_params
        for name in getattr(field.field_info.annotation, "model_fields", (field.alias,))
    ]
    for name, value in request.query_params.items():
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there are none here"
            raise refused(f"?{name}", value, f"unknown parameter {name!r}: {there}")


def _forwarded(scope: Scope) -> Scope:
    """The request as the proxy that forwarded it received it."""
    fields = Headers(scope=scope)
    headers = [(name, value) for name, value in scope["headers"] if name != b"host" or "x-forwarded-host" not in fields]
    if host := fields.get("x-forwarded-host"):
        headers.append((b"host", host.rpartition(",")[2].strip().encode("latin-1")))
    scheme = fields.get("x-forwarded-proto", "").rpartition(",")[2].strip()
    peer = fields.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return {
        **scope,
        "headers": headers,
        "scheme": scheme if scheme in ("http", "https") else scope["scheme"],
        "client": (peer, 0) if peer else scope["client"],
    }


def _foreign(scope: Scope, headers: Headers) -> Problem | None:
    # A browser sends other sites' requests here as well, and says so. Where nobody signs in, nothing else stops them.
    method, origin, site = scope["method"], headers.get("origin"), headers.get("sec-fetch-site", "none")
    own = origin is None or urlsplit(origin).netloc == headers.get("host")
    if site in ("same-origin", "none") and (own or method in HARMLESS):
        return None
    if method in HARMLESS and not scope["path"].startswith("/v1/"):
        return None  # a link to the dashboard
    whose = f"a page of {origin}" if origin else "another site's page"
    return Problem(403, f"{method} from {whose} is not taken: use this service's own dashboard")


def _encoded(scope: Scope, headers: Headers) -> Problem | None:
    coding = ", ".join(headers.getlist("content-encoding"))
    if scope["method"] in HARMLESS or coding.lower() in ("", "identity"):
        return None
    detail = f"the body is encoded as {shown(coding)}: send it as it is, without Content-Encoding"
    return Problem(415, detail, headers={"Accept-Encoding": "identity"})


def _too_large(size: int, most: int) -> Problem | None:
    if size <= most:
        return None
    return Problem(413, f"the body has {size:,} bytes or more: {most:,} are taken at most")
