"""What each install is good for, tried in interpreters in which nothing is there but its own packages."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nas import exporters
from nas.models import archive
from nas.specs import SearchSpec
from tests.service import Service

PROJECT: dict[str, Any] = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
OURS = ("nas", "api", "search_spaces", "workers")
INVOKED = """
import contextlib, io, json, sys
from api.cli.__main__ import main
ran = []
for arguments in json.load(sys.stdin):
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            code = main(arguments)
        except SystemExit as left:  # argparse's
            code = left.code
    ran.append((code, out.getvalue(), error.getvalue()))
json.dump(ran, sys.stdout)
"""


def distributions(requirements: Iterable[str]) -> set[str]:
    """These and all that they need in turn."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found.add(name)
            waiting += map(Requirement, metadata.requires(name) or ())
    return found


def alone(code: str, *extras: str, given: Any = None) -> str:
    """What `code`, which reads `given`, prints where nothing is there but the base install and these extras."""
    there = distributions(sum((PROJECT["optional-dependencies"][extra] for extra in extras), PROJECT["dependencies"]))
    absent = [
        module
        for module, owners in metadata.packages_distributions().items()
        if module not in OURS and not there & {canonicalize_name(owner) for owner in owners}
    ]
    block = f"import sys\nfor name in {absent!r}: sys.modules[name] = None\n"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", block + code], input=json.dumps(given), capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def invoked(*invocations: tuple[str, ...]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of `nas` with such arguments, on the base install."""
    return [tuple(each) for each in json.loads(alone(INVOKED, given=invocations))]


def test_the_base_install_is_the_client() -> None:
    assert {Requirement(text).name for text in PROJECT["dependencies"]} == {"httpx", "rich"}


def test_every_verb_that_asks_the_service_needs_no_more(
    service: Service, search: str, growth: str, tmp_path: Path
) -> None:
    wished = service.store.add_run("search", SearchSpec(dataset="fashion_mnist")).id
    listed = ("list", "models", "datasets", "spaces", "searchers", "devices", "recipes", "health", "published")
    invocations = [
        *((verb,) for verb in listed),
        *((verb, search) for verb in ("show", "watch", "trials", "events", "pareto")),
        ("search", "--dataset", "fashion_mnist", "--recipe", "proxy"),
        ("grow", search, "--members", "B0"),
        ("raise", wished, "9"),
        ("stop", wished),
        ("spaces", "mbconv", "--dataset", "fashion_mnist"),
        ("measure", "LeNet-5", "--on-service"),
        ("proxy", "--dataset", "fashion_mnist", "--on-service"),
        ("download", growth, "--to", str(tmp_path)),
        ("describe", "LeNet-5"),
    ]
    for arguments, (code, out, error) in zip(invocations, invoked(*invocations), strict=True):
        assert (code, error) == (0, ""), (arguments, error)
        assert out, arguments
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_a_verb_that_needs_more_names_the_extra_that_has_it(tmp_path: Path) -> None:
    invocations = [
        ("serve",),
        ("serve", "--no-coordinator"),
        ("score", str(tmp_path / "any.safetensors")),
        ("measure", "LeNet-5"),
        ("proxy", "--dataset", "fashion_mnist"),
        ("export", "optuna", "0a1b2c3d4e5f"),
        ("check-space", "mbconv"),
    ]
    asked = ["serve,workers", "serve", "workers", "workers", "workers", "searchers", "workers"]
    for arguments, extras, (code, out, error) in zip(invocations, asked, invoked(*invocations), strict=True):
        assert (code, out, error.count("\n")) == (2, "", 1), error
        said = re.fullmatch(r"nas: .* needs (.*): pip install 'nas-service\[(.*)\]'\n", error)
        assert said, error
        assert said[2] == extras, arguments
        brought = {
            Requirement(text).name for extra in extras.split(",") for text in PROJECT["optional-dependencies"][extra]
        }
        assert set(said[1].split(", ")) <= brought, arguments


@pytest.mark.parametrize("name", [name for name in exporters.names() if exporters.load(name).PACKAGES])
def test_an_exporter_whose_runtime_is_missing_names_the_extra_that_has_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages, extra = exporters.load(name).PACKAGES, exporters.load(name).EXTRA
    brought = {canonicalize_name(Requirement(text).name) for text in PROJECT["optional-dependencies"][extra]}
    assert set(map(canonicalize_name, packages)) <= brought
    monkeypatch.setattr("nas.extras.find_spec", lambda wanted: None if wanted in packages else wanted)
    source = exporters.Source(**dict.fromkeys(("checkpoint", "network", "card")))  # type: ignore[arg-type]  # not read
    way = archive._way(name, source, tmp_path, None)
    needs = f"exporter {name!r} needs {', '.join(packages)}: pip install 'nas-service[{extra}]'"
    assert (way.refused, way.score) == (needs, None)
    assert not list(tmp_path.iterdir())


PROGRAMS = {
    "serve": "import api.serve",
    "workers": "import nas.evaluate, nas.measure, nas.models.score, nas.store",  # Ray brings packages in its own folder
    "searchers": "import nas.study",
}
PLUGINS = {"serve": "nas.datasets", "workers": "nas.devices", "searchers": "nas.searchers"}


@pytest.mark.parametrize("extra", PROGRAMS)
def test_an_extra_has_what_its_programs_import(extra: str) -> None:
    load = f"plugins.load({PLUGINS[extra]!r}, name)"
    alone(f"{PROGRAMS[extra]}\nfrom nas import plugins\nfor name in plugins.names({PLUGINS[extra]!r}): {load}", extra)


def test_all_extras_of_a_service_are_one() -> None:
    [whole] = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert whole.extras == {"serve", "workers", "searchers", "postgres"}
