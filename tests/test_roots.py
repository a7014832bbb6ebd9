"""Images are read below the roots alone: what requests name, what links lead to, and what changes meanwhile."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from api.app import create_app
from nas import datasets
from nas.datasets import DatasetError
from nas.measurements import Measurement
from nas.plans import plan_for
from nas.refusal import Refusal, shortened
from nas.roots import LONGEST, Outside, Roots
from nas.specs import SearchSpec
from nas.store import Store
from tests.dataset_files import fill, pack
from tests.service import GREY, OPEN, OWNER, Service, service_over

REFUSAL = "outside of the folders that this service reads images from"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with flowers, beside it a folder with secrets."""
    place = tmp_path_factory.mktemp("place")
    fill(place / "root" / "flowers")
    pack(place / "root" / "flowers.tar", place / "root" / "flowers")
    fill(place / "secrets")
    pack(place / "secrets.tar", place / "secrets")
    (place / "rooted").mkdir()
    (place / "root" / "out").symlink_to(place / "secrets")
    (place / "root" / "out.tar").symlink_to(place / "secrets.tar")
    (place / "root" / "nowhere").symlink_to(place / "no such")
    (place / "root" / "again").symlink_to(place / "root" / "flowers")
    return place


@pytest.fixture(scope="module")
def roots(place: Path) -> Roots:
    return Roots.named([str(place / "root")])


