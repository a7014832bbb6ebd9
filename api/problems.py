"""Errors over HTTP: every one is a problem document (RFC 9457) that names the value and what is allowed."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, get_args

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from nas import logs
from nas.codec import encode
from nas.datasets import DatasetError
from nas.plugins import BrokenPlugin, UnknownPlugin
from nas.quotas import OverQuota
from nas.refusal import MOST_FAULTS, Fault, Faults, Refusal, shortened, shown
from nas.store import Conflict, NotFound, StoreError
from nas.uploads import Missing
from nas.uploads.receiving import Busy

MEDIA_TYPE = "application/problem+json"
LONGEST = 1000  # characters of a detail or a value, whatever was sent
STATUS: dict[type[Exception], int] = {
    NotFound: 404,
    OverQuota: 403,
    Missing: 404,
    Conflict: 409,
    Busy: 409,
    Refusal: 422,
    UnknownPlugin: 422,
    BrokenPlugin: 422,
    DatasetError: 422,
    StoreError: 503,
}


@dataclass(frozen=True, kw_only=True)
class ProblemDocument:
    """The body of every error (RFC 9457)."""

    type: str
    """A URI of the kind of problem; "about:blank" where the status says all."""
    title: str
    """The status in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What is wrong: it names the value, the state and the way out."""
    instance: str
    """The address that was asked."""
    request_id: str | None
    """The one under which the service's log has the request."""
    errors: tuple[Fault, ...] = ()
    """The wrong values, each with its place; the first ten of them."""
    more: int = 0
    """How many wrong values there are beside these."""
    elsewhere: str | None = None
    """The address of what was asked for, if it is of another kind."""


class Problem(HTTPException):
    """Raised anywhere in a request, it ends the request with this status and document."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        more: int = 0,
        elsewhere: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.faults, self.more, self.elsewhere = tuple(faults), more, elsewhere


def refused(pointer: str, value: Any, detail: str, *, elsewhere: str | None = None) -> Problem:
    """The problem of one value that cannot be taken."""
    return Problem(422, detail, faults=[Fault(pointer=pointer, value=value, detail=detail)], elsewhere=elsewhere)


def together(faults: Faults) -> Problem:
    """One problem for all that is wrong."""
    excerpt = tuple(faults)
    detail = faults.told(lambda fault: fault.detail)
    return Problem(422, detail, faults=excerpt, more=len(faults) - len(excerpt))


def handle(request: Request, error: Exception) -> Response:
    """The response to any exception that ends a request."""
    return response(request.url.path, _problem(request, error))


HANDLED: list[type[Exception]] = [HTTPException, RequestValidationError, *STATUS, Exception]
HANDLERS: dict[int | type[Exception], Any] = dict.fromkeys(HANDLED, handle)


def response(path: str, problem: HTTPException) -> Response:
    document = ProblemDocument(
        type="about:blank",
        title=HTTPStatus(problem.status_code).phrase,
        status=problem.status_code,
        detail=shortened(problem.detail, LONGEST * MOST_FAULTS),
        instance=shortened(path, LONGEST),
        request_id=logs.subject("request"),
        errors=tuple(map(_brief, getattr(problem, "faults", ()))),
        more=getattr(problem, "more", 0),
        elsewhere=getattr(problem, "elsewhere", None),
    )
    body = json.dumps(dataclasses.asdict(document), ensure_ascii=False, allow_nan=False).encode(errors="replace")
    return Response(body, problem.status_code, dict(problem.headers or {}), MEDIA_TYPE)


WRITES = {"_403": "POST from a page of https://elsewhere.example is not taken: use this service's own dashboard"}
TAKES_BODY = WRITES | {
    "_400": "the body is not JSON: Expecting ',' delimiter at character 31",
    "_408": "the body stalled: within 30 seconds less than 1,024 bytes of it came, and it was not whole: send it "
    "without pauses",
    "_413": "the body has 5,000,000 bytes or more: 1,000,000 are taken at most",
    "_415": "the body is not declared as JSON: send it with Content-Type: application/json",
}


def documented(**examples: str) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`: documented(_404="no search 'x'", **WRITES) shows the document with these details."""
    known = {f"_{status}": detail for status, detail in _ANYWHERE.items()} | examples
    return {int(name[1:]): _documentation(int(name[1:]), detail) for name, detail in known.items()}


