"""Weights that networks share: which networks can, and that each works with them as it is cut out."""

import copy
import dataclasses
import random
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from nas import parents, spaces, surroundings
from nas.evaluate import evaluate
from nas.inheritance import CannotInherit, inherited, sliced
from nas.inheritance.streams import first, ranked
from nas.measurements import Measurement
from nas.models import checkpoint
from nas.nesting import apart, largest
from nas.networks.architecture import random_choices
from nas.networks.blocks import network
from nas.noise import standard_error
from nas.recipes import Recipe
from nas.refusal import Refusal
from nas.training import folds, parts
from nas.training.data import View
from nas.training.supernet import Children, calibrate
from nas.training.train import Epoch, train
from tests.pictures import RECIPE, TINY, job, pictures, saved
from tests.trainings import CPU, PLAIN, batches, ignore

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGES = TINY.images
WHOLE = dataclasses.replace(TINY, stages=(dataclasses.replace(TINY.stages[0], channels=16),))
SPACE = surroundings.around(WHOLE)
KNOBS = SPACE.knobs(IMAGES)
LARGEST = largest(SPACE, KNOBS, IMAGES)
SMALLEST = SPACE.architecture(LARGEST.smallest, IMAGES)
CHILDREN = Children(space=SPACE, knobs=KNOBS, whole=WHOLE, smallest=LARGEST.smallest)


def shared(recipe: Recipe, *, sandwich: bool = True, epochs: list[Epoch] | None = None, start: int = 0) -> nn.Module:
    """The largest network, trained with its children or alone; from epoch `start` of those that are given."""
    torch.manual_seed(0)
    whole = network(WHOLE)
    train(
        whole,
        batches(recipe),
        recipe,
        seed=0,
        device=CPU,
        start=epochs[start - 1].state if epochs and start else None,
        children=CHILDREN if sandwich else None,
        after_epoch=ignore if epochs is None or start else lambda epoch: epochs.append(copied(epoch)),
    )
    return whole


def copied(epoch: Epoch) -> Epoch:
    network = {name: value.clone() for name, value in epoch.state.network.items()}
    optimizer = copy.deepcopy(epoch.state.optimizer)
    return dataclasses.replace(epoch, state=dataclasses.replace(epoch.state, network=network, optimizer=optimizer))


def agreement(whole: nn.Module) -> float:
    """The part of unseen images that the smallest child, by slices and statistics, takes for what the largest does."""
    child, data = inherited(whole, WHOLE, SMALLEST, choose=first).network, pictures()
    view, smaller = (View(pixels, PLAIN, CPU) for pixels in (12, SMALLEST.images.resolution))
    calibrate(child, [smaller(torch.from_numpy(data.train_images[:200]))])
    unseen = torch.from_numpy(data.test_images)
    with torch.no_grad():
        return float((child(smaller(unseen)).argmax(1) == whole.eval()(view(unseen)).argmax(1)).float().mean())


def test_every_network_of_the_knobs_is_a_part_of_the_largest() -> None:
    whole = network(WHOLE)
    for seed in range(4):
        part = SPACE.architecture(random_choices(KNOBS, random.Random(seed)), IMAGES)
        assert apart(WHOLE, part) is None
        assert sliced(whole, WHOLE, network(part), part).share == 1
    shallow = dataclasses.replace(WHOLE, stages=(dataclasses.replace(WHOLE.stages[0], repeats=1),))
    assert apart(SMALLEST, WHOLE) == "its images are larger"
    assert apart(shallow, WHOLE) == "stage 1 is larger"


def test_knobs_that_no_network_holds_all_choices_of_are_named_with_what_to_narrow() -> None:
    mbconv = spaces.load("mbconv")
    with pytest.raises(Refusal, match=r"stage1\.op, .*for instance to stage1\.op: \['fused'\], stage1\.expand") as told:
        largest(mbconv, mbconv.knobs(IMAGES), IMAGES)
    assert told.value.field == "knobs"
    one = {knob: options[:1] for knob, options in KNOBS.items()}
    with pytest.raises(Refusal, match="the knobs leave one network"):
        largest(SPACE, one, IMAGES)


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_spaces_without_stages_share_no_weights(space: str) -> None:
    module = spaces.load(space)
    with pytest.raises(Refusal, match="weights 'shared' are for networks of stages") as told:
        largest(module, module.knobs(IMAGES), IMAGES)
    assert told.value.field == "weights"


def test_the_smallest_child_works_where_it_was_trained_with_the_largest_and_not_where_it_was_left_out() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=3, batch=40)
    with_it, without = agreement(shared(recipe)), agreement(shared(recipe, sandwich=False))
    assert with_it > 0.6, (with_it, without)
    assert without < with_it - 0.3, (with_it, without)


