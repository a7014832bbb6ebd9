"""The images that the training is given."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from nas import zoo
from nas.networks.architecture import Images
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.recipes import Recipe
from nas.training import data as data_module
from nas.training.data import View, everything, normalisation, split
from nas.training.device import training_bytes
from tests.pictures import RECIPE, pictures
from tests.trainings import CPU, PLAIN, batches

pytestmark = pytest.mark.usefixtures("one_thread")


class TestSplit:
    def test_a_balanced_tenth_is_kept_out_and_nothing_is_in_both(self) -> None:
        labels = np.repeat(np.arange(5), 40)
        training, held = split(labels)
        assert sorted([*training, *held]) == list(range(200))
        assert np.bincount(labels[held]).tolist() == [4] * 5

    def test_any_first_part_to_train_on_is_balanced(self) -> None:
        labels = np.repeat(np.arange(5), 40)
        for order in (split(labels)[0], everything(labels)):
            for part in (5, 50, 100):
                assert np.bincount(labels[order[:part]]).tolist() == [part // 5] * 5

    def test_any_first_part_of_unbalanced_classes_is_in_proportion_unless_balance_is_asked_for(self) -> None:
        labels = np.repeat([0, 1], [9500, 500])
        for order in (split(labels)[0], everything(labels)):
            assert np.bincount(labels[order[:400]]).tolist() == [380, 20]
            assert np.bincount(labels[order[:1000]]).tolist() == [950, 50]
        for order in (split(labels, balanced=True)[0], everything(labels, balanced=True)):
            assert np.bincount(labels[order[:400]]).tolist() == [200, 200]
            assert np.bincount(labels[order[:2000]])[1] == min(500, sum(labels[order]))
        assert sorted(split(labels)[0]) == sorted(split(labels, balanced=True)[0])

    @pytest.mark.parametrize("folds", [2, 3, 5])
    def test_every_image_is_held_out_once_and_each_fold_is_stratified(self, folds: int) -> None:
        labels = np.repeat(np.arange(12), [50, *[3] * 10, 7])
        parts = [split(labels, fold=fold, folds=folds) for fold in range(folds)]
        assert sorted(np.concatenate([held for _, held in parts])) == list(range(len(labels)))
        for training, held in parts:
            assert sorted([*training, *held]) == list(range(len(labels)))
            assert len(held) in (len(labels) // folds, -(-len(labels) // folds))
            counted = np.bincount(labels[held], minlength=12)
            assert all(abs(count - size / folds) < 1 for count, size in zip(counted, np.bincount(labels)))

    def test_another_shuffle_holds_others_out_together(self) -> None:
        labels = np.repeat(np.arange(5), 40)
        held, other = (set(split(labels, folds=5, shuffle=shuffle)[1]) for shuffle in (0, 1))
        assert len(held & other) < 20
        assert set(split(labels, folds=5)[1]) == held

    def test_classes_of_one_size_come_in_one_order_whether_or_not_balance_is_asked_for(self) -> None:
        labels = np.repeat(np.arange(5), 40)
        assert everything(labels).tolist() == everything(labels, balanced=True).tolist()

    def test_it_is_the_same_tomorrow(self) -> None:
        assert split(np.zeros(100, np.int64))[1].tolist() == [3, 10, 18, 21, 41, 48, 49, 68, 82, 83]
        assert split(np.repeat([0, 1], 10))[0][:6].tolist() == [5, 18, 7, 11, 4, 16]

    def test_the_smallest_class_still_has_an_image_to_validate_on(self) -> None:
        labels = np.array([0] * 50 + [1, 1])
        training, held = split(labels)
        assert 1 in labels[training]
        assert 1 in labels[held]


def test_normalisation_is_that_of_the_images_trained_on() -> None:
    data = pictures()
    chosen = np.arange(0, 300)
    how = normalisation(data.train_images, chosen)
    values = data.train_images[chosen].astype(float) / 255
    assert how.mean[0] == pytest.approx(values.mean())
    assert how.std[0] == pytest.approx(values.std())


def test_every_image_is_seen_once_an_epoch() -> None:
    loader = batches(dataclasses.replace(RECIPE, batch=64))
    draw = torch.Generator().manual_seed(0)
    first, second = (torch.cat(list(loader.shuffled(draw))) for _ in range(2))
    assert sorted(first.tolist()) == list(range(400))
    assert sorted(second.tolist()) == list(range(400))
    assert first.tolist() != second.tolist()


def test_mapped_images_are_asked_for_a_batch_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = pictures(), list[tuple[int, int]]()
    np.save(tmp_path / "images.npy", data.train_images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    loader = batches(dataclasses.replace(RECIPE, batch=100), mapped)
    real = os.posix_fadvise

    def advise(file: int, offset: int, size: int, advice: int) -> None:
        asked.append((offset, size))
        real(file, offset, size, advice)

    monkeypatch.setattr(os, "posix_fadvise", advise)
    shown = loader.shuffled(torch.Generator().manual_seed(0))
    content, taken = (tmp_path / "images.npy").read_bytes(), list[int]()
    for number in range(4):
        taken += next(shown).tolist()
        assert len(asked) == min(400, 100 * (number + 2))
    assert [content[offset : offset + size] for offset, size in asked] == [mapped[index].tobytes() for index in taken]


def test_mapped_images_that_were_copied_to_the_device_are_asked_for_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another tensor stands in for one on another device; device "meta" shows that `to` gives one."""
    np.save(tmp_path / "images.npy", pictures().train_images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    images = data_module.tensor(mapped)
    assert data_module._placed(images, torch.device("meta"), 0) is not images
    monkeypatch.setattr(data_module, "_placed", lambda images, *_: images.clone())
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: pytest.fail("the disk was asked"))
    loader = batches(dataclasses.replace(RECIPE, batch=100), mapped)
    assert len(list(loader.shuffled(torch.Generator().manual_seed(0)))) == 4


