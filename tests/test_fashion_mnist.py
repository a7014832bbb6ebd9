"""The ways to Fashion-MNIST."""

import functools
import gzip
import http.server
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nas import datasets
from nas.datasets import DatasetError, fashion_mnist
from tests.dataset_files import way_to


class Website(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; /cut/… breaks off half way, /bad/… gives other bytes, /huge/… promises too many."""

    def do_GET(self) -> None:
        kind, _, name = self.path.lstrip("/").partition("/")
        path = Path(self.directory) / name
        if kind not in ("good", "cut", "bad", "huge") or not path.is_file():
            self.send_error(404, "no such file")
            return
        data = path.read_bytes()
        data = gzip.compress(b"other clothes") if kind == "bad" else data
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) << 40 if kind == "huge" else len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if kind == "cut" else data)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def website(clothes: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Website, directory=str(clothes)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TestFashionMnist:
    def test_takes_no_argument(self, cache: Path) -> None:
        with pytest.raises(DatasetError, match="'small' is one: leave it out"):
            datasets.describe("fashion_mnist:small", cache)

    def test_the_first_way_that_leads_there_is_taken(
        self, clothes: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone: list[str] = []

        def way(name: str, source: Path, work: Path) -> Path:
            gone.append(name)
            return source

        ways = {
            name: functools.partial(way, name, path)
            for name, path in (("no", cache), ("yes", clothes), ("on", clothes))
        }
        monkeypatch.setattr(fashion_mnist, "WAYS", ways)
        found = datasets.load("fashion_mnist", 99, cache)
        assert gone == ["no", "yes"]
        assert found.train_images.shape == (30, 1, 28, 28)
        with gzip.open(clothes / "train-images-idx3-ubyte.gz") as file:
            assert found.train_images.tobytes() == file.read()[16:]

    @pytest.mark.parametrize("compressed", [True, False])
    def test_a_folder_of_the_users(
        self, clothes: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool
    ) -> None:
        if not compressed:
            for path in list(clothes.iterdir()):
                path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
                path.unlink()
        monkeypatch.setenv("NAS_FASHION_MNIST", str(clothes))
        monkeypatch.setattr(fashion_mnist, "WAYS", {"the variable": fashion_mnist._named})
        assert datasets.load("fashion_mnist", 28, cache).info.train_images == 30

    def test_the_installed_package(self, clothes: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fashion_mnist, "INSTALLED", clothes)
        monkeypatch.setattr(fashion_mnist, "WAYS", {"installed": fashion_mnist._installed})
        assert datasets.load("fashion_mnist", 28, cache).info.train_images == 30

    def test_the_real_ways_in_order(self) -> None:
        names = list(fashion_mnist.WAYS)
        assert names[:2] == ["the folder in NAS_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"]
        assert "Debian" in names[2]
        assert all(name.startswith("http") for name in names[3:])

    def test_a_website(self, website: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        ways = {kind: functools.partial(fashion_mnist._download, f"{website}/{kind}") for kind in ("bad", "good")}
        monkeypatch.setattr(fashion_mnist, "WAYS", ways)
        assert datasets.load("fashion_mnist", 28, cache).info.train_images == 30

    def test_every_failure_is_told(self, website: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))  # and does not listen
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            ways: dict[str, Callable[[Path], Path]] = {
                kind: functools.partial(fashion_mnist._download, f"{website}/{kind}")
                for kind in ("cut", "bad", "huge", "none")
            }
            ways["refused"] = functools.partial(fashion_mnist._download, address)
            ways |= {"variable": fashion_mnist._named, "apt": fashion_mnist._debian}
            monkeypatch.setattr(fashion_mnist, "WAYS", ways)
            monkeypatch.delenv("NAS_FASHION_MNIST", raising=False)
            monkeypatch.setenv("PATH", "")
            with pytest.raises(DatasetError) as failure:
                datasets.load("fashion_mnist", 28, cache)
        lines = {line.split(":")[0].strip(): line for line in str(failure.value).splitlines()}
        assert "ended after" in lines["cut"]
        assert "is not the published file: its SHA-256 is" in lines["bad"]
        assert "which cannot be the published file" in lines["huge"]
        assert "404" in lines["none"]
        assert "refused" in lines["refused"]
        assert "it is not set" in lines["variable"]
        assert "apt-get is not on this machine" in lines["apt"]
        assert "set NAS_FASHION_MNIST to it" in lines["By hand"]
        assert [path.name for path in cache.iterdir()] == ["fashion_mnist.lock"]

    def test_a_program_that_fails_is_quoted(self, tmp_path: Path) -> None:
        with pytest.raises(fashion_mnist.NotThere, match=r"^ls nothing: .*No such file"):
            fashion_mnist._run(["ls", "-l", "nothing"], tmp_path)

    def test_a_full_disk_is_not_blamed_on_the_way(
        self, clothes: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(work: Path) -> Path:
            with open("/dev/full", "w") as file:
                file.write("x")
            return work

        monkeypatch.setattr(fashion_mnist, "WAYS", {"full": full, "good": way_to(clothes)})
        with pytest.raises(DatasetError, match="is full: free some of it"):
            datasets.load("fashion_mnist", 28, cache)

    def test_the_real_one_from_debian(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            pytest.skip("this machine has no apt-get and dpkg-deb")
        name = "Debian's package file dataset-fashion-mnist"
        monkeypatch.setattr(fashion_mnist, "WAYS", {name: fashion_mnist.WAYS[name]})
        try:
            found = datasets.load("fashion_mnist", 28, cache)
        except DatasetError as error:
            if "Failed to fetch" in str(error) or "Could not resolve" in str(error):
                pytest.skip(f"no Debian mirror can be reached: {error}")
            raise
        assert found.train_images.shape == (60_000, 1, 28, 28)
        assert np.bincount(found.train_labels).tolist() == [6_000] * 10
        assert np.bincount(found.test_labels).tolist() == [1_000] * 10
        assert found.train_images.mean() == pytest.approx(72.94, abs=0.01)  # the published one, 0.2860 of 255
        assert found.info == datasets.describe("fashion_mnist", cache)
