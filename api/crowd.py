"""Requests of one client at once: behind a proxy all connections are the proxy's, and clients are known by what it
says of them."""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.edge import Edge
from api.places import Places
from api.problems import Problem, response


class Crowd:
    """Middleware around `app`, behind what knows the client of a request."""

    def __init__(self, app: ASGIApp, edge: Edge) -> None:
        self._app, self._edge, self._places = app, edge, Places(edge.limits.connections)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["client"]:
            await self._app(scope, receive, send)
            return
        address = scope["client"][0]
        whose, most = self._edge.client(address), self._edge.most_of(address)
        if not self._places.take(whose, most):
            detail = f"{most} requests of {whose} are under way: wait for one of them"
            await response(scope["path"], Problem(429, detail, headers={"Retry-After": "5"}))(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._places.give_back(whose)
