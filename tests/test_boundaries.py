"""Who may import what: each rule is tried in an interpreter in which the forbidden packages cannot be imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent
SERVICE = ("sqlalchemy", "alembic", "optuna", "ray", "fastapi", "starlette", "pydantic", "uvicorn", "httpx", "rich")
# Everything that is not listed is written with the standard library alone.
ALLOWED = {
    "nas/agents/parcel.py": {"numpy"},
    "nas/agents/measuring.py": {"numpy", "onnxruntime"},
    "nas/arena.py": {"torch", "tflite_micro"},
    "nas/service.py": {"httpx"},
    "nas/backbone.py": {"torch"},
    "nas/classify.py": {"numpy", "onnxruntime", "PIL"},
    "nas/correlation.py": {"numpy"},  # only where something is correlated
    "nas/datasets": {"numpy", "PIL", "pyarrow"},
    "nas/devices": {"numpy", "torch", "onnxruntime", "openvino", "tensorrt"},
    "nas/evaluate.py": {"numpy", "torch"},
    "nas/exporters": {"numpy", "torch", "onnx", "litert_torch", "ai_edge_litert"},
    "nas/figures.py": {"plotly"},
    "nas/inheritance": {"torch"},
    "nas/latencies.py": {"torch"},
    "nas/latency_predictor.py": {"numpy"},  # only where a predictor is learnt
    "nas/measure.py": {"torch"},
    "nas/metering/onnx.py": {"numpy", "torch", "onnxruntime"},
    "nas/metering/profile.py": {"numpy"},
    "nas/metering/runtime.py": {"torch"},
    "nas/models": {"numpy", "torch", "safetensors"},
    "nas/networks/blocks.py": {"torch"},
    "nas/parents": {"timm", "torch"},  # only where weights are read
    "nas/quantisation.py": {"numpy", "torch", "onnx", "onnxruntime"},
    "nas/searchers": {"numpy", "torch", "optuna"},
    "nas/sinks": {"mlflow", "tensorboard"},
    "nas/soundness.py": {"torch"},  # only where a network is built
    "nas/spaces.py": {"torch"},  # only where a network is built
    "nas/surroundings.py": {"torch"},  # only where a network is built
    "nas/store": {"sqlalchemy", "alembic"},
    "nas/importance.py": {"optuna"},
    "nas/study.py": {"optuna"},
    "nas/training": {"numpy", "torch"},
    "search_spaces": {"torch"},  # only where a network is built
    "workers/pool.py": {"ray"},
    "workers/shelf.py": {"ray", "numpy"},
    "api/access.py": {"fastapi"},
    "api/aliases.py": {"fastapi"},
    "api/answering.py": {"fastapi"},
    "api/app.py": {"fastapi", "starlette"},
    "api/archives.py": {"fastapi"},
    "api/bodies.py": {"fastapi", "pydantic"},
    "api/cli": {"rich"},
    "api/connections.py": {"uvicorn"},
    "api/crowd.py": {"starlette"},
    "api/document.py": {"fastapi", "pydantic"},
    "api/following.py": {"starlette"},
    "api/gate.py": {"fastapi", "starlette"},
    "api/history.py": {"fastapi"},
    "api/journal.py": {"starlette"},
    "api/problems.py": {"fastapi", "starlette"},
    "api/ranking.py": {"pydantic"},
    "api/routes": {"fastapi", "starlette"},
    "api/sending.py": {"fastapi", "starlette"},
    "api/serve.py": {"uvicorn"},
    "api/steady.py": {"starlette"},
    "api/telemetry.py": {"prometheus_client"},
    "api/tools.py": {"mcp", "mcp_types", "pydantic"},
    "api/waiting.py": {"starlette"},
}
OURS = {"nas", "search_spaces", "workers", "api"}
MAY_USE = {
    "nas": {"nas"},
    "search_spaces": {"nas", "search_spaces"},
    "workers": {"nas", "workers"},
    "api": {"nas", "api"},
}


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name.partition(".")[0] for name in found}


def sources(place: str) -> list[Path]:
    path = ROOT / place
    return [path] if path.suffix else sorted(path.rglob("*.py"))


def foreign(path: Path) -> set[str]:
    return {name for name in imports(path) if name not in sys.stdlib_module_names} - OURS


def allowed(path: Path) -> set[str]:
    return next((packages for place, packages in ALLOWED.items() if path.is_relative_to(ROOT / place)), set())


@pytest.mark.parametrize("part", sorted(OURS))
def test_a_module_imports_only_the_packages_that_are_its_own(part: str) -> None:
    for path in sources(part):
        assert foreign(path) <= allowed(path), f"{path.relative_to(ROOT)} imports {foreign(path) - allowed(path)}"


@pytest.mark.parametrize("place", ALLOWED)
def test_no_exception_is_left_that_nobody_needs(place: str) -> None:
    assert set().union(*map(foreign, sources(place))) == ALLOWED[place]


@pytest.mark.parametrize("part", MAY_USE)
def test_parts_use_only_the_parts_below_them(part: str) -> None:
    for path in sources(part):
        used = imports(path) & OURS
        assert used <= MAY_USE[part], f"{path.relative_to(ROOT)} imports {used - MAY_USE[part]}"


def test_evaluation_does_not_know_the_store() -> None:
    places = ("training", "metering", "devices", "agents", "models", "exporters", "datasets", "networks")
    for place in ("evaluate.py", *places):
        for path in sources(f"nas/{place}"):
            assert "nas.store" not in path.read_text(), path


# Of os, signal, select and resource; each in the one place that asks first whether it is there.
LINUX_ONLY = {
    "sched_getaffinity": "nas/metering/host.py",
    "posix_fadvise": "nas/training/data.py",
    "POSIX_FADV_WILLNEED": "nas/training/data.py",
} | dict.fromkeys(
    (
        *("sched_setaffinity", "sched_getscheduler", "sched_setscheduler", "memfd_create", "pidfd_open", "eventfd"),
        *("getrandom", "copy_file_range", "splice", "setns", "unshare", "getxattr", "setxattr", "posix_fallocate"),
        *("fdatasync", "getresuid", "setresuid", "O_DIRECT", "O_TMPFILE", "O_PATH", "epoll", "prlimit", "SIGPWR"),
        *("SIGRTMIN", "SIGRTMAX", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo", "pidfd_send_signal", "SO_PEERCRED"),
    ),
    None,
)


def test_what_only_linux_has_is_used_where_it_is_asked_for() -> None:
    found = {
        (node.attr, str(path.relative_to(ROOT)))
        for part in (*OURS, "bench")
        for path in sources(part)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in LINUX_ONLY
    }
    assert found == {(name, place) for name, place in LINUX_ONLY.items() if place}


def interpreter(code: str, forbidden: tuple[str, ...]) -> None:
    block = f"import sys\nfor name in {forbidden!r}: sys.modules[name] = None\n"
    command = [sys.executable, "-W", "error", "-c", block + code]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert ran.returncode == 0, ran.stderr


def test_torch_and_numpy_are_enough_to_evaluate() -> None:
    forbidden = (*SERVICE, "safetensors", "PIL")
    interpreter(
        """