@pytest.mark.parametrize(("spare", "there"), [(1000, True), (999, False)])
def test_images_are_on_the_device_where_the_training_fits_beside_them(
    spare: int, there: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    images, meta = torch.zeros(400, 1, 12, 12, dtype=torch.uint8), torch.device("meta")
    monkeypatch.setattr(data_module, "free_bytes", lambda _: images.nbytes + spare)
    with caplog.at_level("WARNING", "nas"):
        placed = data_module._placed(images, meta, 1000)
    assert (placed.device == meta) == there
    assert (placed is images) != there
    assert ("400 images do not fit on meta beside their training" in caplog.text) != there


@pytest.mark.parametrize("name", ["ResNet-18", "DenseNet-121", "EfficientNet-B0", "NASNet-A (4 @ 1056) mobile"])
def test_what_a_training_takes_is_several_times_what_one_way_back_needs(name: str) -> None:
    kept: dict[int, int] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return value

    architecture = zoo.architecture(name, Images(resolution=64, classes=10))
    built = network(architecture)
    own = {value.untyped_storage().data_ptr() for value in built.state_dict().values()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        built(torch.randn(4, 3, 64, 64).to(memory_format=torch.channels_last))
    way_back = sum(size for place, size in kept.items() if place not in own)
    counted = counts(architecture)
    estimated = training_bytes(counted, 4) - training_bytes(counted, 0)
    assert 2 < estimated / way_back < 8
    assert training_bytes(counted, 0) > 5 * sum(value.nbytes for value in built.parameters())


class TestAugmentation:
    ramp = np.arange(64 * 36, dtype=np.uint8).reshape(64, 1, 6, 6)

    def shown(self, epoch: int = 0, **recipe: object) -> torch.Tensor:
        plain = Recipe(epochs=2, flip=False, batch=64)
        loader = batches(dataclasses.replace(plain, **recipe), self.ramp)  # type: ignore[arg-type]
        next(loader.shuffled(torch.Generator(), epoch))
        images, labels = loader.batch(torch.arange(64), torch.Generator().manual_seed(0))
        assert labels.tolist() == pictures().train_labels[:64].tolist()
        return images * 255

    def test_none_leaves_images_as_they_are(self) -> None:
        assert torch.allclose(self.shown(), torch.from_numpy(self.ramp).float(), atol=1e-3)

    def test_flip_mirrors_half_of_them_and_the_others_an_epoch_later(self) -> None:
        raw = torch.from_numpy(self.ramp).float()
        seen = []
        for epoch in range(3):
            shown = self.shown(epoch, epochs=3, flip=True)
            kept, mirrored = (
                [torch.allclose(image, its, atol=1e-3) for image, its in zip(shown, either)]
                for either in (raw, raw.flip(-1))
            )
            assert mirrored == [not as_it_is for as_it_is in kept]
            seen.append(mirrored)
        first, second, third = seen
        assert 15 < sum(first) < 50
        assert [not before for before in first] == second
        assert third == first

    def test_crop_shifts_by_no_more_than_asked_for(self) -> None:
        shifted = self.shown(shift=0.17)
        moved = 0
        for image, original in zip(shifted, torch.from_numpy(self.ramp).float()):
            padded = torch.nn.functional.pad(original, (1, 1, 1, 1))
            views = [padded[:, y : y + 6, x : x + 6] for y in range(3) for x in range(3)]
            assert any(torch.allclose(image, view, atol=1e-3) for view in views)
            moved += not torch.allclose(image, original, atol=1e-3)
        assert moved > 30

    def test_cutout_blanks_one_square(self) -> None:
        bright = np.full((64, 1, 6, 6), 200, np.uint8)
        loader = batches(Recipe(epochs=2, flip=False, batch=64, cutout=0.5), bright)
        images, _ = loader.batch(torch.arange(64), torch.Generator().manual_seed(0))
        blank = (images == 0).flatten(1).sum(1)
        assert blank.min() >= 1
        assert blank.max() == 9

    def test_the_last_epochs_show_images_as_they_are(self) -> None:
        raw, how = torch.from_numpy(self.ramp).float(), {"flip": True, "shift": 0.17, "cutout": 0.33}
        seen = [self.shown(epoch, epochs=5, clean=0.4, **how) for epoch in range(5)]
        assert [torch.allclose(shown, raw, atol=1e-3) for shown in seen] == [False, False, False, True, True]
        assert not torch.allclose(self.shown(4, epochs=5, **how), raw, atol=1e-3)
        assert torch.allclose(self.shown(0, epochs=5, clean=1.0, **how), raw, atol=1e-3)

    def test_another_resolution_is_resized_to(self) -> None:
        raw = torch.from_numpy(pictures().train_images[:4])
        assert View(18, PLAIN, CPU)(raw).shape == (4, 1, 18, 18)
