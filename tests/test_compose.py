"""docker-compose.yml and Dockerfile: what of them a reader can hold them to."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", SERVICES)
class TestService:
    def test_is_watched_or_ends(self, name: str) -> None:
        healthcheck = SERVICES[name]["healthcheck"]
        assert ("test" in healthcheck) != (name == "migrate")
        assert SERVICES[name]["restart"].startswith("on-failure" if name == "migrate" else "unless-stopped")

    def test_has_no_more_rights_than_it_needs(self, name: str) -> None:
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service.get("user", last("USER")) not in ("root", "0")

    def test_reads_the_secrets_that_it_has_and_no_others(self, name: str) -> None:
        service = SERVICES[name]
        named = {value for value in service["environment"].values() if value.startswith("/run/secrets/")}
        assert {f"/run/secrets/{secret}" for secret in service["secrets"]} <= named
        assert all(Path(value).name in COMPOSE["secrets"] for value in named)

    def test_is_told_no_secret_in_its_environment(self, name: str) -> None:
        for variable, value in SERVICES[name]["environment"].items():
            secret = re.search("PASSWORD|TOKEN", variable)
            assert not secret or variable.endswith(("_FILE", "_PATH")), variable
            assert not re.search(r"://[^/@]*:[^/@]*@", value), value

    def test_waits_for_what_it_needs(self, name: str) -> None:
        waited = {other: how["condition"] for other, how in SERVICES[name].get("depends_on", {}).items()}
        for other, condition in waited.items():
            assert condition == ("service_completed_successfully" if other == "migrate" else "service_healthy")
        if "NAS_DATABASE" in SERVICES[name]["environment"]:
            assert ("postgres" if name == "migrate" else "migrate") in waited

    def test_has_an_image_of_one_version(self, name: str) -> None:
        image = SERVICES[name].get("image", "")
        assert image == "nas-service" or re.fullmatch(r"[a-z]+:\d+\.\d+-\w+", image)


def test_nothing_starts_without_secrets() -> None:
    files = [secret["file"] for secret in COMPOSE["secrets"].values()]
    assert all(re.match(r"\$\{NAS_SECRETS:\?[^}]*}/", file) for file in files)
    assert ":-" not in "".join(files), "there is no default"


def test_whoever_reads_images_does_it_in_the_folder_that_is_there_for_them() -> None:
    for name in ("api", "coordinator", "worker"):
        folder = SERVICES[name]["environment"]["NAS_IMAGES"]
        assert any(volume.endswith(f":{folder}:ro") for volume in SERVICES[name]["volumes"])


def test_only_the_service_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["api"]


def test_who_speaks_with_ray_has_its_token() -> None:
    for name in ("ray-head", "worker", "coordinator"):
        environment = SERVICES[name]["environment"]
        assert (environment["RAY_AUTH_MODE"], environment["RAY_AUTH_TOKEN_PATH"]) == ("token", "/run/secrets/ray_token")


def last(instruction: str) -> str:
    return re.findall(rf"^{instruction} (.*)$", DOCKERFILE, re.MULTILINE)[-1]  # type: ignore[no-any-return]


def test_the_image_is_built_on_one_version_and_runs_as_its_own_user() -> None:
    assert re.search(r"^ARG BASE=python:\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert last("USER") == "nas"
    assert last("HEALTHCHECK").endswith(f"CMD {json.dumps(SERVICES['api']['healthcheck']['test'][1:])}")
    assert DOCKERFILE.index("pip install") < DOCKERFILE.index("COPY nas nas"), "or every edit fetches torch"
    assert DOCKERFILE.index("chown nas /state") < DOCKERFILE.index("VOLUME /state"), "or the volume is root's"
