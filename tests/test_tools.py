"""`nas mcp` as programs use it: by the protocol's own client, over standard input and output, against the service."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import mcp
import pytest
from mcp.client.stdio import StdioServerParameters

from nas.models.checkpoint import artifact
from tests.dataset_files import fill
from tests.service import OWNER, UNKNOWN, Service

Call = Callable[..., Awaitable[Any]]


def told(play: Callable[[mcp.Client, Call], Awaitable[None]], url: str) -> None:
    """Plays with a started `nas mcp` at the service, and a function that calls a tool of it."""

    async def played() -> None:
        program = StdioServerParameters(
            command=sys.executable, args=["-m", "api.cli", "mcp"], env=dict(os.environ) | {"NAS_URL": url}
        )
        async with mcp.Client(program) as client:

            async def call(tool: str, **arguments: Any) -> Any:
                result = await client.call_tool(tool, arguments)
                [*texts] = (part.text for part in result.content if part.type == "text")
                if result.is_error:
                    raise AssertionError(" ".join(texts))
                whole = result.structured_content
                assert whole is not None
                return whole.get("result", whole)

            await play(client, call)

    asyncio.run(played())


def test_from_a_look_at_images_to_a_file(service: Service, tmp_path: Path) -> None:
    images = f"folder:{fill(tmp_path / 'flowers')}"

    async def play(client: mcp.Client, call: Call) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {name for name, tool in tools.items() if not tool.annotations.read_only_hint} == {  # type: ignore[union-attr]
            *("search", "grow", "wish", "deliver")
        }
        assert all(tool.description for tool in tools.values())
        seen = await call("look", dataset=images)
        assert sum(row["train"] for row in seen["look"]["counts"]) > 0 if "counts" in seen["look"] else seen["look"]
        request = seen["request"] | {"trials": 2, "devices": ["cpu"]}
        assert request["dataset"] == images
        assert (await call("forecast", request=request))["trials"] == 2
        run = await call("search", request=request | {"name": "by a program"})
        assert service.store.run(run["id"]).spec.name == "by a program"
        assert (await call("wish", run=run["id"], verb="pause"))["wish"] == "pause"
        assert run["id"] in [each["id"] for each in await call("runs")]
        assert (await call("watch", run=run["id"], seconds=0))["ended_at"] is None
        with pytest.raises(AssertionError, match=f"no run '{UNKNOWN}'"):
            await call("watch", run=UNKNOWN)
        with pytest.raises(AssertionError, match="trials") as refusal:
            await call("search", request={"dataset": images, "trials": 0})
        assert "/trials: " in str(refusal.value), "what is wrong with each field"

        ended = service.search([(0.8, 1_000_000), (0.9, 4_000_000)], trials=2)
        service.store.claims.release(ended.id, OWNER, "finished")
        family = service.growth(ended)
        assert (await call("watch", run=ended.id))["best"]["number"] in (0, 1)
        assert {row["number"] for row in (await call("front", run=ended.id))["front"]} == {0, 1}
        assert len((await call("compare", of=[ended.id, family.id]))["sides"]) == 2
        assert (await call("events", run=ended.id))[0]["kind"] == "added"
        [model, *_] = await call("models", run=family.id)
        got = await call("deliver", model=model["id"], folder=str(tmp_path / "models"), kind="safetensors")
        assert Path(got["file"]).read_bytes() == artifact(model["sha256"]).read_bytes()
        assert json.loads(Path(got["card"]).read_text())["run"] == family.id

    told(play, service.url)
