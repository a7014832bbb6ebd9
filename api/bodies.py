"""Request bodies: JSON to records, strictly, with every wrong value named at once; and bodies that may come again."""

import hashlib
import json
import math
from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import PlainValidator

from api.access import Asker
from api.problems import Problem, refused, together
from nas.codec import Malformed, decode, pointer
from nas.records import Sending
from nas.refusal import Faults, Refusal, shown

MOST_VALUES = 50_000  # in a body; the longest network of the zoo, spelled out layer by layer, has 23,000
MOST_DEPTH = 50  # of lists and objects in each other; the zoo's networks have 17


class JSONRoute(APIRoute):
    """A route whose body is read by `parsed`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return handler


class _Request(Request):
    async def json(self) -> Any:
        return parsed(await self.body())


def strictly(record: type[Any]) -> Any:
    """The annotation of a body that is a `record`: `Annotated[SearchSpec, strictly(SearchSpec)]`.

    Nothing is converted ("8" is no number), an unknown field is refused, and an object that is given in part overrides
    the fields of its default. Raises Problem.
    """

    def read(data: Any) -> Any:
        if isinstance(data, bytes):
            raise Problem(415, "the body is not declared as JSON: send it with Content-Type: application/json")
        try:
            return decode(record, data)
        except Malformed as error:
            raise together(error.faults) from error

    return PlainValidator(read, json_schema_input_type=record)


async def _sent(request: Request) -> Any:
    return await request.json()


# The body itself beside the record that it becomes: what was said, and not left to a default.
Sent = Annotated[Any, Depends(_sent)]


async def _sending(
    request: Request,
    asker: Asker,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="of the sender's own, and another for each request: what is sent again with it is done once",
            examples=['"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
        ),
    ] = None,
) -> Sending | None:
    if idempotency_key is None:
        return None
    key = json.dumps([asker, idempotency_key]).encode()
    return Sending(key=_digest(key), body=_digest(await request.body()))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# A request that may come again, where nobody knows whether it has been answered
# (draft-ietf-httpapi-idempotency-key-header).
Repeatable = Annotated[Sending | None, Depends(_sending)]


def parsed(body: bytes) -> Any:
    """The JSON in `body`. Raises Problem for more or deeper values than any request needs, before any work is done on
    them, and for what JSON cannot have, wherever it stands: a key twice, an infinite number, half a character."""
    faults = Faults()
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:  # there is one of them before every value but the first
        raise refused("", None, f"the body has more than {MOST_VALUES:,} values: no request needs as many")
    data = json.loads(body, object_pairs_hook=_Pairs)
    for at, depth, value in _values(data):
        if depth > MOST_DEPTH:
            detail = f"the body has over {MOST_DEPTH} lists and objects in each other: no request needs as many"
            raise refused(at, None, detail)
        if isinstance(value, _Pairs):
            for name, (first, again) in value.twice.items():
                detail = f"{shown(name)} is there twice, as {shown(first)} and as {shown(again)}: give it once"
                faults.add(pointer(at, name), again, detail)
        elif isinstance(value, float) and not math.isfinite(value):
            faults.add(at, value, f"{value} at {at} is not a number that JSON has")
        if any(_halved(text) for text in (value if isinstance(value, dict) else (value,)) if isinstance(text, str)):
            faults.add(at, value, f"the text at {at} has half a character (a lone surrogate): give it whole")
    if faults:
        raise together(faults)
    return data


class _Pairs(dict[str, Any]):
    """A JSON object that knows which of its keys were there `twice`, and as what."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: dict[str, tuple[Any, Any]] = {}
        if len(self) < len(pairs):
            first: dict[str, Any] = {}
            for name, value in pairs:
                if name in first:
                    self.twice[name] = first[name], value
                first.setdefault(name, value)


def _values(data: Any) -> Iterator[tuple[str, int, Any]]:
    """Everything in `data` and itself, with its JSON pointer and how deep it is, without descending by calls."""
    waiting = [("", 0, data)]
    while waiting:
        at, depth, value = waiting.pop()
        yield at, depth, value
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [(pointer(at, name), depth + 1, part) for name, part in parts]


def _halved(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def blamed(wanted: object, error: Exception, field: str) -> Problem:
    """The problem of a request that cannot be: of the field that the error names, if it is one of the request's,
    otherwise of `field`."""
    named = error.field if isinstance(error, Refusal) else ""
    field = named if named and hasattr(wanted, named) else field
    return refused(f"/{field}", getattr(wanted, field), str(error))
