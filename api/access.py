"""Who asks, and whether they may: one dependency on every route."""

import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request

from api.edge import HARMLESS, Edge
from api.problems import Problem
from nas.store import Store
from nas.tokens import Scope, Token

COOKIE = "nas_session"
REMEMBERED_SECONDS = 5.0  # for which a token is not looked up again: as long may another process's revoking take
MOST_REMEMBERED = 1000
ANYBODY = Token(id="", owner="", scope="admin", created_at=0.0)  # where nobody has to sign in
# By a route's tag; others by their method.
NEEDS: Mapping[str, Scope] = {"agents": "agent", "tokens": "admin", "quotas": "admin"}
FREE = frozenset({"sign_in", "health", "livez", "readyz"})  # ask for no token: without the first nobody could sign in
NO_TOKEN = "no token, or one that is not known here any more: sign in, or send Authorization: Bearer TOKEN"


class Access:
    """Finds the tokens of requests, and remembers them for some seconds."""

    def __init__(self, store: Store, edge: Edge) -> None:
        self.edge = edge
        self._store, self._lock = store, threading.Lock()
        self._known: OrderedDict[str, tuple[float, Token]] = OrderedDict()

    def token(self, text: str) -> Token | None:
        """The token that `text` is, from memory or from the store."""
        secret = self.edge.agent_secret
        if secret and hmac.compare_digest(text.encode(), secret.encode()):
            return Token(id="", owner="agents", scope="agent", created_at=0.0)
        with self._lock:
            looked_at, token = self._known.get(text, (0.0, None))
        now = time.monotonic()
        if token and now - looked_at < REMEMBERED_SECONDS and not _over(token):
            return token
        token = self._store.tokens.find(text)
        with self._lock:
            self._known.pop(text, None)
            if token:
                self._known[text] = now, token
                if len(self._known) > MOST_REMEMBERED:
                    self._known.popitem(last=False)
        return token

    def forget(self) -> None:
        """What is remembered, as a token may have been revoked."""
        with self._lock:
            self._known.clear()


def access(request: Request) -> Access:
    known: Access = request.app.state.access
    return known


def allowed(request: Request) -> Token:
    """A dependency: who asks. Raises Problem for whoever may not."""
    known, route = access(request), request.scope["route"]
    needed = NEEDS.get(_tag(route), "read" if request.method in HARMLESS else "write")
    guarded = known.edge.login or (needed == "agent" and known.edge.agent_secret is not None)
    if route.name in FREE or not guarded:
        return ANYBODY
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    by_cookie = kind.lower() != "bearer"
    token = known.token(request.cookies.get(COOKIE, "") if by_cookie else text.strip())
    if token is None:
        raise Problem(401, NO_TOKEN, headers={"WWW-Authenticate": "Bearer"})
    request.state.owner = token.owner  # for the journal
    if by_cookie and request.method not in HARMLESS and not _own_page(request):
        raise Problem(403, f"{request.method} with a session's cookie is taken from this service's own pages alone")
    if not token.allows(needed):
        raise Problem(403, f"this token is for {token.scope!r}, and this takes one for {needed!r}: ask an admin for it")
    return token


Asking = Annotated[Token, Depends(allowed)]


def owner(token: Asking) -> str | None:
    """A dependency: whose token asks; None where nobody has to sign in."""
    return token.owner or None


Asker = Annotated[str | None, Depends(owner)]


def whose(request: Request, token: Token) -> str:
    """Who waits for an answer: whoever has a token of their own, else a client by its address."""
    return f"token {token.id}" if token.id else request.client.host if request.client else "nobody"


def _tag(route: Any) -> str:
    return str(route.tags[0]) if getattr(route, "tags", None) else ""


def _own_page(request: Request) -> bool:
    """Whether a browser says so: the gate has refused whatever says that it comes from elsewhere."""
    return "origin" in request.headers or request.headers.get("sec-fetch-site") == "same-origin"


def _over(token: Token) -> bool:
    return token.expires_at is not None and token.expires_at <= time.time()
