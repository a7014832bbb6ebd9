"""Fixtures for all tests."""

from collections.abc import Iterator

import pytest

from tests.databases import database_url, postgres, store

__all__ = ["database_url", "postgres", "store"]


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes what the user of this machine has."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_HOME", str(tmp_path_factory.mktemp("home")))
        yield
