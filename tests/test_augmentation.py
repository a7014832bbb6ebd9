"""Images changed at random: what each change keeps, and that it is none at its zero value."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.recipes import RECIPES, Recipe, in_fractions
from nas.training.augmentation import cropped, mixed, moved, uncut, unerased
from nas.training.changes import CHANGES, affine, changed
from nas.training.data import Batches, Normalisation, View
from tests.pictures import pictures
from tests.trainings import CPU, PLAIN, batches

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPED = range(5)  # changes of the shape; the others are of the colours


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def photographs() -> Tensor:
    return torch.randint(20, 236, (40, 3, 16, 24), generator=draw(5)).float()


@pytest.mark.parametrize(
    "change",
    [
        lambda images, by: moved(images, by, draw(), None),
        lambda images, by: cropped(images, 1 - by, draw()),
        lambda images, by: changed(images, by, draw()),
        lambda images, by: images * uncut(images, by, draw()),
        lambda images, by: images * unerased(images, by, draw()),
        lambda images, by: mixed(images, torch.arange(40) % 4, 4, by, 0, draw())[0],
        lambda images, by: mixed(images, torch.arange(40) % 4, 4, 0, by, draw())[0],
    ],
    ids=["shift", "crop", "augment", "cutout", "erase", "mixup", "cutmix"],
)
def test_it_is_none_at_zero_and_otherwise_in_the_range_and_drawn_from_its_generator(
    change: Callable[[Tensor, float], Tensor], photographs: Tensor
) -> None:
    before, state = photographs.clone(), torch.get_rng_state()
    assert torch.equal(change(photographs, 0), photographs)
    first, again = change(photographs, 0.5), change(photographs, 0.5)
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state), "nothing but the generator is drawn from"
    assert not torch.equal(first, photographs)
    assert torch.equal(photographs, before), "what is changed is a copy"
    assert first.shape == photographs.shape
    assert first.min() >= 0
    assert first.max() <= 255 + 1e-3


class TestShapes:
    def test_an_affine_change_shows_what_was_there(self) -> None:
        image = torch.arange(12.0).view(1, 1, 3, 4)
        assert torch.allclose(affine(image, c=2 / 4), torch.nn.functional.pad(image, (0, 1))[..., 1:], atol=1e-4)
        assert torch.allclose(affine(image, f=-2 / 3)[..., 1:, :], image[..., :-1, :], atol=1e-4)
        assert torch.allclose(affine(image, a=-1.0), image.flip(-1), atol=1e-4)

    def test_a_crop_is_a_part_of_the_image_in_the_size_of_the_whole(self) -> None:
        ramp = torch.arange(64.0).expand(200, 1, 64, 64)
        widths = (lambda shown: shown[:, 0, 30, -1] - shown[:, 0, 30, 0])(cropped(ramp, 0.25, draw())) / 63
        assert widths.max() <= 1.001
        assert 0.4 < widths.min() < 0.55  # the root of 0.25, narrower where it is high
        tall = cropped(ramp.transpose(2, 3), 0.25, draw())
        heights = (tall[:, 0, -1, 30] - tall[:, 0, 0, 30]) / 63
        area = widths * heights
        assert area.min() > 0.2
        assert 0.5 < area.mean() < 0.7
        assert ((widths - heights).abs() > 0.05).float().mean() > 0.5
        assert cropped(ramp, 0.25, draw()).std(0).max() > 0, "each has its own"

    def test_a_shift_is_a_part_of_each_side(self) -> None:
        image = torch.zeros(300, 1, 20, 40, dtype=torch.uint8)
        image[:, :, 10, 20] = 1
        _, _, rows, columns = moved(image, 0.1, draw(), None).nonzero(as_tuple=True)
        ends = [int(end) for places in (rows, columns) for end in (places.min(), places.max())]
        assert ends == [8, 12, 16, 24]


class TestChanges:
    @pytest.mark.parametrize("number", range(len(CHANGES)))
    def test_each_is_none_of_no_strength_and_grows_with_it(self, number: int, photographs: Tensor) -> None:
        def off(by: float) -> float:
            shown = CHANGES[number](photographs, torch.full((40,), by))
            assert shown.min() >= 0
            assert shown.max() <= 255 + 1e-3
            return float((shown - photographs).abs().mean())

        assert off(0.0) < 1e-3
        assert off(0.9) > off(0.2) or number not in SHAPED
        assert off(0.9) > 1
        assert off(-0.9) > 1

    def test_of_a_batch_each_image_has_its_own_and_some_have_none(self) -> None:
        images = torch.randint(0, 256, (1, 3, 12, 12), generator=draw()).float().expand(400, -1, -1, -1)
        shown = changed(images, 1.0, draw())
        as_they_were = (shown == images).flatten(1).all(1).float().mean()
        assert 0.03 < as_they_were < 0.2
        assert len({image.numpy().tobytes() for image in shown}) > 300

    def test_grey_images_are_changed_too(self) -> None:
        assert changed(torch.rand(64, 1, 8, 8) * 255, 1.0, draw()).shape == (64, 1, 8, 8)

    def test_colours_go_towards_what_they_are_named_after(self, photographs: Tensor) -> None:
        _, contrast, colour, _, posterized, solarized, spread, equalized = CHANGES[5:]
        whole, dull = torch.ones(40), photographs / 4 + 50
        assert contrast(photographs, whole).std((1, 2, 3)).max() < 2
        assert colour(photographs, whole).std(1).max() < 2
        assert len(set(posterized(photographs, whole).flatten().tolist())) == 4
        assert torch.equal(solarized(photographs, whole), torch.where(photographs > 0, 255 - photographs, 0.0))
        assert spread(dull, whole).amin((2, 3)).max() < 1e-3
        assert spread(dull, whole).amax((2, 3)).min() > 254.9
        flat = equalized(photographs**2 / 255, whole).mean((2, 3))
        assert (flat - 128).abs().max() < 3
        assert torch.equal(spread(torch.full((1, 3, 4, 4), 9.0), torch.ones(1)), torch.full((1, 3, 4, 4), 9.0))


class TestErased:
    def test_so_many_images_have_a_rectangle_blanked(self) -> None:
        images = torch.ones(1000, 1, 40, 40)
        blank = (~unerased(images, 0.3, draw())).flatten(1).float().mean(1)
        assert 0.25 < (blank > 0).float().mean() < 0.35
        assert blank.max() <= 0.36
        assert 0.05 < blank[blank > 0].mean() < 0.18


class TestMixed:
    labels = torch.arange(200) % 4
    images = labels[:, None, None, None].float().expand(-1, 1, 20, 20) * 10

    @pytest.mark.parametrize(("mixup", "cutmix"), [(1.0, 0.0), (0.0, 1.0), (0.4, 0.4)])
    def test_labels_are_the_shares_that_images_have(self, mixup: float, cutmix: float) -> None:
        """An image is as bright as its class is high, so a mixture's brightness tells its label."""
        images, labels = mixed(self.images, self.labels, 5, mixup, cutmix, draw(3))
        assert labels.shape == (200, 5)
        assert torch.allclose(labels.sum(1), torch.ones(200))
        assert torch.allclose(images.mean((1, 2, 3)), labels @ torch.arange(5.0) * 10, atol=1e-3)
        own = labels.gather(1, self.labels[:, None])
        assert 0.4 < own.mean() < 0.85
        assert own.std() > 0.1, "each image has a share of its own"

    def test_a_mixture_is_of_all_pixels_and_a_cut_of_whole_ones(self) -> None:
        blended = mixed(self.images, self.labels, 4, 1.0, 0, draw())[0]
        assert (blended.flatten(1).std(1) < 1e-3).all()
        cut = mixed(self.images, self.labels, 4, 0, 1.0, draw())[0]
        assert set(cut.flatten().tolist()) == {0, 10, 20, 30}

    def test_where_both_are_asked_for_either_is_done(self) -> None:
        kinds = {
            bool((mixed(self.images, self.labels, 4, 1.0, 1.0, draw(seed))[0].flatten(1).std(1) < 1e-3).all())
            for seed in range(8)
        }
        assert kinds == {True, False}


