"""Folders of images of all sorts: which image is in which part and class, and how its pixels are read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from numpy.typing import NDArray

from nas import datasets
from nas.datasets import DatasetError, _archive
from nas.metering import host
from nas.training.data import Ahead
from tests.dataset_files import BLUE, GREEN, RED, Colour, draw, fill, load, pack
from tests.waiting import PATIENCE_SECONDS


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

    def test_it_is_read_where_the_system_has_less_than_linux(
        self, images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("sched_getaffinity", "posix_fadvise", "POSIX_FADV_WILLNEED"):
            monkeypatch.delattr(os, name, raising=False)
        found = load(fill(images, images=10), cache)
        assert len(found.train_images) == 18
        Ahead(found.train_images, copied=False).want(torch.tensor([0, 1]))
        assert host.processors() == os.cpu_count()

    def test_a_small_class_tests_one_image(self, images: Path, cache: Path) -> None:
        found = load(fill(images, images=3), cache)
        assert np.bincount(found.train_labels).tolist() == [2, 2]
        assert np.bincount(found.test_labels).tolist() == [1, 1]

    def test_train_and_test_folders(self, images: Path, cache: Path) -> None:
        fill(images / "train", images=4)
        fill(images / "test", images=2)
        fill(images / "extra", images=1)
        info = load(images, cache).info
        assert (info.classes, info.train_images, info.test_images) == (("cat", "dog"), 8, 4)
        assert "2 images of extra are left out: they are in none of the parts" in [
            remark.text for remark in info.remarks
        ]

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
            patch.setattr(_archive, "Draft", None)  # nothing is drawn up
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
        said = {process.communicate(timeout=PATIENCE_SECONDS)[0] for process in started}
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
        for index in range(21):
            (images / "cat" / f"{70 + index:03}.png").write_text("no image")
        reason = r"cat/070\.png \(it is no image of a known kind\), .*: replace"
        with pytest.raises(DatasetError, match=rf"over 10% of 200 images cannot be used, among them {reason}"):
            load(images, cache)
        assert not list(cache.rglob("*.npy"))
