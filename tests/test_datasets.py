"""What every dataset promises, and the arrays that are kept of it."""

import functools
import io
import logging
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

from nas import datasets, plugins
from nas.datasets import DatasetError, DatasetInfo, _arrays, fashion_mnist
from tests.dataset_files import fill, uploaded, way_to
from tests.waiting import eventually


def test_an_unknown_dataset_is_answered_with_how_each_is_written(cache: Path) -> None:
    written = "there are fashion_mnist, folder:PATH, images:NAME"
    with pytest.raises(plugins.UnknownPlugin, match=rf"^unknown dataset 'flowers': {written}$"):
        datasets.look("flowers", cache)
    with pytest.raises(plugins.UnknownPlugin, match=rf"'/data/a:b': {written}; did you mean folder:/data/a:b\?$"):
        datasets.describe("/data/a:b", cache)


@pytest.mark.parametrize("plugin", plugins.names("nas.datasets"))
class TestEveryDataset:
    @pytest.fixture
    def name(self, plugin: str, images: Path, clothes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setattr(fashion_mnist, "WAYS", {"the folder": way_to(clothes)})
        fill(images / "train")
        fill(images / "test", images=3)
        if plugin == "images":
            monkeypatch.setenv("NAS_HOME", str(tmp_path / "home"))
            return uploaded("flowers", images)
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

    def test_a_look_counts_the_images_of_each_class(self, name: str, cache: Path) -> None:
        seen = datasets.look(name, cache)
        assert seen.info == datasets.describe(name, cache)
        for part in ("train_images", "validation_images", "test_images"):
            assert sum(getattr(one, part) for one in seen.classes) == getattr(seen.info, part)
        assert tuple(one.name for one in seen.classes) == seen.info.classes

    def test_a_strip_shows_images_of_one_class_side_by_side(self, name: str, cache: Path) -> None:
        if not datasets.look(name, cache).visible:
            with pytest.raises(DatasetError, match="fetched when a run first"):
                datasets.strip(name, 0, cache)
        found = datasets.load(name, 28, cache)
        assert datasets.look(name, cache).visible
        label = int(found.train_labels[0])
        with PIL.Image.open(io.BytesIO(datasets.strip(name, label, cache))) as image:
            assert image.format == "JPEG"
            sides, left = image.size, np.asarray(image.crop((0, 0, image.height, image.height)))
        assert sides[0] % sides[1] == 0
        if name != "fashion_mnist":
            assert sides == (8 * 64, 64)
            assert abs(left.astype(int) - found.train_images[found.train_labels == label][0].mean((1, 2))).max() < 20
        with pytest.raises(DatasetError, match="class number 99"):
            datasets.strip(name, 99, cache)

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

    def test_who_comes_second_waits(self, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="nas")  # whatever level a command in this process has set
        made = []

        def slow(folder: Path) -> tuple[str, ...]:
            made.append(folder)
            eventually(lambda: caplog.text.count("waiting for another process") == 3)
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
