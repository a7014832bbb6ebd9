"""Processes that train one network together."""

import dataclasses
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from torch import nn

from nas import home
from nas.codec import encode
from nas.evaluate import evaluate
from nas.networks.architecture import Images
from nas.networks.blocks import network
from nas.recipes import Recipe
from nas.records import Progress
from nas.refusal import Refusal
from nas.specs import GrowthSpec
from nas.training import TrainingFailed
from nas.training.data import Batches, View, everything
from nas.training.precision import Precision, _fingerprint, precision
from nas.training.team import ALONE, Team, joined
from nas.training.train import Epoch, train
from tests.dataset_files import fill
from tests.pictures import RECIPE, TINY, job, pictures
from tests.trainings import CPU, PLAIN

pytestmark = pytest.mark.usefixtures("one_thread")
SHORT = dataclasses.replace(RECIPE, epochs=2, drop_path=0.0, label_smoothing=0.0)


def plain(*, norms: bool) -> nn.Module:
    torch.manual_seed(0)
    built = network(dataclasses.replace(TINY, dropout=0.0))  # which each draws for itself
    if not norms:
        for module in list(built.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.BatchNorm2d):
                    setattr(module, name, nn.Identity())
    return built


def learnt(built: nn.Module, team: Team, recipe: Recipe) -> tuple[nn.Module, list[Epoch]]:
    data, epochs = pictures(), list[Epoch]()
    view = View(12, PLAIN, CPU)
    rows = everything(data.train_labels)[:133]  # batches of 33 and 34, which two do not share evenly
    batches = Batches(data.train_images, data.train_labels, rows, recipe, view, CPU, team=team)
    train(built, batches, recipe, seed=0, device=CPU, team=team, after_epoch=epochs.append)
    return built, epochs


def side_by_side(recipe: Recipe, *networks: nn.Module) -> list[tuple[nn.Module, list[Epoch]]]:
    """What each of a team comes to, of threads with these networks, which are built before as all share one dice."""
    size = len(networks)
    store, came = torch.distributed.HashStore(), dict[int, Any]()  # type: ignore[attr-defined]

    def begin(rank: int) -> None:
        came[rank] = learnt(networks[rank], joined(store, rank, size, CPU), recipe)

    threads = [threading.Thread(target=begin, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [came[rank] for rank in range(size)]


def test_two_processes_take_the_steps_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # In bfloat16, where it pays, the halves of a batch round otherwise than the whole.
    monkeypatch.setattr("nas.training.precision.precision", lambda _: Precision(dense=False, depthwise=()))
    recipe = dataclasses.replace(SHORT, flip=False, shift=0.0)
    one, epochs = learnt(plain(norms=False), ALONE, recipe)
    both = side_by_side(recipe, plain(norms=False), plain(norms=False))
    expected = one.state_dict()
    for other, its in both:
        for name, value in other.state_dict().items():
            torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-5)
        assert [epoch.loss for epoch in its] == pytest.approx([epoch.loss for epoch in epochs], rel=1e-3)


def test_norms_see_their_parts_and_all_end_with_the_same_network() -> None:
    recipe = dataclasses.replace(SHORT, epochs=1, shift=0.2)
    (one, _), (other, epochs) = side_by_side(recipe, plain(norms=True), plain(norms=True))
    state = other.state_dict()
    assert any("running_mean" in name for name in state)
    assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())
    alone, _ = learnt(plain(norms=True), ALONE, recipe)
    assert not all(torch.equal(value, state[name]) for name, value in alone.state_dict().items())
    assert 0 < epochs[0].loss < 1.6


def test_each_has_images_of_its_own_and_draws_for_itself() -> None:
    data = pictures()
    rows, view = everything(data.train_labels)[:133], View(12, PLAIN, CPU)
    seen, drawn = list[set[int]](), set[int]()
    for rank in range(3):
        draw = torch.Generator()
        draw.manual_seed(5)
        batches = Batches(data.train_images, data.train_labels, rows, SHORT, view, CPU, team=Team(rank, 3))
        parts = list(batches.shuffled(draw))
        assert len(parts) == len(batches) == 4
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        seen.append({int(index) for part in parts for index in part})
        drawn.add(int(torch.randint(0, 2**40, (), generator=draw)))
    assert set.union(*seen) == set(rows.tolist())
    assert sum(map(len, seen)) == len(rows)
    assert len(drawn) == 3


def test_processes_train_a_job_and_one_that_was_cut_off_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Images(resolution=8, channels=3, classes=2)
    work = job(
        dataset=f"folder:{fill(tmp_path / 'pictures', images=24)}",
        architecture=dataclasses.replace(TINY, images=images),
        recipe=dataclasses.replace(RECIPE, epochs=2, batch=16),
        devices=("cpu_eager",),
        save_weights=True,
        processes=2,
    )
    kept = home.folder("probes") / f"{_fingerprint(CPU)}.json"
    kept.write_text(json.dumps(encode(precision(CPU))))  # or each process would try it out in this new home
    begun, seen = list["subprocess.Popen[str]"](), list[int]()

    class Watched(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            begun.append(self)

    monkeypatch.setattr("nas.training.team.subprocess.Popen", Watched)

    def cut(progress: Progress) -> None:
        seen.append(progress.epoch)
        if progress.epoch == 1:
            stdin = begun[0].stdin
            assert stdin is not None
            stdin.close()  # as if this process were gone

    with pytest.raises(TrainingFailed, match="of 2 processes that train together number 1 has ended: exit status 1"):
        evaluate(work, cut)
    assert max(seen) == 1
    epochs = list[int]()
    again = evaluate(work, lambda progress: epochs.append(progress.epoch) if progress.phase == "training" else None)
    assert epochs == [1, 2]  # from where it was
    assert again.weights
    assert len(begun) == 2
    assert all(other.poll() is not None for other in begun)


def test_a_batch_has_images_for_every_process() -> None:
    with pytest.raises(Refusal, match="batch 6 leaves 4 processes less than 2 images each") as refused:
        GrowthSpec(dataset="x", space="mbconv", architecture=TINY, processes=4, recipe=Recipe(batch=6))
    assert refused.value.field == "processes"
