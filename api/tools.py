"""`nas mcp`: the service as tools of the Model Context Protocol, for programs that help people, on standard input and
output. It signs in as the command line does."""

import functools
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from nas.client import CHECKPOINT, Client, ServiceError
from nas.proposal import Suggestion, applied
from nas.version import version

INSTRUCTIONS = """Finds, trains and hands out the best image classifier for somebody's images, device and budget.

Begin with `look`: it says whether the images can be used and for what, and proposes a request. Show the proposal and
its `forecast` to the user before `search` spends anything. `watch` a run until it has ended, and read its verdict:
accuracies have standard errors, and what cannot be told apart is tied. Then `grow` the best network into a family, or
`deliver` a model as a file. A search's accuracies are of validation images, which it has chosen by; test accuracies are
of models."""
SEARCH_FIELDS = (
    "the fields of SearchSpec in /v1/openapi.json; the least is dataset, and what `look` proposes is a whole one"
)
Json = dict[str, Any]
Run = Annotated[str, Field(description="the id of a run")]
Model = Annotated[str, Field(description="the id of a model, or RUN@best, RUN@latest, RUN@b0 to RUN@b7")]


def server(client: Client) -> MCPServer:
    """All that the client's token allows and that helps with the main job."""
    tools = MCPServer("nas-service", instructions=INSTRUCTIONS, version=version(), log_level="WARNING")

    def tool(function: Callable[..., Any]) -> None:
        """One that only reads."""
        tools.add_tool(_explained(function), annotations=ToolAnnotations(read_only_hint=True))

    def deed(function: Callable[..., Any]) -> None:
        """One that changes something; nothing of these takes away what is there."""
        hints = ToolAnnotations(read_only_hint=False, destructive_hint=False)
        tools.add_tool(_explained(function), annotations=hints)

    @tool
    def look(
        dataset: Annotated[
            str,
            Field(description="fashion_mnist, folder:/a/path on the service's machine, or images:NAME of an upload"),
        ],
    ) -> Json:
        """What there is of each class of the images, what is wrong with them, and a request for a search that fits,
        with reasons. Costs nothing."""
        seen = client.look(dataset)
        suggestions = tuple(Suggestion(**each) for each in seen["proposal"])
        return seen | {"request": applied(suggestions, {"dataset": dataset})}

    @tool
    def forecast(request: Annotated[Json, Field(description=SEARCH_FIELDS)]) -> Json:
        """What such a search would take, in seconds and what they cost. Costs nothing."""
        return client.forecast(**request)

    @deed
    def search(request: Annotated[Json, Field(description=SEARCH_FIELDS)]) -> Json:
        """Submit a search: it takes minutes to days of the service's machines."""
        return client.search(**request)

    @deed
    def grow(
        run: Annotated[str, Field(description="the id of a search")],
        request: Annotated[Json, Field(description="the fields of GrowthRequest in /v1/openapi.json, such as members")],
    ) -> Json:
        """Train a network of a search, by default its best, in several sizes, each tested and handed out as a model."""
        return client.grow(run, **request)

    @deed
    def wish(run: Run, verb: Literal["pause", "resume", "stop"]) -> Json:
        """Pause a run, go on with it, or end it when its running trials have ended, which are kept."""
        answer: Json = getattr(client, verb)(run)
        return answer

    @tool
    def runs(most: Annotated[int, Field(ge=1, le=100)] = 20) -> list[Json]:
        """The newest runs of every kind, with state, counts, verdict and what is left."""
        return client.runs(most)

    @tool
    def watch(run: Run, seconds: Annotated[float, Field(ge=0, le=600)] = 60) -> Json:
        """A run of any kind once it has ended, or as it is after so many seconds: state, counts, verdict, best network,
        and the seconds that are left."""
        until, view = time.monotonic() + seconds, client.run(run)
        while view["ended_at"] is None and (left := until - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            view = client.run(run)
        return view

    @tool
    def events(
        run: Run, after: Annotated[int, Field(description="the id of the last one that is known")] = 0
    ) -> list[Json]:
        """What happened to a run, in words: trials that failed and why, pauses, warnings."""
        return client.events(run, after)

    @tool
    def front(run: Annotated[str, Field(description="the id of a search")]) -> Json:
        """The networks of a search that no other beats in accuracy and cost, and the best by its objective."""
        return client.pareto(run)

    @tool
    def compare(of: Annotated[list[str], Field(description="up to six runs as RUN, or trials as RUN:TRIAL")]) -> Json:
        """Runs or trials side by side by one objective: what is better, what cannot be told apart, how they differ."""
        return client.compare(*of)

    @tool
    def models(run: Annotated[str | None, Field(description="the id of a run; null: all")] = None) -> list[Json]:
        """Trained networks that can be delivered, newest first."""
        return client.models(run)

    @deed
    def deliver(
        model: Model,
        folder: Annotated[str, Field(description="where to put it, on the machine that this tool runs on")],
        kind: Annotated[
            str,
            Field(description="zip: all of it with a program that classifies; safetensors, onnx, int8, pt2, tflite"),
        ] = "zip",
    ) -> Json:
        """Write a model to a file, made first if need be and checked by its hash."""
        path = client.download(model, folder, kind=kind)
        extra = {"card": str(path.with_suffix(".json"))} if kind == CHECKPOINT else {}
        return {"file": str(path.absolute()), "bytes": path.stat().st_size, **extra}

    return tools


def _explained(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of which the service's refusals, and the disk's, are told in their own words."""

    @functools.wraps(function)
    def explained(**arguments: Any) -> Any:
        try:
            return function(**arguments)
        except ServiceError as error:
            wrong = [f"{fault['pointer']}: {fault['detail']}" for fault in error.faults]
            raise ToolError("\n".join([error.detail, *wrong])) from error
        except OSError as error:
            raise ToolError(str(error)) from error

    return explained
