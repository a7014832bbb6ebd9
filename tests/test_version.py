"""Which build it is, and where it says so."""

import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.cli import __main__ as cli
from nas import version as module
from nas.store import Store
from nas.version import version
from tests.service import OPEN, serving
from tests.waiting import PATIENCE_SECONDS

PACKAGE = metadata.version("nas-service")


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NAS_BUILD", raising=False)
    version.cache_clear()
    yield
    version.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit and a tag, which the module takes for its own."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    (tmp_path / "file").write_text("as it was")
    git(tmp_path, "init")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "tag", "-m", "of no interest", "v9")
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    return tmp_path


def test_a_checkout_is_named_by_its_commit(checkout: Path) -> None:
    assert version() == f"{PACKAGE}+{git(checkout, 'rev-parse', '--short', 'HEAD')}"


def test_a_checkout_that_was_changed_says_so(checkout: Path) -> None:
    (checkout / "file").write_text("as it is")
    assert version() == f"{PACKAGE}+{git(checkout, 'rev-parse', '--short', 'HEAD')}.dirty"


def test_an_image_is_told_its_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_BUILD", "0a1b2c3")
    assert version() == f"{PACKAGE}+0a1b2c3"


def test_a_package_in_a_repository_of_something_else_is_not_named_by_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "site-packages").mkdir()
    monkeypatch.setattr(module, "CHECKOUT", checkout / "site-packages")
    assert version() == PACKAGE


def test_without_git_the_version_stands_alone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert version() == PACKAGE


def test_health_openapi_and_the_command_line_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAS_BUILD", "0a1b2c3")
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    with serving(create_app(store, OPEN)) as url:
        health, openapi = (
            httpx.get(f"{url}/v1/{name}", timeout=PATIENCE_SECONDS).json() for name in ("health", "openapi.json")
        )
    store.close()
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    said = {health["version"], openapi["info"]["version"], capsys.readouterr().out.strip()}
    assert said == {f"{PACKAGE}+0a1b2c3"}
