"""Fixtures for all tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.browser import browser, look, seeded_service, view
from tests.databases import clock, database_url, postgres, second, store
from tests.dataset_files import cache, clothes, images
from tests.service import client, growth, search, service

# How long an example takes says how busy the machine is.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hostile-examples", type=int, default=1, help="bodies and addresses for each operation, twice")


__all__ = [
    "browser",
    "cache",
    "client",
    "clock",
    "clothes",
    "database_url",
    "growth",
    "images",
    "look",
    "postgres",
    "pytest_addoption",
    "search",
    "second",
    "seeded_service",
    "service",
    "store",
    "view",
]


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes what the user of this machine has, nor is its terminal as wide as theirs."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_HOME", str(tmp_path_factory.mktemp("home")))
        environment.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a test keeps is its own."""
    home = tmp_path / "home"
    monkeypatch.setenv("NAS_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def modules_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same, of what the tests of a module make once."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured in this process does not wait for a busy host: see tests/test_meter.py for what does."""
    monkeypatch.setattr("nas.metering.meter.MOST_SECONDS", 0.05)
    monkeypatch.setattr("nas.metering.meter.FIRST_SECONDS", 0.0)


@pytest.fixture
def own_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The locks of a test that measures are its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As evaluations train: threads that wait for each other on a busy machine take twenty times as long."""
    import torch  # here, as it takes seconds that most tests do without

    from nas.training.device import alone

    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    torch.manual_seed(0)
    with alone(torch.device("cpu")):
        yield