_ANYWHERE = {
    401: "no token, or one that is not known here any more: sign in, or send Authorization: Bearer TOKEN",
    403: "this token is for 'read', and this takes one for 'write': ask an admin for it",
    421: 'host "evil.example" is none that this service answers to: NAS_HOSTS names others',
    422: "limit 0 is not greater than or equal to 1",
    429: "100 requests of 10.0.0.9 are under way: wait for one of them",
    500: "the service met an error of its own; its log says more",
    503: "the database cannot be reached: connection refused",
}


def _documentation(status: int, detail: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    example = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": "/v1/…",
        "request_id": "0a1b2c3d4e5f6a7b",
        "errors": [],
        "more": 0,
        "elsewhere": None,
    }
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {"description": title, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}


def _problem(request: Request, error: Exception) -> HTTPException:
    path = request.url.path
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        if error.status_code == 405 and (allowed := _methods(request, error)):
            detail = f"{request.method} is not possible at {path}: use {allowed}"
            return Problem(405, detail, headers={"Allow": allowed})
        if error.status_code in (404, 405):
            return Problem(404, f"there is nothing at {path}: /v1/openapi.json lists every address")
        if error.status_code == 400:  # the framework's words for anything that its parser does not say itself
            return Problem(
                400, "the body is not JSON: it is no UTF-8 text, or has too long a number or too deep a nest"
            )
        return error
    if isinstance(error, Refusal) and error.field and request.method in ("GET", "HEAD"):
        return refused(f"?{error.field}", request.query_params.get(error.field), str(error))
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            elsewhere, headers = getattr(error, "elsewhere", None), {"Retry-After": "5"} if status == 503 else None
            return Problem(status, str(error), elsewhere=elsewhere, headers=headers)
    return Problem(500, _ANYWHERE[500])


def _methods(request: Request, error: HTTPException) -> str:
    """All that the address takes; the framework knows only those of one route, whatever words stand in it."""
    path = request.url.path.removeprefix("/v1")
    matches = [(route, route.path_regex.match(path)) for router in request.app.routers for route in router.routes]
    taken = [(route, match.groupdict()) for route, match in matches if match]
    methods = {method for route, words in taken if _may_stand(route, words) for method in route.methods}
    if not taken:  # the description itself, and the dashboard's files
        methods = {*(error.headers or {}).get("Allow", "").split(", ")}
    return ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))


def _may_stand(route: APIRoute, words: Mapping[str, str]) -> bool:
    """Whether these words of an address are among those that the route knows, where it knows few, as verbs."""
    few = {one.alias: get_args(one.field_info.annotation) for one in route.dependant.path_params}
    return all(words[name] in known for name, known in few.items() if known)


def _invalid(error: RequestValidationError) -> Problem:
    """What the framework itself found wrong: text that is no JSON, or a parameter in the query."""
    faults = []
    for failure in error.errors():
        place, *names = failure["loc"]
        if failure["type"] == "json_invalid":
            return Problem(400, f"the body is not JSON: {failure['ctx']['error']} at character {names[0]}")
        if place == "body":
            detail = "the body is empty: send a JSON object with Content-Type: application/json"
            return refused("", None, detail)
        name = ".".join(map(str, names))
        if failure["type"] == "missing":
            faults.append(Fault(pointer=f"?{name}", value=None, detail=f"{name} is missing"))
            continue
        detail = complaint(name.title() if place == "header" else name, failure["input"], failure["msg"])
        if place in ("path", "header"):  # a pointer is for the body and for what is asked with the address
            return Problem(404 if place == "path" else 422, detail)
        faults.append(Fault(pointer=f"?{name}", value=failure["input"], detail=detail))
    return Problem(422, "; ".join(fault.detail for fault in faults), faults=faults)


def complaint(name: str, value: Any, message: str) -> str:
    """One of pydantic's messages, with the name and the value that it leaves out."""
    allowed = message.removeprefix("Input should be ")
    return (
        f"{name} {shown(value)} is not {allowed}"
        if message.startswith("Input should be ")
        else f"{name} {shown(value)}: {message}"
    )


def _brief(fault: Fault) -> Fault:
    """The fault with its value as it was sent, where JSON has it and it is short; otherwise with the ends of its
    text."""
    try:
        text = json.dumps(encode(fault.value), ensure_ascii=False, allow_nan=False)
        value = json.loads(text) if len(text) <= LONGEST else shortened(text, LONGEST)
    except ValueError:  # an infinite number
        value = shortened(str(fault.value), LONGEST)
    return Fault(pointer=shortened(fault.pointer, LONGEST), value=value, detail=shortened(fault.detail, LONGEST))
