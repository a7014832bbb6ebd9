"""What every dataset promises, the ways to Fashion-MNIST, and folders of images of all sorts."""

import functools
import gzip
import hashlib
import http.server
import io
import json
import logging
import lzma
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from nas import datasets, plugins
from nas.datasets import DatasetError, DatasetInfo, _arrays, _listing, fashion_mnist, folder

Colour = tuple[int, int, int]
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def draw(path: Path, colour: Colour | int = RED, size: tuple[int, int] = (20, 20), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new(mode, size, colour).save(path)
    return path


def fill(root: Path, *, classes: tuple[str, ...] = ("cat", "dog"), images: int = 10, suffix: str = "png") -> Path:
    """`images` squares of 20 pixels in each class, each of a shade of its own."""
    for number, name in enumerate(classes):
        for index in range(images):
            draw(root / name / f"{index:03}.{suffix}", (100 * number, index, 0))
    return root


def pack(path: Path, root: Path, within: str = ".") -> Path:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(root, within)
    ways: dict[str, Callable[[bytes], bytes]] = {".tar": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
    path.write_bytes(ways[path.suffix](data.getvalue()))
    return path


def load(root: Path, cache: Path, resolution: int = 8) -> datasets.ImageSet:
    return datasets.load(f"folder:{root}", resolution, cache)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


# -- Fashion-MNIST in miniature: the same four files with 30 and 10 images --------------------------------------------


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def clothes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files, which are what is expected now; no way leads anywhere yet."""
    draw = np.random.default_rng(0)
    source = tmp_path / "clothes"
    source.mkdir()
    files = {}
    for name, (file, offset, shape, _) in fashion_mnist.FILES.items():
        shape = (30 if "train" in name else 10, *shape[1:])
        values = draw.integers(0, 10, shape, np.uint8)
        data = idx(values.reshape(shape[0], 28, 28) if len(shape) == 4 else values)
        (source / f"{file}.gz").write_bytes(gzip.compress(data))
        files[name] = (file, offset, shape, hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(fashion_mnist, "FILES", files)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fashion_mnist, "WAYS", {"nowhere": way_to(tmp_path / "nothing")})
    return source


def way_to(source: Path) -> Callable[[Path], Path]:
    return lambda _: source


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


# -- every dataset ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plugin", plugins.names("nas.datasets"))
class TestEveryDataset:
    @pytest.fixture
    def name(self, plugin: str, images: Path, clothes: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setattr(fashion_mnist, "WAYS", {"the folder": way_to(clothes)})
        fill(images / "train")
        fill(images / "test", images=3)
        return {"fashion_mnist": "fashion_mnist", "folder": f"folder:{images}"}[plugin]

    def test_images_are_as_described(self, name: str, cache: Path) -> None:
        info = datasets.describe(name, cache)
        found = datasets.load(name, info.resolution, cache)
        assert (info.name, found.info.name) == (name, name)
        assert found.info.classes == info.classes
        for images, labels, number in (
            (found.train_images, found.train_labels, found.info.train_images),
            (found.test_images, found.test_labels, found.info.test_images),
        ):
            assert images.shape == (number, info.channels, info.resolution, info.resolution)
            assert (images.dtype, labels.dtype, labels.shape) == (np.dtype("uint8"), np.dtype("int64"), (number,))
            assert set(labels.tolist()) <= set(range(len(info.classes)))
        assert set(found.train_labels.tolist()) == set(range(len(info.classes)))

    def test_a_second_load_maps_the_same_files(self, name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = datasets.load(name, 28, cache)

        def again(*arguments: object) -> None:
            raise AssertionError("decoded twice")

        monkeypatch.setattr(_arrays, "_fill", again)
        second = datasets.load(name, 28, cache)
        assert isinstance(second.train_images, np.memmap)
        assert not second.train_images.flags.writeable
        assert np.array_equal(first.train_images, second.train_images)
        assert np.array_equal(first.test_labels, second.test_labels)

    def test_a_damaged_cache_is_made_again(self, name: str, cache: Path) -> None:
        first = datasets.load(name, 28, cache)
        expected = np.array(first.train_images)
        (path,) = cache.rglob("train_images.npy")
        for damage in (b"", path.read_bytes()[:-1]):
            path.unlink()  # the first load still has it mapped
            path.write_bytes(damage)
            assert np.array_equal(datasets.load(name, 28, cache).train_images, expected)

    def test_no_room_on_the_disk(self, name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=_arrays.SPARE_BYTES + 1000))
        with pytest.raises(DatasetError, match="MB can be used there: free some of the disk, or set NAS_HOME"):
            datasets.load(name, 28, cache)

    def test_a_cache_that_is_no_folder(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DatasetError, match="cannot be kept in"):
            datasets.load(name, 28, tmp_path / "file")


class TestArrays:
    INFO = DatasetInfo(name="few", classes=("a", "b"), channels=1, resolution=2, train_images=0, test_images=0)

    def part(self, folder: Path, images: int = 3) -> tuple[str, ...]:
        for name in ("train", "test"):
            with _arrays.Part(folder, name, (1, 2, 2)) as part:
                for index in range(images):
                    part.add(np.full((1, 2, 2), index % 256, np.uint8), index % 2)
        return ("a/broken.png",)

    def test_what_goes_in_comes_out(self, cache: Path) -> None:
        found = _arrays.load(cache / "few", self.INFO, functools.partial(self.part, images=12345))
        assert found.train_images.shape == (12345, 1, 2, 2)
        assert found.train_images[300].tolist() == [[[44, 44], [44, 44]]]
        assert found.test_labels[:3].tolist() == [0, 1, 0]
        assert (found.info.train_images, found.skipped) == (12345, ("a/broken.png",))

    def test_a_full_disk(self, cache: Path) -> None:
        """/dev/full is one."""

        def full(folder: Path) -> tuple[str, ...]:
            (folder / "test_images.npy").symlink_to("/dev/full")
            return self.part(folder)

        with pytest.raises(DatasetError, match=r"the disk with .* is full: free some of it, or set NAS_HOME"):
            _arrays.load(cache / "few", self.INFO, full)
        assert [path.name for path in cache.iterdir()] == ["few.lock"]
        assert len(_arrays.load(cache / "few", self.INFO, self.part).train_images) == 3

    def test_who_comes_second_waits(self, cache: Path) -> None:
        made = []

        def slow(folder: Path) -> tuple[str, ...]:
            made.append(folder)
            time.sleep(0.2)
            return self.part(folder)

        threads = [threading.Thread(target=_arrays.load, args=(cache / "few", self.INFO, slow)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1

    def test_a_killed_process_leaves_nothing_in_the_way(self, cache: Path) -> None:
        program = (
            "import pathlib, time; from nas.datasets import _arrays, DatasetInfo\n"
            "info = DatasetInfo(name='few', classes=(), channels=1, resolution=2, train_images=0, test_images=0)\n"
            "def fill(folder):\n"
            "    (folder / 'train_images.npy').write_text('half')\n"
            "    print('filling', flush=True)\n"
            "    time.sleep(3600)\n"
            f"_arrays.load(pathlib.Path({str(cache / 'few')!r}), info, fill)"
        )
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "filling\n"
            process.send_signal(signal.SIGKILL)
        assert len(_arrays.load(cache / "few", self.INFO, self.part).train_images) == 3
        assert sorted(path.name for path in cache.iterdir()) == ["few", "few.lock"]


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


class TestFolderLayout:
    def test_a_tenth_of_each_class_is_for_testing(self, images: Path, cache: Path) -> None:
        fill(images, classes=("cat", "dog", "eel"), images=20)
        info = datasets.describe(f"folder:{images}", cache)
        assert (info.classes, info.channels, info.resolution) == (("cat", "dog", "eel"), 3, 20)
        assert (info.train_images, info.test_images) == (54, 6)
        found = load(images, cache)
        assert np.bincount(found.test_labels).tolist() == [2, 2, 2]
        shades = {(image[0, 0, 0], image[1, 0, 0]) for image in (*found.train_images, *found.test_images)}
        assert len(shades) == 60

    def test_the_same_images_test_wherever_the_folder_lies(self, tmp_path: Path, cache: Path) -> None:
        first, second = fill(tmp_path / "one", images=30), fill(tmp_path / "two", images=30)
        os.utime(second / "cat" / "000.png", (0, 0))
        assert np.array_equal(load(first, cache).test_images, load(second, cache).test_images)

    def test_a_small_class_tests_one_image(self, images: Path, cache: Path) -> None:
        found = load(fill(images, images=3), cache)
        assert np.bincount(found.train_labels).tolist() == [2, 2]
        assert np.bincount(found.test_labels).tolist() == [1, 1]

    def test_train_and_test_folders(self, images: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
        fill(images / "train", images=4)
        fill(images / "test", images=2)
        fill(images / "val", images=1)
        with caplog.at_level(logging.WARNING):
            info = load(images, cache).info
        assert (info.classes, info.train_images, info.test_images) == (("cat", "dog"), 8, 4)
        assert "images in val are not used" in caplog.text

    def test_train_alone_is_split(self, images: Path, cache: Path) -> None:
        fill(images / "train")
        assert load(images, cache).info.test_images == 2

    def test_a_class_may_be_called_train(self, images: Path, cache: Path) -> None:
        fill(images, classes=("boat", "train"))
        assert datasets.describe(f"folder:{images}", cache).classes == ("boat", "train")

    @pytest.mark.parametrize("archive", [False, True])
    def test_folders_within_a_class_and_what_is_no_image(
        self, images: Path, tmp_path: Path, cache: Path, archive: bool
    ) -> None:
        fill(images)
        draw(images / "cat" / "more" / "x.JPEG")
        for name in (".DS_Store", "cat/._000.png", "cat/notes.txt", ".git/x.png", "__MACOSX/cat/._000.png"):
            (images / name).parent.mkdir(parents=True, exist_ok=True)
            (images / name).write_text("no image")
        info = load(pack(tmp_path / "pets.tar", images) if archive else images, cache).info
        assert (info.classes, info.train_images + info.test_images) == (("cat", "dog"), 21)

    def test_links_to_folders_are_followed(self, images: Path, tmp_path: Path, cache: Path) -> None:
        fill(images, classes=("cat",))
        (images / "dog").symlink_to(fill(tmp_path / "elsewhere", classes=("dog",)) / "dog")
        assert load(images, cache).info.train_images == 18

    @pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz"])
    @pytest.mark.parametrize("within", [".", "pets"])
    def test_an_archive_is_as_good_as_its_folder(
        self, images: Path, tmp_path: Path, cache: Path, suffix: str, within: str
    ) -> None:
        fill(images / "train", images=12)
        fill(images / "test", images=2)
        archive = pack(tmp_path / f"pets.{suffix}", images, within)
        packed, plain = load(archive, cache), load(images, cache)
        assert packed.info.name == f"folder:{archive}"
        assert packed.info.classes == plain.info.classes
        for one, two in ((packed.train_images, plain.train_images), (packed.test_images, plain.test_images)):
            assert sorted(image.tobytes() for image in one) == sorted(image.tobytes() for image in two)

    def test_an_archives_listing_is_made_once(
        self, images: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        archive = pack(tmp_path / "pets.tar", fill(images))
        info = datasets.describe(f"folder:{archive}", cache)
        (kept,) = cache.rglob("listing-*.json")
        with monkeypatch.context() as patch:
            patch.setattr(_listing, "_Draft", None)  # nothing is drawn up
            assert datasets.describe(f"folder:{archive}", cache) == info
        kept.write_text("{}")
        assert datasets.describe(f"folder:{archive}", cache) == info
        assert len(json.loads(kept.read_text())["files"]) == 20

    def test_a_changed_folder_is_read_again(self, images: Path, cache: Path) -> None:
        fill(images)
        before = load(images, cache).info.train_images
        draw(images / "cat" / "new.png")
        assert load(images, cache).info.train_images == before + 1
        for colour in (GREEN, BLUE):  # files of one size
            PIL.Image.new("RGB", (20, 20), colour).save(images / "dog" / "000.png", compress_level=0)
            os.utime(images / "dog" / "000.png", (0, colour[1]))
            found = load(images, cache)
            both = np.concatenate([found.train_images, found.test_images])
            assert (both == np.array(colour)[:, None, None]).all((1, 2, 3)).any()

    def test_processes_that_load_at_once_agree(self, images: Path, cache: Path) -> None:
        fill(images)
        program = (
            "import sys, pathlib, hashlib; from nas import datasets\n"
            "input()\n"
            f"found = datasets.load('folder:{images}', 8, pathlib.Path({str(cache)!r}))\n"
            "print(found.info.train_images, hashlib.sha256(found.train_images).hexdigest())"
        )
        started = [
            subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        said = {process.communicate(timeout=60)[0] for process in started}
        assert len(said) == 1
        assert said.pop().startswith("18 ")


class TestFolderImages:
    """One image among others, by what becomes of it."""

    def pixels(self, path: Path, cache: Path, resolution: int = 8) -> NDArray[np.uint8]:
        """Of the image at `path`, whose folder is a class of its own (and has two black ones besides)."""
        root = path.parents[1]
        for name in ("other", path.parent.name):
            for index in range(2 + (name == "other")):
                draw(root / name / f"black{index}.png", (0, 0, 0), (9, 9))
        found = load(root, cache, resolution)
        assert found.skipped == ()
        both = np.concatenate([found.train_images, found.test_images])
        brightest = max(both, key=lambda image: int(image.sum()))
        return np.asarray(brightest)

    def test_the_centre_is_kept(self, images: Path, cache: Path) -> None:
        wide = PIL.Image.new("RGB", (90, 30), RED)
        wide.paste(GREEN, (30, 0, 60, 30))
        wide.paste(BLUE, (60, 0, 90, 30))
        (images / "a").mkdir(parents=True)
        wide.save(images / "a" / "wide.png")
        found = self.pixels(images / "a" / "wide.png", cache)
        assert found.shape == (3, 8, 8)
        inner = found[:, :, 1:-1]  # at its edges the antialiasing mixes in what is cut off
        assert (inner.transpose(1, 2, 0) == GREEN).all()

    def test_the_right_size_is_left_alone(self, images: Path, cache: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
        (images / "a").mkdir(parents=True)
        PIL.Image.fromarray(noise).save(images / "a" / "noise.png")
        assert np.array_equal(self.pixels(images / "a" / "noise.png", cache), noise.transpose(2, 0, 1))

    def test_shrinking_averages(self, images: Path, cache: Path) -> None:
        checks = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
        (images / "a").mkdir(parents=True)
        for suffix in ("png", "jpg"):
            PIL.Image.fromarray(checks).convert("RGB").save(images / "a" / f"checks.{suffix}")
        found = self.pixels(images / "a" / "checks.png", cache)
        assert np.abs(found.astype(int) - 127).max() <= 2

    def test_jpeg_keeps_the_detail_that_there_is_room_for(self, images: Path, cache: Path) -> None:
        stripes = (np.indices((128, 128))[1] // 4 % 2 * 255).astype(np.uint8)
        (images / "a").mkdir(parents=True)
        PIL.Image.fromarray(stripes).convert("RGB").save(images / "a" / "stripes.jpg", quality=95)
        found = self.pixels(images / "a" / "stripes.jpg", cache, 32)[0, 0]
        assert [value > 127 for value in found] == [False, True] * 16

    def test_each_resolution_has_its_own(self, images: Path, cache: Path) -> None:
        fill(images)
        for resolution in (8, 12, 8):
            found = load(images, cache, resolution)
            assert found.train_images.shape[2:] == (resolution, resolution)
            assert found.info.resolution == resolution

    def test_upright_by_exif(self, images: Path, cache: Path) -> None:
        lying = PIL.Image.new("RGB", (32, 32), RED)
        lying.paste(GREEN, (0, 0, 16, 32))
        exif = PIL.Image.Exif()
        exif[0x0112] = 6  # turn clockwise: its left becomes the top
        (images / "a").mkdir(parents=True)
        lying.save(images / "a" / "lying.jpg", exif=exif, quality=95)
        found = self.pixels(images / "a" / "lying.jpg", cache)
        assert (found[1, :3] > 240).all()
        assert (found[1, 5:] < 15).all()

    @pytest.mark.parametrize(
        ("mode", "colour", "suffix", "expected"),
        [
            ("RGB", (10, 200, 30), "png", (10, 200, 30)),
            ("L", 77, "png", (77, 77, 77)),
            ("1", 1, "png", (255, 255, 255)),
            ("I;16", 200 << 8, "png", (200, 200, 200)),
            ("LA", (0, 0), "png", (255, 255, 255)),
            ("RGBA", (10, 200, 30, 255), "png", (10, 200, 30)),
            ("RGBA", (10, 200, 30, 0), "png", (255, 255, 255)),
            ("CMYK", (0, 255, 255, 0), "jpg", RED),
            ("RGB", (200, 100, 50), "jpeg", (200, 100, 50)),
        ],
    )
    def test_every_mode(
        self, images: Path, cache: Path, mode: str, colour: int | tuple[int, ...], suffix: str, expected: Colour
    ) -> None:
        path = images / "a" / f"image.{suffix}"
        path.parent.mkdir(parents=True)
        image = PIL.Image.new(mode, (16, 12), colour)
        image.save(path, quality=95)
        found = self.pixels(path, cache)
        assert np.abs(found.transpose(1, 2, 0).astype(int) - expected).max() <= (0 if suffix == "png" else 6)

    def test_a_palette_with_a_transparent_colour(self, images: Path, cache: Path) -> None:
        image = PIL.Image.new("P", (16, 16), 1)
        image.putpalette([0, 0, 0, *GREEN, *BLUE])
        image.paste(2, (0, 0, 16, 8))
        (images / "a").mkdir(parents=True)
        image.save(images / "a" / "palette.png", transparency=2)
        found = self.pixels(images / "a" / "palette.png", cache).transpose(1, 2, 0)
        assert (found[:3] == 255).all()
        assert (found[5:] == GREEN).all()

    def test_all_grey_is_one_channel(self, images: Path, cache: Path) -> None:
        for name, shade in (("dark", 10), ("light", 200)):
            for index in range(3):
                draw(images / name / f"{index}.png", shade, mode="L")
            draw(images / name / "deep.png", shade << 8, mode="I;16")
        found = load(images, cache)
        assert found.info.channels == 1
        assert {int(value) for value in np.unique(found.train_images)} == {10, 200}
        draw(images / "dark" / "0colour.png", RED)
        assert load(images, cache).info.channels == 3

    @pytest.mark.parametrize(("size", "resolution"), [((40, 32), 32), ((6, 9), 16), ((500, 700), 224)])
    def test_the_default_resolution(self, images: Path, cache: Path, size: tuple[int, int], resolution: int) -> None:
        for name in ("a", "b"):
            draw(images / name / "odd.png", size=(90, 90))
            for index in range(2):
                draw(images / name / f"{index}.png", size=size)
        assert datasets.describe(f"folder:{images}", cache).resolution == resolution

    @pytest.mark.parametrize("archive", [False, True])
    def test_a_few_broken_images_are_skipped_by_name(
        self, images: Path, tmp_path: Path, cache: Path, archive: bool
    ) -> None:
        fill(images, images=150, suffix="jpg")
        (images / "cat" / "000.jpg").write_text("no image at all")
        whole = (images / "dog" / "149.jpg").read_bytes()
        (images / "dog" / "149.jpg").write_bytes(whole[:-40])
        root = pack(tmp_path / "pets.tar", images) if archive else images
        found = load(root, cache)
        assert found.skipped == ("cat/000.jpg", "dog/149.jpg")
        assert found.info.train_images + found.info.test_images == 298
        assert load(root, cache).skipped == found.skipped

    def test_many_broken_images_are_refused(self, images: Path, cache: Path) -> None:
        fill(images, images=100)
        for index in range(3):
            (images / "cat" / f"{90 + index:03}.png").write_text("no image")
        with pytest.raises(DatasetError, match=r"over 1% of 200 images are broken, among them cat/090\.png, .*replace"):
            load(images, cache)
        assert not list(cache.rglob("*.npy"))


class TestFolderRefusals:
    def refused(self, root: Path | str, cache: Path, match: str, *, describes: bool = False) -> None:
        """By `describe` already, unless it `describes`; and by `load`."""
        if describes:
            datasets.describe(f"folder:{root}", cache)
        else:
            with pytest.raises(DatasetError, match=match):
                datasets.describe(f"folder:{root}", cache)
        with pytest.raises(DatasetError, match=match):
            datasets.load(f"folder:{root}", 8, cache)

    def test_no_path(self, cache: Path) -> None:
        self.refused("", cache, "needs a path: write folder:/path/to/images")

    def test_nothing_there(self, images: Path, cache: Path) -> None:
        self.refused(images, cache, "images does not exist: name a folder")

    def test_neither_folder_nor_archive(self, images: Path, cache: Path) -> None:
        images.write_text("hello")
        self.refused(images, cache, "neither a folder nor a tar archive: unpack it")

    def test_no_images(self, images: Path, cache: Path) -> None:
        (images / "cat").mkdir(parents=True)
        (images / "cat" / "notes.txt").touch()
        self.refused(images, cache, r"has no images: put \.jpg, \.jpeg, \.png files in a folder for each class")

    def test_one_class(self, images: Path, cache: Path) -> None:
        self.refused(fill(images, classes=("cat",)), cache, r"has one class \(cat\): there is nothing to tell apart")

    def test_images_outside_of_classes(self, images: Path, cache: Path) -> None:
        draw(fill(images) / "stray.png")
        self.refused(images, cache, "stray.png lies in no class: move it")

    def test_unsorted_test_images(self, images: Path, cache: Path) -> None:
        fill(images / "train")
        draw(images / "test" / "1.png")
        self.refused(images, cache, "test/1.png lies in no class")

    @pytest.mark.parametrize("archive", [False, True])
    def test_an_empty_class(self, images: Path, tmp_path: Path, cache: Path, archive: bool) -> None:
        (fill(images) / "eel").mkdir()
        root = pack(tmp_path / "pets.tar", images) if archive else images
        self.refused(root, cache, "class 'eel' has no train images: add some, or remove its folder")

    @pytest.mark.parametrize("number", [1, 2])
    def test_a_class_that_cannot_be_split(self, images: Path, cache: Path, number: int) -> None:
        for index in range(number):
            draw(fill(images) / "eel" / f"{index}.png")
        self.refused(images, cache, f"class 'eel' has {number} of the 3 images that are needed, one each to train, val")

    def test_one_training_image_beside_a_test_folder(self, images: Path, cache: Path) -> None:
        fill(images / "test", images=1)
        draw(fill(images / "train", classes=("cat",)).parent / "train" / "dog" / "1.png")
        self.refused(images, cache, "class 'dog' has 1 of the 2 images that are needed, one each to train, validate:")

    @pytest.mark.parametrize(("lacking", "has"), [("test", "train"), ("train", "test")])
    def test_a_class_missing_from_a_part(self, images: Path, cache: Path, lacking: str, has: str) -> None:
        fill(images / lacking)
        fill(images / has, classes=("cat", "dog", "eel"))
        self.refused(images, cache, f"class 'eel' is missing from {lacking}: add its folder there, or remove it")

    def test_a_class_of_which_nothing_is_left(self, images: Path, cache: Path) -> None:
        fill(images / "train", images=70)
        fill(images / "test", images=1)
        (images / "test" / "dog" / "000.png").write_text("no image")
        self.refused(images, cache, "all train or all test images of class 'dog' are broken", describes=True)

    def test_a_name_that_cannot_be_shown(self, images: Path, cache: Path) -> None:
        fill(images)
        shutil.copytree(images / "cat", images / os.fsdecode(b"\xff"))
        self.refused(images, cache, "has a name that cannot be shown: rename its folder")

    def test_links_in_circles(self, images: Path, cache: Path) -> None:
        (fill(images) / "cat" / "up").symlink_to(images)
        self.refused(images, cache, "cat/up links to a folder above it: remove the link")
        (images / "cat" / "up").unlink()
        (images / "cat" / "self").symlink_to("self")
        self.refused(images, cache, "cannot be read: .*symbolic links")

    def test_a_link_to_nothing(self, images: Path, cache: Path) -> None:
        (fill(images) / "cat" / "gone.png").symlink_to("nowhere.png")
        self.refused(images, cache, "cannot be read: .*gone.png")

    @pytest.mark.parametrize(("name", "describes"), [("000.png", False), ("zzz.png", True)])
    def test_a_file_that_the_disk_does_not_give(self, images: Path, cache: Path, name: str, describes: bool) -> None:
        """Nothing lies at address 0 of a process, so reading there is an input/output error."""
        path = fill(images) / "cat" / name
        path.unlink(missing_ok=True)
        path.symlink_to("/proc/self/mem")
        self.refused(images, cache, "cannot be read: .*Input/output error", describes=describes)

    @pytest.mark.parametrize("side", [10_000, 100_000])
    @pytest.mark.parametrize(("name", "describes"), [("000.png", False), ("zzz.png", True)])
    def test_a_bomb(self, images: Path, cache: Path, side: int, name: str, describes: bool) -> None:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        (fill(images) / "cat" / name).write_bytes(bomb + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
        self.refused(images, cache, f"cat/{name}: .*exceeds limit.* Remove it, or make it smaller", describes=describes)

    @pytest.mark.parametrize("resolution", [7, 2049])
    def test_a_resolution_out_of_bounds(self, images: Path, cache: Path, resolution: int) -> None:
        with pytest.raises(DatasetError, match=f"resolution {resolution} is not between 8 and 2048"):
            load(fill(images), cache, resolution)

    def test_pillow_missing(self, images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(images)
        for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "PIL", None)
        self.refused(images, cache, "pip install pillow")

    def test_a_cut_off_archive(self, images: Path, tmp_path: Path, cache: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        PIL.Image.fromarray(noise).save(fill(images) / "cat" / "noise.png")
        for suffix in ("tar", "tar.gz", "tar.xz"):
            archive = pack(tmp_path / f"pets.{suffix}", images)
            archive.write_bytes(archive.read_bytes()[: archive.stat().st_size * 6 // 10])
            self.refused(archive, cache, "is damaged: ")

    @pytest.mark.parametrize("name", ["../cat/evil.png", "/cat/evil.png", "cat/../../evil.png"])
    def test_an_archive_that_reaches_outside(self, images: Path, tmp_path: Path, cache: Path, name: str) -> None:
        archive = pack(tmp_path / "pets.tar", fill(images))
        with tarfile.open(archive, "a") as file:
            file.addfile(tarfile.TarInfo(name), io.BytesIO())
        self.refused(archive, cache, "outside of itself")

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
    def test_an_archive_with_links(self, images: Path, tmp_path: Path, cache: Path, kind: bytes) -> None:
        archive = pack(tmp_path / "pets.tar", fill(images))
        link = tarfile.TarInfo("cat/link.png")
        link.type, link.linkname = kind, "cat/000.png"
        with tarfile.open(archive, "a") as file:
            file.addfile(link)
        self.refused(archive, cache, "cat/link.png is a link: make the archive with tar --dereference")

    def test_an_archive_that_has_a_file_twice(self, images: Path, tmp_path: Path, cache: Path) -> None:
        archive = pack(tmp_path / "pets.tar", fill(images))
        with tarfile.open(archive, "a") as file:
            file.add(images / "cat" / "000.png", "./cat/000.png")
        self.refused(archive, cache, "has cat/000.png twice: make it anew")

    def test_an_archive_with_a_huge_member(
        self, images: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_listing, "LARGEST_MEMBER", 10)
        self.refused(pack(tmp_path / "pets.tar", fill(images)), cache, "bytes: leave it out of the archive")

    def test_files_that_vanish_while_they_are_read(
        self, images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(images)
        decode = folder._decode

        def late(survey: folder.Survey, *others: object) -> tuple[str, ...]:
            (images / "cat" / "005.png").unlink()
            return decode(survey, *others)  # type: ignore[arg-type]

        monkeypatch.setattr(folder, "_decode", late)
        with pytest.raises(DatasetError, match=r"cat/005\.png cannot be read: .*No such file"):
            load(images, cache)
