"""Images that are sent to the service: every way in which that breaks off, is tampered with or too much."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nas import datasets, home, uploads
from nas.client import Client, ServiceError
from nas.datasets import DatasetError
from nas.specs import SearchSpec
from nas.uploads import UploadRequest, check, packing, receiving
from nas.uploads.receiving import Busy, Part
from tests.command_line import nas
from tests.dataset_files import fill, pack
from tests.service import OWNER, Service
from tests.waiting import PATIENCE_SECONDS, eventually

BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(autouse=True)
def no_uploads(service: Service) -> None:
    """Each test begins without any."""
    shutil.rmtree(home.folder("images"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("archive")
    return pack(place / "images.tar", fill(place / "images")).read_bytes()


def begin(service: Service, data: bytes, name: str = "flowers", *, checked: bool = True) -> Any:
    digest = hashlib.sha256(data).hexdigest() if checked else None
    return service.post("/v1/images", {"name": name, "bytes": len(data), "sha256": digest})


def send(service: Service, data: bytes, offset: int = 0, status: int = 200, name: str = "flowers") -> Any:
    headers = BYTES | {"Upload-Offset": str(offset)}
    return service.ask("PATCH", f"/v1/images/{name}", status, content=data, headers=headers)


def remove(service: Service, name: str) -> int:
    return httpx.delete(f"{service.url}/v1/images/{name}", timeout=PATIENCE_SECONDS).status_code


def names(service: Service) -> list[str]:
    return [row["name"] for row in service.get("/v1/datasets")["datasets"] if row["name"].startswith("images:")]


class TestInParts:
    def test_it_is_a_dataset_once_it_is_whole(self, service: Service, archive: bytes) -> None:
        response = service.http.post("/v1/images", json={"name": "flowers", "bytes": len(archive)})
        assert (response.status_code, response.headers["location"]) == (201, "/v1/images/flowers")
        assert send(service, archive[:1000])["received"] == 1000
        assert send(service, archive[1000:1000], 1000)["received"] == 1000
        head = service.http.head("/v1/images/flowers")
        assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("1000", str(len(archive)))
        assert "images:flowers" not in names(service)
        assert "1,000 of" in service.get("/v1/datasets/images:flowers")["problem"]
        assert service.post("/v1/searches", {"dataset": "images:flowers"}, 422)["errors"][0]["pointer"] == "/dataset"
        done = send(service, archive[1000:], 1000)
        assert (done["ready"], done["sha256"]) == (True, hashlib.sha256(archive).hexdigest())
        assert "images:flowers" in names(service)
        assert service.get("/v1/datasets/images:flowers")["info"]["train_images"] == 18
        assert service.get("/v1/images")["images"] == [done]
        service.post("/v1/searches", {"dataset": "images:flowers"})

    @pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
    def test_it_may_be_compressed(self, service: Service, archive: bytes, compress: Callable[[bytes], bytes]) -> None:
        packed = compress(archive)  # once: gzip writes down the second in which it does
        begin(service, packed)
        assert send(service, packed)["ready"]

    def test_another_place_than_where_it_broke_off_is_refused(self, service: Service, archive: bytes) -> None:
        begin(service, archive)
        send(service, archive[:1000])
        for offset in (0, 999, 1001, len(archive)):
            assert "1,000 bytes have come" in send(service, archive[offset:], offset, 409)["detail"]
        assert service.get("/v1/images/flowers")["received"] == 1000

    def test_two_that_send_at_once_do_not_mix(self, service: Service, archive: bytes) -> None:
        begin(service, archive)
        reached, go_on = threading.Event(), threading.Event()

        def slowly() -> Iterator[bytes]:
            yield archive[:70_000] if len(archive) > 70_000 else archive[:7000]
            reached.set()
            assert go_on.wait(PATIENCE_SECONDS)
            yield archive[7000:]

        headers = BYTES | {"Upload-Offset": "0"}
        with httpx.Client(base_url=service.url, timeout=PATIENCE_SECONDS) as other:
            answers: list[httpx.Response] = []
            thread = threading.Thread(
                target=lambda: answers.append(other.patch("/v1/images/flowers", content=slowly(), headers=headers))
            )
            thread.start()
            assert reached.wait(PATIENCE_SECONDS)
            eventually(lambda: remove(service, "flowers") == 409)
            assert "somebody else" in send(service, archive, 0, 409)["detail"]
            go_on.set()
            thread.join()
        assert answers[0].json()["ready"], answers[0].text

    def test_one_that_breaks_off_is_gone_on_with(
        self, service: Service, archive: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin(service, archive)
        write, written = Part.write, threading.Event()

        def noted(part: Part, data: bytes) -> None:
            write(part, data)
            written.set()

        def broken() -> Iterator[bytes]:
            yield archive[:5000]
            assert written.wait(PATIENCE_SECONDS)
            raise ConnectionAbortedError

        monkeypatch.setattr(Part, "write", noted)
        with pytest.raises(ConnectionAbortedError):
            httpx.patch(
                f"{service.url}/v1/images/flowers", content=broken(), headers=BYTES | {"Upload-Offset": "0"}, timeout=60
            )
        eventually(lambda: service.get("/v1/images/flowers")["received"] == 5000)
        eventually(lambda: send_or_wait(service, archive[5000:], 5000))
        assert service.get("/v1/images/flowers")["ready"]

    def test_bytes_that_were_not_announced_are_refused(self, service: Service, archive: bytes) -> None:
        begin(service, archive[:1000])
        (fault,) = send(service, archive, 0, 422)["errors"]
        assert fault["pointer"] == "/bytes"
        assert service.get("/v1/images/flowers")["received"] <= 1000

    def test_a_body_of_another_kind_or_without_a_place_is_refused(self, service: Service, archive: bytes) -> None:
        begin(service, archive)
        headers = {"Content-Type": "application/json", "Upload-Offset": "0"}
        service.ask("PATCH", "/v1/images/flowers", 415, content=b"{}", headers=headers)
        service.ask("PATCH", "/v1/images/flowers", 422, content=archive, headers=BYTES)
        send(service, archive, -1, 422)
        send(service, archive, 0, 404, name="tulips")

    def test_what_is_whole_takes_no_more(self, service: Service, archive: bytes) -> None:
        begin(service, archive)
        send(service, archive)
        assert "are whole" in send(service, b"", len(archive), 409)["detail"]

    def test_a_name_is_taken_once(self, service: Service, archive: bytes) -> None:
        begin(service, archive)
        assert "already" in service.post("/v1/images", {"name": "flowers", "bytes": 7}, 409)["detail"]

    def test_a_body_is_never_held_in_memory(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        """No more of it is read than is written."""
        sizes, write = list[int](), Part.write

        def noted(part: Part, data: bytes) -> None:
            sizes.append(len(data))
            write(part, data)

        monkeypatch.setattr(Part, "write", noted)
        data = bytes(20_000_000)
        begin(service, data + b"1")
        assert send(service, data)["received"] == len(data)
        assert sum(sizes) == len(data)
        assert max(sizes) < 1_000_000


def send_or_wait(service: Service, data: bytes, offset: int) -> bool:
    """The one before may not have been noticed to be gone yet."""
    headers = BYTES | {"Upload-Offset": str(offset)}
    return service.http.patch("/v1/images/flowers", content=data, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "", "bytes": 1}, "/name"),
        ({"name": "../flowers", "bytes": 1}, "/name"),
        ({"name": ".flowers", "bytes": 1}, "/name"),
        ({"name": "a/b", "bytes": 1}, "/name"),
        ({"name": "a\0b", "bytes": 1}, "/name"),
        ({"name": "a\n", "bytes": 1}, "/name"),
        ({"name": "a" * 6000, "bytes": 1}, "/name"),
        ({"name": "a", "bytes": 0}, "/bytes"),
        ({"name": "a", "bytes": -1}, "/bytes"),
        ({"name": "a", "bytes": "1"}, "/bytes"),
        ({"name": "a", "bytes": 10_000_000_001}, "/bytes"),
        ({"name": "a", "bytes": 2**70}, "/bytes"),
        ({"name": "a", "bytes": 1, "sha256": "A" * 64}, "/sha256"),
        ({"name": "a", "bytes": 1, "sha256": "a" * 63}, "/sha256"),
        ({"name": "a", "bytes": 1, "path": "/etc"}, "/path"),
    ],
)
def test_what_cannot_be_begun(service: Service, body: dict[str, Any], pointer: str) -> None:
    assert pointer in [fault["pointer"] for fault in service.post("/v1/images", body, 422)["errors"]]
    assert service.get("/v1/images")["images"] == []


@pytest.mark.parametrize("name", ["..", "no", "a" * 6000, "a%00b", "..%2Fhome", "%2e%2e", ".lock"])
def test_no_name_leads_elsewhere(service: Service, archive: bytes, name: str) -> None:
    begin(service, archive)
    for method in ("GET", "DELETE", "PATCH"):
        headers = BYTES | {"Upload-Offset": "0"}
        response = service.http.request(method, f"{service.url}/v1/images/{name}", headers=headers)
        assert response.status_code in (404, 405), response.text
    for dataset in ("images:..", "images:../flowers", "images:a\0b", "images:" + "a" * 6000, "images:"):
        assert service.post("/v1/searches", {"dataset": dataset}, 422)["errors"][0]["pointer"] == "/dataset"
    assert [row["name"] for row in service.get("/v1/images")["images"]] == ["flowers"]


class TestRoom:
    def test_all_uploads_have_so_many_bytes_and_one_has(
        self, service: Service, archive: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NAS_LARGEST_UPLOAD", "600")
        monkeypatch.setenv("NAS_MOST_UPLOADED", "1000")

        def refused(size: int) -> str:
            (fault,) = service.post("/v1/images", {"name": "b", "bytes": size}, 422)["errors"]
            assert fault["pointer"] == "/bytes"
            return str(fault["detail"])

        assert "NAS_LARGEST_UPLOAD" in refused(601)
        service.post("/v1/images", {"name": "a", "bytes": 600})
        assert "400 are left of 1,000" in refused(401)
        service.post("/v1/images", {"name": "b", "bytes": 400})
        assert remove(service, "a") == 204
        service.post("/v1/images", {"name": "c", "bytes": 600})

    def test_the_disk_keeps_room_for_the_rest(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = type("Usage", (), {"free": receiving.SPARE_BYTES + 1000})
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        service.post("/v1/images", {"name": "a", "bytes": 700})
        (fault,) = service.post("/v1/images", {"name": "b", "bytes": 301}, 422)["errors"]
        assert (fault["pointer"], "room for 300" in fault["detail"]) == ("/bytes", True)
        service.post("/v1/images", {"name": "b", "bytes": 300})

    def test_there_are_only_so_many(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(receiving, "MOST_UPLOADS", 1)
        service.post("/v1/images", {"name": "a", "bytes": 1})
        (fault,) = service.post("/v1/images", {"name": "b", "bytes": 1}, 422)["errors"]
        assert fault["pointer"] == "/name"

    def test_a_full_disk_is_said_and_what_came_is_kept(
        self, service: Service, archive: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(part: Part, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        begin(service, archive)
        with monkeypatch.context() as patched:
            patched.setattr(Part, "write", full)
            assert "No space left" in send(service, archive, 0, 507)["detail"]
        assert send(service, archive)["ready"]

    @pytest.mark.parametrize("value", ["20 GB", "0", "-1", "1e9"])
    def test_a_limit_that_is_none_is_refused(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NAS_MOST_UPLOADED", value)
        ran = nas("serve", "--port", "0", "--no-coordinator")
        assert (ran.code, value in ran.error) == (1, True)


def tar(*members: tuple[tarfile.TarInfo, bytes], images: bytes = b"") -> bytes:
    """An archive of images with these members behind them."""
    data = io.BytesIO(images)
    with tarfile.open(fileobj=data, mode="a" if images else "w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def memory_bomb(archive: bytes) -> bytes:
    """A few megabytes that unpack to the name of one member, of 3 GB."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 3 << 30
    header = member.tobuf(tarfile.GNU_FORMAT)
    data = io.BytesIO()
    with gzip.GzipFile(fileobj=data, mode="wb", compresslevel=1) as file:
        file.write(header)
    zeros = gzip.compress(bytes(64 << 20), 6)
    return data.getvalue() + zeros * 48 + gzip.compress(archive)


