"""What the check of a token costs a request: `python -m bench.service`, on one core, in about half a minute.

Two services on one database in this process, one of which asks for tokens, answer the same request in turns; nothing
goes over a network. The difference of a pair is the check: the header's reading, the token in memory and its scope.
With tokens forgotten before every request it is looked up in SQLite as well, as each is once in five seconds.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from typing import Any

from fastapi import FastAPI

from api.access import Access
from api.app import create_app
from api.edge import Edge
from bench._rows import row
from nas.store import Store

PATH = "/v1/recipes"  # which reads no database
WARMING, PAIRS = 200, 3000
TARGET_MS = 1.0


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.service", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/nas.db")
        _, token = store.tokens.create("bench", "read")
        without, guarded = create_app(store, Edge(login=False)), create_app(store, Edge())
        for claim, forgetful, target in (
            ("a request's token checked", False, f"< {TARGET_MS:g} ms a request"),
            ("the same where it is looked up in SQLite", True, None),
        ):
            checked_ms, plain_ms = asyncio.run(compared(guarded, without, token, forgetful=forgetful))
            row(
                claim,
                checked_ms,
                "ms",
                peer="the whole request without login",
                peer_value=plain_ms,
                target=target,
                holds=checked_ms < TARGET_MS if target else None,
            )
        store.close()


async def compared(guarded: FastAPI, without: FastAPI, token: str, *, forgetful: bool) -> tuple[float, float]:
    """Milliseconds of this process, medians of many pairs of requests: what the check adds, and a request without."""
    differences, plain = [], []
    access: Access = guarded.state.access
    for number in range(WARMING + PAIRS):
        if forgetful:
            access.forget()
        milliseconds = [await asked(app, token) for app in ((guarded, without) if number % 2 else (without, guarded))]
        checked, unchecked = milliseconds if number % 2 else reversed(milliseconds)
        if number >= WARMING:
            differences.append(checked - unchecked)
            plain.append(unchecked)
    return statistics.median(differences), statistics.median(plain)


async def asked(app: FastAPI, token: str) -> float:
    """The milliseconds that this process, with all its threads, works on a request."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    begun = time.process_time()
    await app(scope, receive, send)
    milliseconds = 1000 * (time.process_time() - begun)
    assert statuses == [200]
    return milliseconds


if __name__ == "__main__":
    main()
