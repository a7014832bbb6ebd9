"""What images of a folder are made of, whatever they are called, and what is said of those that are not used."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from nas import datasets
from nas.datasets import DatasetError, DatasetInfo, _archive, _facts, _picture, folder
from tests.dataset_files import GREEN, RED, draw, fill, load


def described(images: Path, cache: Path) -> DatasetInfo:
    return datasets.describe(f"folder:{images}", cache)


def zipped(path: Path, root: Path, within: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, f"{within}{file.relative_to(root)}")
    return path


class TestFormats:
    @pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP", "TIFF", "PNG", "PPM"])
    def test_an_image_is_what_its_content_says(self, images: Path, cache: Path, kind: str) -> None:
        fill(images)
        for name in ("a.jpg", f"b.{kind.lower()}", "no suffix"):
            file = io.BytesIO()
            PIL.Image.new("RGB", (20, 20), GREEN).save(file, kind)
            if name != "no suffix" or kind not in ("BMP", "PPM"):  # whose first bytes may be anybody's
                (images / "cat" / name).write_bytes(file.getvalue())
        found = load(images, cache)
        assert found.skipped == ()
        both = np.concatenate([found.train_images, found.test_images])
        green = (np.abs(both.astype(int) - np.array(GREEN)[:, None, None]) < 8).all((1, 2, 3))
        assert green.sum() == (2 if kind in ("BMP", "PPM") else 3)

    def test_colour_anywhere_makes_all_of_it_colour(self, images: Path, cache: Path) -> None:
        for name in ("a", "b"):
            for index in range(30):
                draw(images / name / f"{index:02}.png", 100, mode="L")
        assert described(images, cache).channels == 1
        draw(images / "b" / "29.png", RED)
        assert described(images, cache).channels == 3

    def test_colour_that_no_sample_had_is_said(
        self, images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("a", "b"):
            for index in range(5):
                draw(images / name / f"{index:02}.png", 100 + index + 50 * (name == "b"), mode="L")
        odd = _facts.spread([f"{name}/{index:02}.png" for name in ("a", "b") for index in range(5)])[-1]
        draw(images / odd, RED)
        monkeypatch.setattr(_facts, "SAMPLE", 4)
        monkeypatch.setattr(_facts, "MOST_HEADERS", 8)
        info = described(images, cache)
        assert info.channels == 1
        assert [(remark.kind, remark.images) for remark in info.remarks] == [("greys", 1)]

    def test_deep_greys_are_scaled_by_what_the_set_uses(self, images: Path, cache: Path) -> None:
        random = np.random.default_rng(0)
        for number, name in enumerate(("healthy", "ill")):
            for index in range(20):
                (images / name).mkdir(parents=True, exist_ok=True)
                values = random.normal(1030 + 120 * number, 30, (16, 16)).clip(0, 4095).astype(np.uint16)
                PIL.Image.fromarray(values).save(images / name / f"{index}.png")
        found = load(images, cache, 16)
        means = [found.train_images[found.train_labels == number].mean() for number in (0, 1)]
        assert means[1] - means[0] > 80
        assert len(np.unique(found.train_images)) > 200
        assert any("greys of more than 8 bits become 8" in remark.text for remark in found.info.remarks)

    def test_deep_greys_beside_others_keep_their_brightness(self, images: Path, cache: Path) -> None:
        for name in ("a", "b"):
            for index in range(5):
                draw(images / name / f"{index}.png", 10 * index, mode="L")
            draw(images / name / "deep.png", 4095, mode="I;16")
            draw(images / name / "half.png", 2048, mode="I;16")
        found = load(images, cache)
        both = np.concatenate([found.train_images, found.test_images])
        assert {128, 255} <= set(np.unique(both).tolist())

    def test_a_photograph_of_108_megapixels(self, images: Path, cache: Path) -> None:
        fill(images)
        PIL.Image.new("RGB", (12_000, 9_000), GREEN).save(images / "cat" / "phone.jpg", quality=10)
        found = load(images, cache)
        assert (found.skipped, found.info.train_images + found.info.test_images) == ((), 21)

    def test_more_pixels_than_are_bearable(self, images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_picture, "LARGEST_JPEG_PIXELS", 900)
        fill(images)
        draw(images / "cat" / "large.jpg", size=(30, 31))
        assert load(images, cache).skipped == ("cat/large.jpg",)

    def test_a_large_set_is_not_decoded_to_be_described(
        self, images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folder, "SMALL_BYTES", 100)
        fill(images, images=20)
        (images / "cat" / "zzz.png").write_bytes(b"")
        before = described(images, cache)
        assert (before.train_images + before.test_images, before.remarks) == (41, ())
        assert not list(cache.rglob("*.npy"))
        found = load(images, cache, before.resolution)
        assert [remark.kind for remark in found.info.remarks] == ["left out"]
        assert described(images, cache) == found.info


class TestBroken:
    def test_one_of_few_is_left_out_and_named_when_it_is_described(self, images: Path, cache: Path) -> None:
        fill(images, suffix="jpg", images=20)
        whole = (images / "cat" / "007.jpg").read_bytes()
        (images / "cat" / "007.jpg").write_bytes(whole[: len(whole) // 2])
        info = described(images, cache)
        assert info.train_images + info.test_images == 39
        (remark,) = (remark for remark in info.remarks if remark.kind == "left out")
        assert remark.images == 1
        assert "cat/007.jpg (" in remark.text

    def test_another_image_tests_where_the_only_one_is_broken(self, images: Path, cache: Path) -> None:
        fill(images, images=12)
        tested = min((f"cat/{index:03}.png" for index in range(12)), key=folder._hash)
        (images / tested).write_bytes(b"")
        found = load(images, cache)
        assert np.bincount(found.test_labels).tolist() == [1, 1]
        assert np.bincount(found.train_labels).tolist() == [10, 11]

    def test_pointers_of_git_lfs(self, images: Path, cache: Path) -> None:
        for path in fill(images).rglob("*.png"):
            path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1234\n")
        with pytest.raises(DatasetError, match="it is a pointer of Git LFS: run git lfs pull"):
            described(images, cache)


class TestCopies:
    def test_test_images_that_are_training_images(self, images: Path, cache: Path) -> None:
        fill(images / "train")
        shutil.copytree(images / "train", images / "test")
        (images / "test" / "cat" / "000.png").unlink()
        draw(images / "test" / "cat" / "own.png", (0, 0, 200))
        (copies,) = (remark for remark in described(images, cache).remarks if remark.kind == "copies")
        assert copies.images == 19
        assert copies.text.startswith("19 of 20 test images are training images too, such as train/")

    def test_copies_under_another_format(self, images: Path, cache: Path) -> None:
        fill(images / "train")
        for name in ("cat", "dog"):
            (images / "test" / name).mkdir(parents=True)
            PIL.Image.open(images / "train" / name / "003.png").save(images / "test" / name / "a.bmp")
        assert [remark.images for remark in described(images, cache).remarks if remark.kind == "copies"] == [2]

    def test_one_image_in_two_classes(self, images: Path, cache: Path) -> None:
        fill(images, images=20)
        shutil.copy(images / "cat" / "003.png", images / "dog" / "copy.png")
        (odd,) = (remark for remark in described(images, cache).remarks if remark.kind == "contradictions")
        assert (odd.images, odd.text) == (
            2,
            "2 images are in several classes, such as cat/003.png and dog/copy.png: labels contradict each other",
        )


class TestZip:
    @pytest.mark.parametrize("within", ["", "archive/pets/"])
    def test_it_is_as_good_as_its_folder(self, images: Path, tmp_path: Path, cache: Path, within: str) -> None:
        fill(images / "train", images=12)
        fill(images / "test", images=2)
        draw(images / "__MACOSX" / "train" / "cat" / "._000.png")
        packed = load(zipped(tmp_path / "pets.zip", images, within), cache)
        plain = load(images, cache)
        assert packed.info.classes == plain.info.classes
        for one, two in ((packed.train_images, plain.train_images), (packed.test_images, plain.test_images)):
            assert sorted(image.tobytes() for image in one) == sorted(image.tobytes() for image in two)

    def test_names_of_windows_and_in_utf_8_without_a_flag(self, images: Path, tmp_path: Path, cache: Path) -> None:
        fill(images, classes=("cat",), images=3)
        path = tmp_path / "pets.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in (images / "cat").iterdir():
                archive.write(file, f"cat\\{file.name}")
                archive.write(file, f"k??fer/{file.name}")
        path.write_bytes(path.read_bytes().replace(b"k??fer", "käfer".encode()))
        assert described(path, cache).classes == ("cat", "käfer")

    @pytest.mark.parametrize(
        ("name", "match"),
        [("../cat/evil.png", "outside of itself"), ("/cat/evil.png", "outside"), ("cat/000.png", "twice: make it")],
    )
    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_members_that_must_not_be(self, images: Path, tmp_path: Path, cache: Path, name: str, match: str) -> None:
        path = zipped(tmp_path / "pets.zip", fill(images))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, b"x")
        with pytest.raises(DatasetError, match=match):
            described(path, cache)

    def test_a_link(self, images: Path, tmp_path: Path, cache: Path) -> None:
        path = zipped(tmp_path / "pets.zip", fill(images))
        link = zipfile.ZipInfo("cat/link.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(link, "/etc/passwd")
        with pytest.raises(DatasetError, match=r"cat/link\.png is a link"):
            described(path, cache)

    def test_a_password(self, images: Path, tmp_path: Path, cache: Path) -> None:
        path = zipped(tmp_path / "pets.zip", fill(images))
        data = bytearray(path.read_bytes())
        first = data.index(b"PK\x01\x02")
        data[first + 8] |= 1
        path.write_bytes(data)
        with pytest.raises(DatasetError, match="is encrypted: make the archive anew, without a password"):
            described(path, cache)

    def test_a_bomb(self, images: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(images)
        (images / "cat" / "zeros.bmp").write_bytes(bytes(2_000_000))
        path = zipped(tmp_path / "pets.zip", images)
        monkeypatch.setattr(_archive, "SMALL", 1000)
        with pytest.raises(DatasetError, match="as of an archive that is made to fill a disk"):
            described(path, cache)

    def test_a_cut_off_one(self, images: Path, tmp_path: Path, cache: Path) -> None:
        path = zipped(tmp_path / "pets.zip", fill(images))
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(DatasetError, match="is damaged: "):
            described(path, cache)