import dataclasses
import numpy as np
import torch
from nas.networks.architecture import Images
from nas.datasets import DatasetInfo, ImageSet
from nas.evaluate import evaluate
from nas.plans.search import SearchPlan
from nas.recipes import Recipe
from nas.specs import SearchSpec
spec = SearchSpec(dataset="none", searcher="random", recipe=Recipe(epochs=1, batch=8))
job = SearchPlan("run", spec, 1, Images(resolution=12, channels=1, classes=2)).ask(0)
draw = np.random.default_rng(0)
images = ImageSet(
    info=DatasetInfo(name="none", classes=("a", "b"), channels=1, resolution=12, train_images=80, test_images=20),
    train_images=draw.integers(0, 255, (80, 1, 12, 12), np.uint8), train_labels=np.arange(80) % 2,
    test_images=draw.integers(0, 255, (20, 1, 12, 12), np.uint8), test_labels=np.arange(20) % 2,
)
measurement = evaluate(job, images=images)
assert measurement.accuracy is not None and measurement.latencies
""",
        forbidden,
    )


def test_the_api_needs_neither_torch_nor_ray() -> None:
    interpreter(
        "import api.app, api.cli.__main__, nas.store",
        ("torch", "ray", "optuna", "onnx", "onnxruntime", "safetensors", "PIL", "numpy"),
    )


def test_a_coordinator_computes_on_one_thread() -> None:
    """It has nothing imported that would have counted the processors before."""
    interpreter(
        """
import os, sys
os.environ.pop("OMP_NUM_THREADS", None)
from workers.__main__ import main
sys.argv = ["workers", "--database", "sqlite:////no/such/folder/nas.db"]
assert main() == 1 and os.environ["OMP_NUM_THREADS"] == "1"
del sys.modules["numpy"]
import torch
assert torch.get_num_threads() == 1
""",
        ("numpy", "ray"),
    )


def test_descriptions_need_nothing_but_the_standard_library() -> None:
    interpreter(
        """
from nas import codec, home, logs, objective, pareto, plugins, records, settings
from nas.networks import counts, scaling
from nas.plans.search import SearchPlan
from search_spaces import mbconv
from nas.networks import describe, drawing
from nas import zoo
from nas.models import timm_strings
for name in zoo.makers():
    zoo.entry(name)
assert plugins.names("nas.searchers") and plugins.names("nas.devices") and plugins.names("search_spaces")
""",
        (*SERVICE, "torch", "numpy"),
    )


def test_what_a_request_names_is_looked_up_in_one_place() -> None:
    """Which asks whether its images may be read. The verbs read for the user who calls them."""
    places = {
        str(path.relative_to(ROOT))
        for path in sources("api")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in tuple(f"datasets.{verb}" for verb in ("describe", "load", "look", "strip", "names"))
    }
    assert places == {"api/admission.py", "api/cli/proxy.py"}