class TestNoDataset:
    """Whatever is no archive of images is thrown away, and said."""

    def refused(self, service: Service, data: bytes, *words: str) -> str:
        before = threading.active_count()
        begin(service, data, checked=False)
        problem = send(service, data, 0, 422)
        for word in words:
            assert word in problem["detail"]
        assert service.get("/v1/images")["images"] == []
        assert names(service) == []
        assert [path for path in home.folder("images").iterdir() if path.is_dir()] == []
        assert str(home.home()) not in problem["detail"]
        assert threading.active_count() <= before + 2
        return str(problem["detail"])

    def test_links(self, service: Service, archive: bytes) -> None:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            self.refused(service, tar(link("cat/out.png", "/etc/passwd", kind), images=archive), "is a link")

    def test_members_outside(self, service: Service, archive: bytes) -> None:
        for name in ("../out.png", "/etc/out.png", "cat/../../out.png"):
            self.refused(service, tar((tarfile.TarInfo(name), b"x"), images=archive), "outside of itself")

    @pytest.mark.parametrize(
        "data", [b"x", b"x" * 20_000, gzip.compress(b"x" * 20_000, mtime=0), b"PK\3\4" + bytes(100)]
    )
    def test_no_archive(self, service: Service, data: bytes) -> None:
        self.refused(service, data)

    @pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
    def test_half_an_archive(self, service: Service, archive: bytes, compress: Callable[[bytes], bytes]) -> None:
        data = compress(archive)
        self.refused(service, data[: len(data) // 2])

    def test_no_images_and_one_class(self, service: Service, tmp_path: Path) -> None:
        (tmp_path / "none").mkdir()
        self.refused(service, pack(tmp_path / "none.tar", tmp_path / "none").read_bytes(), "no images")
        one = pack(tmp_path / "one.tar", fill(tmp_path / "one", classes=("cat",)))
        self.refused(service, one.read_bytes(), "one class")

    def test_a_member_that_takes_all_memory(self, service: Service, archive: bytes) -> None:
        data = memory_bomb(archive)
        assert len(data) < 5_000_000
        self.refused(service, data, "memory")

    def test_one_that_unpacks_for_ever(self, service: Service, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(check, "LEAST_SECONDS", 2)
        monkeypatch.setattr(check, "SLOWEST_BYTES_PER_SECOND", 1 << 40)
        member = tarfile.TarInfo("notes.txt")
        member.size = 1 << 35
        data = gzip.compress(member.tobuf()) + gzip.compress(bytes(64 << 20), 6) * 512 + gzip.compress(archive)
        self.refused(service, data, "takes over", "unpacks to far more")

    def test_too_many_images(self, archive: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "images.tar").write_bytes(archive)
        limits = "resource.setrlimit"
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(limits, lambda *_: None)
            patched.setattr(check, "MOST_IMAGES", 19)
            patched.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO()))
            assert check.main(str(tmp_path / "images.tar"), 60, tmp_path) == 1
            patched.setattr(check, "MOST_IMAGES", 20)
            assert check.main(str(tmp_path / "images.tar"), 60, tmp_path) == 0

    def test_a_wrong_digest(self, service: Service, archive: bytes) -> None:
        service.post("/v1/images", {"name": "flowers", "bytes": len(archive), "sha256": "0" * 64})
        (fault,) = send(service, archive, 0, 422)["errors"]
        assert (fault["pointer"], "0" * 64 in fault["detail"]) == ("/sha256", True)
        assert service.get("/v1/images")["images"] == []


class TestRemoval:
    def test_images_that_a_run_works_on_are_kept(self, service: Service, archive: bytes) -> None:
        begin(service, archive, "tulips")
        send(service, archive, name="tulips")
        spec = SearchSpec(dataset="images:tulips", searcher="random", trials=1)
        ended = service.claimed(service.store.add_run("search", spec))
        service.store.claims.release(ended.id, OWNER, "finished")
        run = service.store.add_run("search", spec)
        assert run.id in service.ask("DELETE", "/v1/images/tulips", 409)["detail"]
        service.store.wish(run.id, "cancel")
        assert remove(service, "tulips") == 204
        assert service.get("/v1/images/tulips", 404)["status"] == 404
        with pytest.raises(DatasetError, match="there are none"):
            datasets.describe("images:tulips", home.folder("datasets"))
        begin(service, archive, "tulips")

    def test_what_nobody_goes_on_with_is_cleared_after_a_day(self, service: Service, archive: bytes) -> None:
        for name in ("old", "new", "whole"):
            begin(service, archive, name)
            send(service, archive[: None if name == "whole" else 10], name=name)
        day_ago = time.time() - receiving.FORGOTTEN_SECONDS - 60
        for name in ("old", "whole"):
            os.utime(uploads.place(name) / "archive", (day_ago, day_ago))
        (home.folder("images") / ".half").mkdir()
        receiving.clear()
        assert [one.name for one in uploads.every()] == ["new", "whole"]
        assert sorted(path.name for path in home.folder("images").iterdir()) == [".lock", "new", "whole"]

    def test_one_that_begins_as_another_ends_is_not_written_to(self, service: Service, archive: bytes) -> None:
        begin(service, archive)
        with Part("flowers", 0) as part:
            with pytest.raises(Busy):
                receiving.remove("flowers")
            part.write(archive)
        receiving.remove("flowers")
        with pytest.raises(DatasetError):
            Part("flowers", 0)


class TestFolders:
    def test_an_archive_of_a_folder_is_always_the_same(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "flowers")
        (folder / ".DS_Store").write_text("x")
        (folder / "cat" / "link.png").symlink_to(folder / "dog" / "000.png")
        digests = set()
        for _ in range(2):
            with packing.packed(folder) as made:
                digests.add(hashlib.sha256(made.read_bytes()).hexdigest())
                with tarfile.open(made) as opened:
                    assert all(member.isreg() or member.isdir() for member in opened)
                    assert "./.DS_Store" not in opened.getnames()
        assert len(digests) == 1
        assert not made.exists()

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("a/flowers", "flowers"),
            ("flowers.tar.gz", "flowers"),
            ("My photos.TGZ", "My-photos"),
            ("süße Tiere.zip", "susse-Tiere"),
            ("Ko\u0308ln – 2", "Koln-2"),
            ("写真", "images"),
        ],
    )
    def test_names(self, path: str, name: str) -> None:
        assert packing.name_of(Path(path)) == name
        UploadRequest(name=packing.name_of(Path(path)), bytes=1)


