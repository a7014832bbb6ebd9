"""Who may import what: each rule is tried in an interpreter in which the forbidden packages cannot be imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVICE = ("sqlalchemy", "alembic", "optuna", "ray", "fastapi", "starlette", "pydantic", "uvicorn", "httpx", "rich")
ALLOWED = {
    "nas/records.py": set(),
    "nas/specs.py": set(),
    "nas/recipes.py": set(),
    "nas/refusal.py": set(),
    "nas/errands.py": set(),
    "nas/parcel.py": {"numpy"},
    "nas/agent.py": {"numpy", "onnxruntime"},
    "nas/architecture.py": {"torch"},  # for annotations only, which the interpreter below proves
    "nas/layers.py": set(),
    "nas/units.py": set(),
    "nas/network.py": set(),
    "nas/lowering.py": set(),
    "nas/cells": set(),
    "nas/zoo": set(),
    "nas/describe.py": set(),
    "nas/drawing.py": set(),
    "nas/spaces.py": {"torch"},  # only where a network is built
    "nas/counts.py": set(),
    "nas/objective.py": set(),
    "nas/latency.py": {"numpy"},  # only where a predictor is learnt
    "nas/correlation.py": {"numpy"},  # only where something is correlated
    "nas/fidelity.py": set(),
    "nas/noise.py": set(),
    "nas/pareto.py": set(),
    "nas/scaling.py": set(),
    "nas/plugins.py": set(),
    "nas/codec.py": set(),
    "nas/home.py": set(),
    "nas/plans": set(),
    "nas/searchers": {"numpy", "torch", "optuna"},
    "nas/store": {"sqlalchemy", "alembic"},
    "workers": {"ray", "numpy"},
    "api": {"fastapi", "starlette", "uvicorn", "httpx", "rich", "pydantic", "anyio"},
    "search_spaces": {"torch"},
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


@pytest.mark.parametrize("place", ALLOWED)
def test_a_part_imports_only_the_packages_that_are_its_own(place: str) -> None:
    for path in sources(place):
        foreign = {name for name in imports(path) if name not in sys.stdlib_module_names} - OURS
        assert foreign <= ALLOWED[place], f"{path.relative_to(ROOT)} imports {foreign - ALLOWED[place]}"


@pytest.mark.parametrize("part", MAY_USE)
def test_parts_use_only_the_parts_below_them(part: str) -> None:
    for path in sources(part):
        used = imports(path) & OURS
        assert used <= MAY_USE[part], f"{path.relative_to(ROOT)} imports {used - MAY_USE[part]}"


def test_ray_is_imported_in_one_file() -> None:
    assert [path.name for path in sources("workers") if "ray" in imports(path)] == ["pool.py"]


def test_evaluation_does_not_know_the_store() -> None:
    for place in ("nas/evaluate.py", "nas/training", "nas/devices", "nas/agent.py", "nas/models", "nas/datasets"):
        for path in sources(place):
            assert "nas.store" not in path.read_text(), path


def interpreter(code: str, forbidden: tuple[str, ...]) -> None:
    block = f"import sys\nfor name in {forbidden!r}: sys.modules[name] = None\n"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", block + code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr


def test_torch_and_numpy_are_enough_to_evaluate() -> None:
    forbidden = (*SERVICE, "safetensors", "PIL")
    interpreter(
        """
import dataclasses
import numpy as np
import torch
from nas.architecture import Images
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
assert measurement.accuracy is not None and measurement.latency is not None
""",
        forbidden,
    )


def test_the_api_needs_neither_torch_nor_ray() -> None:
    interpreter(
        "import api.app, api.cli, nas.store",
        ("torch", "ray", "optuna", "onnx", "onnxruntime", "safetensors", "PIL"),
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
from nas import codec, counts, home, objective, pareto, plugins, records, scaling
from nas.plans.search import SearchPlan
from search_spaces import mbconv
from nas import describe, drawing, zoo
from nas.models import timm_strings
for name in zoo.makers():
    zoo.entry(name)
assert plugins.names("nas.searchers") and plugins.names("nas.devices") and plugins.names("search_spaces")
""",
        (*SERVICE, "torch", "numpy"),
    )
