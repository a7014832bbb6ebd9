"""Agents, which measure on machines of their own, and the errands that evaluators send them on."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import agent_program, examples
from api.access import Asking, whose
from api.bodies import JSONRoute, strictly
from api.history import Rows
from api.problems import TAKES_BODY, WRITES, Problem, documented, refused
from api.waiting import Waiting
from nas.agents.errands import Agent, Answer, Errand, Introduction

BYTES = "application/octet-stream"
UNKNOWN_AGENT = "no agent 'pi5' has registered: there are pi4"
UNKNOWN_ERRAND = "there is no errand '0a1b2c3d4e5f6a7b': it is forgotten once nobody asks for it"
TAKEN_OVER = "another agent has registered as 'pi4' in the meantime: this one is not it any more"
TOO_MANY = "100 requests of token 0a1b2c3d4e5f wait for something to happen: ask again, or wait_seconds=0"

router = APIRouter(tags=["agents"], route_class=JSONRoute)
Name = Annotated[str, Path(description="the agent's name", examples=["pi4"])]
Id = Annotated[str, Path(description="the errand's id")]
Instance = Annotated[str, Query(description="the process of the agent, as it has introduced itself")]
Wait = Annotated[float, Query(ge=0, le=20, description="how long the answer may be held back for something to happen")]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What an agent is to do now."""

    errand: str | None
    """The id of the errand; null: there is none."""


@router.get(
    "/agent.pyz",
    summary="The agent's program",
    response_class=Response,
    responses={
        200: {
            "description": "A zip archive that Python runs",
            "content": {"application/zip": {"schema": {"type": "string"}}},
        },
        **documented(),
    },
)
def get_program() -> Response:
    """For the machine to be measured, which needs Python 3.11, ONNX Runtime and numpy:
    `python3 agent.pyz --service URL --name pi4`."""
    return Response(agent_program.agent(), media_type="application/zip")


@router.post(
    "/agents",
    summary="Register as an agent",
    responses=documented(**TAKES_BODY, _409="agent 'pi4' is online on another machine: choose another name"),
)
def introduce(
    new: Annotated[Introduction, strictly(Introduction), Body(openapi_examples=examples.AGENTS)], store: Rows
) -> Agent:
    """What agent.pyz does first; its device is "remote:NAME" from then on. A new process on the same machine takes the
    name over, and the errand that the last one left behind."""
    if new.edition != agent_program.edition():
        detail = f"edition {new.edition[:80]!r} of the agent's program is not this service's: fetch it again from"
        raise refused("/edition", new.edition, f"{detail} /v1/agent.pyz")
    return store.agents.introduce(new)


@router.post(
    "/agents/{name}/heartbeat",
    summary="Say that an agent is there",
    responses=documented(**WRITES, _404=UNKNOWN_AGENT, _409=TAKEN_OVER),
)
def heartbeat(name: Name, instance: Instance, store: Rows) -> Agent:
    """Every ten seconds while it measures: after thirty of silence it is offline."""
    return store.agents.heard(name, instance)


@router.post(
    "/agents/{name}/take",
    summary="Take an agent's next errand",
    responses=documented(**WRITES, _404=UNKNOWN_AGENT, _409=TAKEN_OVER, _429=TOO_MANY),
)
async def take(
    name: Name, instance: Instance, request: Request, token: Asking, store: Rows, wait_seconds: Wait = 0
) -> Taken:
    """As soon as there is one. The same as before where that one is not answered."""
    await run_in_threadpool(store.agents.heard, name, instance)
    if wait_seconds:
        await _waiting(request).until(lambda errands: name in errands.values(), wait_seconds, whose(request, token))
    return Taken(errand=await run_in_threadpool(store.agents.take, name, instance))


@router.post(
    "/agents/{name}/errands",
    status_code=201,
    summary="Send an agent on an errand",
    responses=documented(**TAKES_BODY, _404=UNKNOWN_AGENT, _409="networks of 1,073,741,824 bytes wait to be measured"),
    openapi_extra={"requestBody": {"required": True, "content": {BYTES: {"schema": {"type": "string"}}}}},
)
async def send(name: Name, request: Request, store: Rows) -> Errand:
    """The body is a parcel as nas.agents.parcel packs it, of 134 MB at the most: networks in ONNX with images. Errands
    are served one after another."""
    if request.headers.get("content-type") != BYTES:
        raise Problem(415, f"the body is not declared as a parcel: send it with Content-Type: {BYTES}")
    errand = await run_in_threadpool(store.agents.send, name, await request.body())
    _waiting(request).ring()
    return errand


@router.get(
    "/errands/{errand}",
    summary="What became of an errand",
    responses=documented(_404=UNKNOWN_ERRAND, _429=TOO_MANY),
)
async def get_errand(errand: Id, request: Request, token: Asking, store: Rows, wait_seconds: Wait = 0) -> Errand:
    """To be asked for again until there is an answer: an errand that nobody has asked for in two minutes is
    forgotten."""
    await run_in_threadpool(store.agents.ask, errand)
    if wait_seconds:
        await _waiting(request).until(lambda errands: errand not in errands, wait_seconds, whose(request, token))
    return await run_in_threadpool(store.agents.look, errand)


@router.get(
    "/errands/{errand}/parcel",
    summary="What an errand is to measure",
    response_class=Response,
    responses={
        200: {"description": "The parcel", "content": {BYTES: {"schema": {"type": "string"}}}},
        **documented(_404=UNKNOWN_ERRAND, _409="errand 0a1b2c3d4e5f6a7b is answered: its network is not kept"),
    },
)
def get_parcel(errand: Id, store: Rows) -> Response:
    """For the agent that took it, as it was sent."""
    return Response(store.agents.parcel(errand), media_type=BYTES)


@router.post(
    "/errands/{errand}/answer",
    summary="Answer an errand",
    responses=documented(**TAKES_BODY, _404=UNKNOWN_ERRAND, _409=TAKEN_OVER),
)
def answer(
    errand: Id,
    instance: Instance,
    outcome: Annotated[Answer, strictly(Answer), Body(openapi_examples=examples.ANSWERS)],
    request: Request,
    store: Rows,
) -> Errand:
    """With a latency and the logits by which it is believed, or an error."""
    answered = store.agents.answer(errand, instance, outcome)
    _waiting(request).ring()
    return answered


def _waiting(request: Request) -> Waiting[dict[str, str]]:
    waiting: Waiting[dict[str, str]] = request.app.state.waiting
    return waiting