@pytest.fixture(scope="module")
def rooted(place: Path, roots: Roots, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_HOME", str(home))
        with service_over(f"sqlite:///{home}/nas.db", roots=roots) as running:
            yield running


# Each with what is beside the root in `place`; the second of a pair is not there.
OUTSIDE = [
    "{place}/secrets",
    "{place}/no such",
    "{place}/secrets.tar",
    "{place}/root/../secrets",
    "{place}/root/../no such",
    "{place}/root/flowers/../../secrets",
    "{place}/root/out",
    "{place}/root/nowhere",
    "{place}/root/out/cat",
    "{place}/root/out/no such",
    "{place}/root/out.tar",
    "{place}/rooted",
    "{place}",
    "/",
    "/root",
    "/etc/passwd",
    "~root",
    "~nosuchuser",
    "relative",
    "../" * 40 + "etc",
    "/tmp/a\0b",
    "/" + "a" * 6000,
]
INSIDE = ["{place}/root/flowers", "{place}/root/flowers.tar", "{place}/root/again"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_every_route_refuses_a_path_outside_alike(rooted: Service, place: Path, path: str) -> None:
    path = path.format(place=place)
    dataset, count = f"folder:{path}", len(rooted.store.runs())
    bodies: dict[str, dict[str, Any]] = {
        "/v1/searches": {"dataset": dataset},
        "/v1/forecasts": {"dataset": dataset},
        "/v1/proxies": {"dataset": dataset},
        "/v1/benchmarks": {"dataset": dataset, "networks": 1},
    }
    for address, body in bodies.items():
        problem = rooted.post(address, body, 422)
        (fault,) = problem["errors"]
        assert fault["pointer"] == "/dataset"
        assert _without(fault["detail"], path) == _without(str(Outside(path)), path)
        assert "nas serve --images" in fault["detail"]
        assert "nas images upload" in fault["detail"]
    assert len(rooted.store.runs()) == count
    for route in ("datasets", "looks", "strips/0"):
        problem = rooted.get(f"/v1/{route}/folder:{quote(path).replace('.', '%2E')}", 404)
        assert _without(problem["detail"], path) == _without(str(Outside(path)), path)


def _without(text: str, path: str) -> str:
    """What is said, but for the path that was asked for, which may be shortened."""
    return text.replace(repr(shortened(path, LONGEST)), "…")


@pytest.mark.parametrize("path", INSIDE)
def test_what_is_in_a_root_is_taken(rooted: Service, place: Path, path: str) -> None:
    path = path.format(place=place)
    shown = rooted.get(f"/v1/datasets/folder:{path}")
    assert shown["info"]["classes"] == ["cat", "dog"]
    assert shown["info"]["name"] == f"folder:{path}"
    assert rooted.get(f"/v1/looks/folder:{path}")["look"]["info"] == shown["info"]
    strip = rooted.http.get(f"/v1/strips/0/folder:{path}")
    assert (strip.status_code, strip.headers["content-type"]) == (200, "image/jpeg")
    rooted.post("/v1/searches", {"dataset": f"folder:{path}"})


def test_what_is_not_in_a_root_that_may_be_read_is_said(rooted: Service, place: Path) -> None:
    assert "does not exist" in rooted.get(f"/v1/datasets/folder:{place}/root/no such")["problem"]


@pytest.mark.parametrize("path", ["/tmp", "/", "/no such"])
def test_without_roots_nothing_is_read(tmp_path: Path, path: str) -> None:
    with service_over(f"sqlite:///{tmp_path}/nas.db") as service:
        assert REFUSAL in service.get(f"/v1/datasets/folder:{path}", 404)["detail"]


def test_a_growth_of_images_that_may_not_be_read_any_more_is_refused(rooted: Service, place: Path) -> None:
    spec = SearchSpec(dataset=f"folder:{place}/secrets", searcher="random", trials=1)
    run = rooted.claimed(rooted.store.add_run("search", spec))
    job = plan_for(run, GREY).ask(0)
    assert job is not None
    rooted.store.claims.begin(OWNER, job)
    rooted.end(job, Measurement(params=1, mult_adds=1, accuracy=0.5))
    (fault,) = rooted.post("/v1/growths", {"search": run.id}, 422)["errors"]
    assert fault["pointer"] == "/search"
    assert REFUSAL in fault["detail"]


class TestTrees:
    """Links in a folder that may be read."""

    @pytest.mark.parametrize("target", ["secrets/cat", "secrets/cat/000.png", "no such", "no such/000.png"])
    def test_one_that_leads_out_refuses_the_whole_whether_there_is_something_or_not(
        self, place: Path, roots: Roots, tmp_path: Path, target: str
    ) -> None:
        folder = fill(place / "root" / tmp_path.name)
        name = "dog/link.png" if target.endswith("png") else "link"
        (folder / name).symlink_to(place / target)
        with pytest.raises(Outside) as error:
            datasets.describe(f"folder:{folder}", tmp_path, roots)
        assert str(error.value) == str(Outside(str(folder), name))
        assert str(error.value).startswith(f"'{name}' in ")
        if "no such" not in target:
            datasets.describe(f"folder:{folder}", tmp_path)  # of one's own that is nobody's business

    def test_one_that_stays_is_followed(self, place: Path, roots: Roots, tmp_path: Path) -> None:
        folder = fill(place / "root" / tmp_path.name)
        (folder / "more").symlink_to(place / "root" / "flowers" / "cat")
        (folder / "dog" / "link.png").symlink_to(place / "root" / "flowers" / "dog" / "000.png")
        info = datasets.describe(f"folder:{folder}", tmp_path, roots)
        assert info.classes == ("cat", "dog", "more")
        assert datasets.load(f"folder:{folder}", 8, tmp_path, roots).info.train_images == info.train_images

    def test_one_that_is_changed_after_it_was_looked_at_gives_no_image(
        self, place: Path, roots: Roots, tmp_path: Path
    ) -> None:
        folder = fill(place / "root" / tmp_path.name)
        (folder / "dog" / "link.png").symlink_to(place / "root" / "flowers" / "dog" / "000.png")

        class Changing(Roots):
            """Lets the link lead out as soon as it has been looked at."""

            def check(self, folder: str, link: str) -> None:
                super().check(folder, link)
                os.unlink(f"{folder}/{link}")
                os.symlink(place / "secrets" / "dog" / "000.png", f"{folder}/{link}")

        with pytest.raises(Outside, match=r"link\.png"):
            datasets.load(f"folder:{folder}", 8, tmp_path, Changing(roots.folders))

    def test_an_archive_that_is_changed_after_it_was_looked_at_is_not_read(
        self, place: Path, roots: Roots, tmp_path: Path
    ) -> None:
        archive = pack(place / "root" / f"{tmp_path.name}.tar", place / "root" / "flowers")

        class Changing(Roots):
            def resolved(self, text: str) -> str:
                path = super().resolved(text)
                os.unlink(path)
                os.symlink(place / "secrets.tar", path)
                return path

        with pytest.raises(Outside):
            datasets.describe(f"folder:{archive}", tmp_path, Changing(roots.folders))


class TestNames:
    def test_a_root_may_be_called_by_a_link(self, place: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(place / "root")
        roots = Roots.named([str(tmp_path / "link")])
        for path in (tmp_path / "link" / "flowers", place / "root" / "flowers"):
            assert datasets.describe(f"folder:{path}", tmp_path, roots).classes == ("cat", "dog")
        with pytest.raises(Outside):
            datasets.describe(f"folder:{tmp_path}", tmp_path, roots)

    def test_the_whole_disk_may_be_a_root(self, place: Path, tmp_path: Path) -> None:
        assert datasets.describe(f"folder:{place}/secrets", tmp_path, Roots.named(["/"])).classes == ("cat", "dog")

    def test_a_root_that_is_no_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(Refusal, match="no such"):
            Roots.named([str(tmp_path), str(tmp_path / "no such")])

    def test_a_nul_below_a_root_is_said(self, place: Path, roots: Roots, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="null"):
            datasets.describe(f"folder:{place}/root/a\0b", tmp_path, roots)


def test_the_service_has_no_roots_unless_it_is_given_some(store: Store) -> None:
    assert create_app(store, OPEN).state.roots == Roots()
