"""The service itself: its health, the dashboard's files, the OpenAPI document and its examples, and what it imports."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from api.app import DASHBOARD, create_app
from nas.specs import SearchSpec
from nas.store import Store
from tests.service import OPEN, SMALLEST, Contract, Service, serving
from tests.waiting import PATIENCE_SECONDS


def test_health_says_when_nothing_takes_the_work(tmp_path: Path) -> None:
    past = Store(f"sqlite:///{tmp_path}/nas.db", clock=lambda: 1000.0)
    app = create_app(past, OPEN, coordinator=lambda: "restarting")
    with serving(app) as url:
        health = httpx.get(f"{url}/v1/health", timeout=PATIENCE_SECONDS).json()
        assert (health["status"], health["waiting_seconds"], health["coordinator"]) == ("ok", None, "restarting")
        past.add_run("search", SearchSpec(dataset="fashion_mnist"))
        health = httpx.get(f"{url}/v1/health", timeout=PATIENCE_SECONDS).json()
        assert health["status"] == "waiting"
        assert health["waiting_seconds"] > 1e6
    past.close()


def test_the_dashboard_is_served_fresh(service: Service) -> None:
    index = service.http.get("/")
    assert index.text == (DASHBOARD / "index.html").read_text()
    assert index.headers["content-type"].startswith("text/html")
    kinds = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".txt": "text/plain"}
    for file in DASHBOARD.iterdir():
        response = service.http.get(f"/{file.name}")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(kinds[file.suffix])
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-content-type-options"] == "nosniff"
        again = service.http.get(f"/{file.name}", headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["cache-control"] == "no-cache"


def test_openapi_is_complete(service: Service) -> None:
    document = service.get("/v1/openapi.json")
    names = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            names.add(operation["operationId"])
            assert operation["summary"], where
            assert len(operation["description"]) > 20, where
            assert operation["tags"], where
            assert all(parameter["description"] for parameter in operation.get("parameters", ())), where
            problems = {int(status) for status in operation["responses"] if int(status) >= 400}
            assert {422, 500, 503} <= problems, where
            assert "{" not in path or 404 in problems, where
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    content = response["content"]["application/problem+json"]
                    assert content["schema"] == {"$ref": "#/components/schemas/ProblemDocument"}, where
                    assert content["example"]["detail"], where
                elif status in ("200", "201"):
                    assert response["content"], where
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                assert kind != "application/json" or content["examples"], where
    assert len(names) == sum(map(len, document["paths"].values()))
    for name, schema in document["components"]["schemas"].items():
        assert schema["title"] == name.rpartition("__")[2]  # two modules may have a record of the same name
    assert set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document))) <= set(
        document["components"]["schemas"]
    )


def test_examples_in_openapi_are_what_they_illustrate(service: Service) -> None:
    document = service.get("/v1/openapi.json")
    contract = Contract(document)
    answers, requests = 0, 0
    for operations in document["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    if "example" in content:
                        contract.valid(content["schema"], content["example"])
                        answers += "$ref" in content["schema"] and "Problem" not in content["schema"]["$ref"]
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                contract.valid(content["schema"], example["value"])
                requests += 1
    assert answers >= 8
    assert requests >= 6


def test_the_examples_of_searches_can_be_sent(service: Service) -> None:
    document = service.get("/v1/openapi.json")
    body = document["paths"]["/v1/searches"]["post"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        service.post("/v1/searches", example["value"] | SMALLEST)


def test_torch_and_ray_are_never_imported(tmp_path: Path) -> None:
    code = """
import asyncio, sys
import httpx
from api.app import create_app
from api.edge import Edge
from nas import plugins
from nas.home import database_url
from nas.store import Store
async def main():
    app = create_app(Store(database_url()), Edge(login=False))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        for path in ("spaces/mbconv", "searchers", "datasets", "devices", "recipes", "health", "openapi.json"):
            response = await http.get(f"/v1/{path}")
            assert response.status_code == 200, response.text
        for name in plugins.names("nas.searchers"):
            response = await http.post("/v1/searches", json={"dataset": "fashion_mnist", "searcher": name})
            assert response.status_code == 201, response.text
asyncio.run(main())
heavy = {"torch", "ray", "optuna", "onnx", "onnxruntime", "safetensors"} & set(sys.modules)
assert not heavy, heavy
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "NAS_HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
