"""Folders and archives that are no dataset, and what is said of them."""

import io
import os
import re
import shutil
import struct
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from nas import datasets
from nas.datasets import DatasetError, _archive, _decoding
from tests.dataset_files import draw, fill, load, pack


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

    @pytest.mark.parametrize(
        ("argument", "why"),
        [
            ("/" + "a" * 6000, "File name too long"),
            ("~nosuchuser/images", "home"),
            ("/tmp/a\0b", "embedded null"),
            ("/dev/null/images", "Not a directory"),
        ],
    )
    def test_no_path_of_the_file_system(self, cache: Path, argument: str, why: str) -> None:
        with pytest.raises(DatasetError, match=f"is no path that can be read: .*{why}") as refused:
            datasets.describe(f"folder:{argument}", cache)
        assert repr(argument)[:20] in str(refused.value)
        assert len(str(refused.value)) < 300

    def test_neither_folder_nor_archive(self, images: Path, cache: Path) -> None:
        images.write_text("hello")
        self.refused(images, cache, "neither a folder nor a tar or zip archive: unpack it")

    def test_no_images(self, images: Path, cache: Path) -> None:
        (images / "cat").mkdir(parents=True)
        (images / "cat" / "notes.txt").touch()
        self.refused(
            images, cache, "has no images: put JPEG, PNG, WebP, GIF, BMP or TIFF files in a folder for each class"
        )

    def test_one_class(self, images: Path, cache: Path) -> None:
        self.refused(fill(images, classes=("cat",)), cache, r"has one class \(cat\): there is nothing to tell apart")

    def test_images_outside_of_classes(self, images: Path, cache: Path) -> None:
        draw(fill(images) / "stray.png")
        self.refused(images, cache, "stray.png lies in no class: move it into its class's folder, or away$")

    def test_labels_in_a_table(self, images: Path, cache: Path) -> None:
        draw(images / "train" / "1.png")
        (images / "train" / "metadata.csv").touch()
        self.refused(images, cache, "train/cat/…; classes are folders, and labels are not read from train/metadata.csv")
        draw(images / "2.png")
        (images / "labels.csv").touch()
        self.refused(images, cache, "are not read from labels.csv, train/metadata.csv")

    def test_unsorted_test_images(self, images: Path, cache: Path) -> None:
        fill(images / "train")
        draw(images / "test" / "1.png")
        self.refused(images, cache, "test/1.png lies in no class")

    @pytest.mark.parametrize("archive", [False, True])
    def test_a_class_of_images_that_cannot_be_opened(
        self, images: Path, tmp_path: Path, cache: Path, archive: bool
    ) -> None:
        (fill(images) / "eel").mkdir()
        (images / "eel" / "IMG_1.HEIC").write_bytes(b"a phone's")
        root = pack(tmp_path / "pets.tar", images) if archive else images
        self.refused(root, cache, r"eel has no image that can be opened, but 1 such as eel/IMG_1\.HEIC: convert them")

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
        self.refused(images, cache, "all train or all test images of class 'dog' are broken, such as test/dog/000")

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

    def test_a_link_to_nothing_is_a_broken_image(self, images: Path, cache: Path) -> None:
        for name in ("gone.png", "gone"):
            (fill(images) / "cat" / name).symlink_to("nowhere.png")
        info = datasets.describe(f"folder:{images}", cache)
        said = "1 image is left out and cannot be used: cat/gone.png (it is a link that leads nowhere)"
        assert said in [remark.text for remark in info.remarks]
        assert info.train_images + info.test_images == 20

    def test_a_file_that_the_disk_does_not_give(self, images: Path, cache: Path) -> None:
        """Nothing lies at address 0 of a process, so reading there is an input/output error."""
        path = fill(images) / "cat" / "000.png"
        path.unlink()
        path.symlink_to("/proc/self/mem")
        self.refused(images, cache, "cannot be read: .*Input/output error")

    @pytest.mark.parametrize("side", [10_000, 100_000])
    def test_a_bomb_is_left_out_undecoded(self, images: Path, cache: Path, side: int) -> None:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        (fill(images) / "cat" / "zzz.png").write_bytes(bomb + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
        (remark,) = datasets.describe(f"folder:{images}", cache).remarks
        assert (remark.kind, remark.images) == ("left out", 1)
        assert "cat/zzz.png" in remark.text
        assert re.search(rf"{side**2}|{side**2:,}", remark.text)

    @pytest.mark.parametrize("resolution", [7, 2049])
    def test_a_resolution_out_of_bounds(self, images: Path, cache: Path, resolution: int) -> None:
        with pytest.raises(DatasetError, match=f"resolution {resolution} is not between 8 and 2048"):
            load(fill(images), cache, resolution)

    def test_pillow_missing(self, images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(images)
        for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "PIL", None)
        self.refused(images, cache, r"Pillow: pip install 'nas-service\[workers\]'")

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
        monkeypatch.setattr(_archive, "LARGEST_MEMBER", 10)
        self.refused(pack(tmp_path / "pets.tar", fill(images)), cache, "bytes: leave it out of the archive")

    def test_files_that_vanish_while_they_are_read(
        self, images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(images)
        decode = _decoding.decoded

        def late(*arguments: Any) -> dict[str, str]:
            (images / "cat" / "005.png").unlink()
            return decode(*arguments)

        monkeypatch.setattr(_decoding, "decoded", late)
        with pytest.raises(DatasetError, match=r"cat/005\.png cannot be read: .*No such file"):
            load(images, cache)