class TestBatches:
    def shown(self, recipe: Recipe, epoch: int = 0, size: int = 12) -> tuple[Tensor, Tensor]:
        loader = batches(recipe, pictures().train_images[..., :size, :size])
        next(loader.shuffled(draw(), epoch))
        return loader.batch(torch.arange(64), draw(1))

    everything = Recipe(
        epochs=4, batch=64, shift=0.1, crop=0.5, augment=0.5, cutout=0.2, erase=0.5, mixup=0.2, cutmix=1.0, clean=0.25
    )

    def test_all_of_it_together_is_the_same_of_one_draw_and_ends_for_the_last_epochs(self) -> None:
        images, labels = self.shown(self.everything)
        assert torch.equal(images, self.shown(self.everything)[0])
        assert (images.dtype, images.shape, labels.shape) == (torch.float32, (64, 1, 12, 12), (64, 4))
        clean, numbers = self.shown(self.everything, epoch=3)
        raw = torch.from_numpy(pictures().train_images[:64]).float() / 255
        assert torch.allclose(clean, raw, atol=1e-5)
        assert numbers.tolist() == pictures().train_labels[:64].tolist()

    def test_labels_have_as_many_shares_as_the_network_has_answers(self) -> None:
        data, recipe = pictures(), dataclasses.replace(self.everything, clean=0.0)
        view = View(12, PLAIN, CPU)
        loader = Batches(data.train_images, data.train_labels, np.arange(64), recipe, view, CPU, classes=7)
        next(loader.shuffled(draw()))
        assert loader.batch(torch.arange(64), draw())[1].shape == (64, 7)

    def test_the_mean_image_stays_about_where_it_was(self) -> None:
        """Of shapes and colours that are changed both ways; zeros from outside make it a little darker."""
        recipe = Recipe(epochs=2, batch=64, flip=False, crop=0.5, augment=0.3)
        before = self.shown(Recipe(epochs=2, batch=64, flip=False))[0].mean()
        assert abs(self.shown(recipe)[0].mean() - before) < 0.15 * before

    def test_images_grow_in_four_steps_to_the_resolution(self) -> None:
        data = pictures()
        view = View(64, Normalisation(mean=(0.5,), std=(0.5,)), CPU)
        sides = []
        for epochs in (8, 2, 1):
            recipe = Recipe(epochs=epochs, batch=64, start_size=0.5, crop=0.5)
            loader = Batches(data.train_images, data.train_labels, np.arange(64), recipe, view, CPU)
            for epoch in range(epochs):
                next(loader.shuffled(draw(), epoch))
                images = loader.batch(torch.arange(4), draw())[0]
                assert images.shape[2] == images.shape[3]
                sides.append(images.shape[2])
        assert sides == [32, 32, 40, 40, 56, 56, 64, 64, 40, 64, 64]

    @pytest.mark.parametrize(("resolution", "size", "side"), [(30, 0.98, 30), (28, 0.7, 16), (6, 0.5, 6), (64, 0.1, 8)])
    def test_smaller_sizes_are_divided_by_strides_and_never_larger(
        self, resolution: int, size: float, side: int
    ) -> None:
        assert View(resolution, PLAIN, CPU)(torch.zeros(2, 1, 12, 12), size).shape[2:] == (side, side)


def test_recipes_with_names_do_what_they_did_with_pixels() -> None:
    for name, pixels in (("dense", 1), ("full", 2), ("paper", 4)):
        assert [round(RECIPES[name].shift * side) for side in (28, 32)] == [pixels, pixels]
    assert round(RECIPES["full"].cutout * 28) == 8


@pytest.mark.parametrize("side", [28, 32, 224])
def test_pixels_of_earlier_versions_are_as_many_in_parts(side: int) -> None:
    for pixels in range(side + 1):
        read: dict[str, Any] = in_fractions({"crop_pixels": pixels, "cutout_pixels": pixels, "batch": 7}, side)
        assert read.keys() == {"shift", "cutout", "batch"}
        assert [round(read[name] * side) for name in ("shift", "cutout")] == [pixels, pixels]
    assert in_fractions({"crop_pixels": 256, "cutout_pixels": 0}, 28) == {"shift": 1.0, "cutout": 0.0}
    assert in_fractions({"shift": 0.1}, 28) == {"shift": 0.1}