def test_a_training_that_is_taken_up_again_ends_with_the_same_weights() -> None:
    recipe, epochs = dataclasses.replace(RECIPE, epochs=2, batch=180), list[Epoch]()
    whole = shared(recipe, epochs=epochs).state_dict()
    again = shared(recipe, epochs=epochs, start=1).state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_calibration_changes_statistics_alone() -> None:
    built = network(SMALLEST)
    before = {name: value.clone() for name, value in built.state_dict().items()}
    halves = [torch.randn(32, 1, 8, 8) + 3 for _ in range(2)]
    calibrate(built, halves)
    moved = {name for name, value in built.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if "running" in name or "num_batches" in name}
    calibrated = {name: value.clone() for name, value in built.state_dict().items()}
    calibrate(built, halves)  # whatever they were before
    assert all(torch.equal(value, calibrated[name]) for name, value in built.state_dict().items())
    norm = built.get_submodule("0.1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.momentum == 0.1
    assert not built.training


def test_sorted_by_importance_a_network_answers_what_it_did() -> None:
    torch.manual_seed(0)
    built, images = network(WHOLE).eval(), torch.randn(4, 1, 12, 12)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.uniform_(0.5, 1.5)
    turned = inherited(built, WHOLE, WHOLE, choose=ranked).network
    assert torch.allclose(turned(images), built(images), atol=1e-4)
    before, after = (each.get_parameter("0.1.weight").tolist() for each in (built, turned))
    assert after == sorted(before, reverse=True)
    assert after != before


@pytest.mark.usefixtures("own_home")
class TestJobs:
    """Around a parent that has its children's channels in any order, which its supernet has not."""

    def supernet(self, epochs: int = 1, batch: int = 100) -> Measurement:
        return evaluate(
            job(
                architecture=WHOLE,
                children=dict(KNOBS),
                parent=saved(WHOLE),
                recipe=dataclasses.replace(RECIPE, epochs=epochs, batch=batch),
                save_weights=True,
            ),
            images=pictures(),
        )

    def child(self, parent: str | None, **changes: object) -> Measurement:
        child = {"architecture": SMALLEST, "parent": parent, "calibrated": True, "pixels": 12, "save_weights": True}
        return evaluate(job(number=1, **(child | changes)), images=pictures())

    def test_a_child_is_scored_with_its_slices_and_is_not_trained(self) -> None:
        whole = self.supernet()
        assert parents.described(whole.weights or "").shared
        child = self.child(whole.weights)
        assert (child.inherited, child.steps, child.learning_rate, child.trained_on) == (1, 0, None, None)
        assert self.child(whole.weights, seed=5).accuracy == child.accuracy
        kept, _ = checkpoint.load(checkpoint.artifact(child.weights or ""))
        parent, card = checkpoint.load(checkpoint.artifact(whole.weights or ""))
        cut = inherited(parent, card.architecture, SMALLEST, choose=first).network
        weights = dict(kept.named_parameters())
        assert all(torch.equal(weights[name], value) for name, value in cut.named_parameters())

    def test_all_that_share_weights_are_scored_on_the_same_few_images_and_a_final_on_all(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parts, "MOST_SCORED", 7)
        whole = self.supernet()
        child, final = self.child(whole.weights), self.child(whole.weights, calibrated=False)
        few, every = (
            parts.parts(one, RECIPE, pictures())[0].held
            for one in (job(architecture=WHOLE, children=dict(KNOBS)), job(architecture=WHOLE))
        )
        assert (few[0], few[-1], len(every) > 7) == (every[0], every[-1], True)
        assert [its.answers and its.answers.images for its in (whole, child, final)] == [7, 7, len(every)]
        assert child.accuracy_error == standard_error(child.accuracy or 0.0, 7)

    @pytest.mark.parametrize("norms", ["live", "frozen"])
    def test_a_child_has_statistics_of_its_own_unless_it_was_trained_with_those_that_it_inherits(
        self, norms: Literal["live", "frozen"]
    ) -> None:
        whole = self.supernet().weights or ""
        child = self.child(whole, recipe=dataclasses.replace(RECIPE, norms=norms))
        kept, _ = checkpoint.load(checkpoint.artifact(child.weights or ""))
        parent, card = checkpoint.load(checkpoint.artifact(whole))
        cut = dict(inherited(parent, card.architecture, SMALLEST, choose=first).network.named_buffers())
        means = [(value, cut[name]) for name, value in kept.named_buffers() if name.endswith("running_mean")]
        assert means
        assert all(torch.equal(*pair) == (norms == "frozen") for pair in means)

    def test_what_training_on_makes_worse_stays_what_it_was(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        whole = self.supernet(epochs=6, batch=20).weights
        before = self.child(whole)

        def trained_by(factor: float, parent: str | None) -> tuple[Measurement, dict[str, Tensor]]:
            """By a training that multiplies the weights of the last layer."""

            def multiplied(network: nn.Module, *_: object, **__: object) -> None:
                for weights in list(network.parameters())[-2:]:
                    weights.data.mul_(factor)

            monkeypatch.setattr(folds, "train", multiplied)
            after = self.child(parent, calibrated=False)
            return after, checkpoint.load(checkpoint.artifact(after.weights or ""))[0].state_dict()

        kept = checkpoint.load(checkpoint.artifact(before.weights or ""))[0].state_dict()
        alone, _ = trained_by(-1, before.weights)  # which nobody shares
        assert (alone.accuracy or 0) < (before.accuracy or 0)
        assert not caplog.text
        after, weights = trained_by(-1, whole)
        assert after.answers == before.answers
        assert all(torch.equal(weights[name], value) for name, value in kept.items())
        assert "training on cost" in caplog.text
        after, weights = trained_by(2, whole)  # which is no worse
        assert after.answers == before.answers
        assert torch.equal(list(weights.values())[-1], 2 * list(kept.values())[-1])

    def test_a_network_that_is_no_part_is_refused(self) -> None:
        with pytest.raises(CannotInherit, match="% of its weights from its parent, and is not trained"):
            self.child(saved(SMALLEST), architecture=WHOLE)

    def test_a_child_needs_a_parent(self) -> None:
        with pytest.raises(Refusal, match="name one"):
            self.child(None)