class TestClient:
    def test_a_folder_is_sent_in_pieces_and_gone_on_with(
        self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("nas.client.uploads.PIECE_BYTES", 10_000)
        folder, seen = fill(tmp_path / "flowers"), list[int]()

        def broken(received: int, size: int) -> None:
            seen.append(received)
            if len(seen) == 2:
                raise ConnectionError

        with Client() as client:
            with pytest.raises(ConnectionError):
                client.upload(folder, report=broken)
            assert client.images()[0]["received"] == 20_000
            done = client.upload(folder, report=lambda received, _: seen.append(received))
            assert seen[:3] == [10_000, 20_000, 30_000]
            assert (done["name"], done["ready"], seen[-1]) == ("flowers", True, done["bytes"])
            assert client.upload(folder) == done
            fill(folder, images=11)
            with pytest.raises(ServiceError, match="already"):
                client.upload(folder)
            assert client.upload(folder, "others")["ready"]
            client.delete_images("others")
            assert [row["name"] for row in client.images()] == ["flowers"]

    def test_the_command_line(self, service: Service, tmp_path: Path) -> None:
        assert "nas images upload" in nas("images", "list").out
        folder = fill(tmp_path / "flowers")
        ran = nas("images", "upload", str(folder), "--name", "mine")
        assert "nas search --dataset images:mine" in ran.out, ran.error
        assert "images:mine" in nas("images", "list").out
        assert nas("images", "list", "--json").json["images"][0]["ready"]
        assert "20 " not in nas("datasets").error
        assert "images:mine" in nas("datasets").out
        assert "deleted" in nas("images", "delete", "mine").out
        assert nas("images", "delete", "mine").code == 1
        for arguments in (("upload",), ("delete",), ("upload", str(tmp_path / "no such"))):
            assert nas("images", *arguments).code == 1
