"""Every request has an id and a line in the log: what was asked, and what came of it."""

import logging
import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nas import logs

HEADER = "X-Request-ID"
SANE = r"[A-Za-z0-9._-]{1,64}"

log = logging.getLogger("api.access")


def audit(what: str, by: str | None) -> None:
    """Log what somebody did that is no event of a run. As a warning, which is logged unless errors alone are."""
    log.warning("%s, by %s", what, by or "somebody who need not sign in")


class Journal:
    """Around the whole of `app`, its answers to what goes wrong included.

    The id is the request's own X-Request-ID where that is a plain word, else a new one. The answer has it in the same
    header, and so has whatever is logged meanwhile. `answered` is told of each, with the operation that it was, as
    the description names it; "other" of the dashboard's files, and of a path that there is not.
    """

    def __init__(self, app: ASGIApp, answered: Callable[[str, int, float], None]) -> None:
        self._app, self._answered = app, answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        text = Headers(scope=scope).get(HEADER, "")
        request = text if re.fullmatch(SANE, text) else secrets.token_hex(8)
        state = scope.setdefault("state", {})  # in which whoever knows the token notes its owner
        logs.bind(request=request)  # for good: the server logs in the same task what is raised here
        begun, status, answered = time.perf_counter(), 500, False

        async def marked(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request
            else:
                answered = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, marked)
        except Exception:
            if not answered:
                raise
            log.exception("nobody expected this")  # but its client has a whole answer, and keeps its connection
        finally:
            seconds = time.perf_counter() - begun
            route = scope.get("route")
            self._answered("other" if route is None else route.operation_id or route.name, status, seconds)
            path = scope.get("raw_path", b"").decode("ascii", "replace") or scope["path"]
            fields = {
                **({"owner": state["owner"]} if "owner" in state else {}),
                "client": (scope.get("client") or ("-",))[0],
                "method": scope["method"],
                "path": path,
                "status": status,
                "milliseconds": round(1000 * seconds, 1),
            }
            level = logging.WARNING if status >= 500 else logging.INFO
            log.log(level, "%s %s: %d", scope["method"], path, status, extra={"fields": fields})
