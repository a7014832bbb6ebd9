"""Networks that are judged in 8 bits: their accuracy, what they did before, and those that collapse."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas import home, latencies
from nas.codec import decode, encode
from nas.devices import cpu
from nas.evaluate import evaluate
from nas.limits import LEAST_LOAD, load
from nas.measurements import Latency, Measurement
from nas.metering import Options
from nas.models import checkpoint, score
from nas.networks.architecture import Images
from nas.objective import Objective
from nas.plans.search import SearchPlan
from nas.quantisation import after_training, in_torch
from nas.records import Job
from nas.rounding import Rounding, collapsed
from nas.searchers import Costed, Outcome
from nas.specs import GrowthSpec, Limits, SearchSpec
from nas.training import folds
from nas.training.accuracy import Answered
from nas.training.resume import Fold, Resume, Unfinished
from nas.training.train import State
from tests.pictures import RECIPE, TINY, job, pictures
from tests.service import latency

DEVICE = "cpu:dtype=int8"


@pytest.fixture(autouse=True)
def _home(one_thread: None) -> None:
    """Of each test's own."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In which precisions latency was measured; nothing is."""
    precisions: list[str] = []

    def measured(network: nn.Module, images: Images, options: Options) -> Latency:
        precisions.append(options.dtype)
        return dataclasses.replace(latency(1.0), device=options.said("cpu"))

    monkeypatch.setattr(cpu, "latency", measured)
    return precisions


def found_by(monkeypatch: pytest.MonkeyPatch, *, per_channel: bool = False, says: int | None = None) -> None:
    """Quantised networks are as if these scales had been kept; and all of them say the same, if they are to."""

    class Constant(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.eye(4)[says].expand(len(images), 4)

    monkeypatch.setattr(
        folds, "after_training", lambda *rest: dataclasses.replace(after_training(*rest), per_channel=per_channel)
    )
    monkeypatch.setattr(folds, "in_torch", lambda found: in_torch(found) if says is None else Constant())


def test_accuracy_is_that_of_the_quantised_network_and_the_other_is_kept_beside_it(asked: list[str]) -> None:
    plain = evaluate(job(devices=(DEVICE,)), images=pictures())
    found = evaluate(job(devices=(DEVICE,), precision="int8", save_weights=True), images=pictures())
    assert plain.rounding is None
    assert found.rounding is not None
    assert (found.rounding.float32, found.rounding.int8) == (plain.accuracy, found.accuracy)
    assert found.accuracy == pytest.approx(plain.accuracy, abs=0.15)
    assert found.answers
    assert found.answers.bits.bit_count() == round(found.rounding.int8 * found.answers.images)
    assert decode(Measurement, encode(found)) == found
    path = checkpoint.artifact(found.weights or "")
    card = checkpoint.card(path)
    assert (card.accuracy, card.rounding) == (found.rounding.float32, found.rounding)
    assert score.score(path, images=pictures()).kept  # the checkpoint's promise is its own


def test_of_a_network_that_says_the_same_of_all_8_bits_are_known_to_be_why(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by(monkeypatch, says=2)
    wanted = job(devices=(DEVICE,), precision="int8", limits=Limits(most_drop=5.0), recipe=RECIPE, save_weights=True)
    found = evaluate(wanted, images=pictures())
    assert found.rounding is not None
    assert found.rounding.int8 == pytest.approx(0.25, abs=0.05)
    assert found.refused == collapsed(5.0, found.rounding)
    assert found.refused is not None
    assert "over the most_drop of 5" in found.refused
    assert (found.accuracy, found.weights) == (None, None)
    assert found.train_seconds > 0
    assert not list(home.folder("resume").iterdir())
    assert evaluate(dataclasses.replace(wanted, limits=Limits()), images=pictures()).accuracy == found.rounding.int8


@pytest.mark.parametrize(
    ("most", "float32", "refused"), [(5.0, 0.9, False), (5.0, 0.951, True), (None, 1.0, False), (5.0, 0.1, False)]
)
def test_a_drop_over_the_limit_is_a_collapse(most: float | None, float32: float, refused: bool) -> None:
    assert (collapsed(most, Rounding(float32=float32, int8=0.9, per_channel=False)) is not None) is refused


def test_latency_is_taken_again_of_a_network_that_needs_scales_by_the_channel(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by(monkeypatch, per_channel=True)
    found = evaluate(job(devices=(DEVICE, "cpu"), precision="int8"), images=pictures())
    assert asked == ["int8", "float32", "int8_per_channel"]
    assert found.latencies[DEVICE].device == "cpu:dtype=int8_per_channel"
    assert found.latencies["cpu"].device == "cpu"
    assert found.rounding
    assert found.rounding.per_channel
    asked.clear()
    latencies.measured_again(job(devices=(DEVICE,)), nn.Identity(), found)
    assert asked == []


def test_what_was_said_in_both_precisions_is_gone_on_from() -> None:
    def said(number: int) -> Answered:
        return Answered(torch.tensor([number]), torch.tensor([0.5]), torch.tensor([0.7]))

    state = State(epoch=1, network={}, optimizer={}, average=None)
    costed = Measurement(params=1, mult_adds=1)
    before = Unfinished(
        costed=costed,
        learning_rate=0.1,
        folds=(Fold(answered=said(1), single=said(2), per_channel=True), Fold(answered=said(3))),
        state=state,
    )
    resume = Resume(job(precision="int8"), pictures().info)
    resume.save(before)
    after = resume.load()
    assert after is not None
    first, second = after.folds
    assert first.single is not None
    assert (int(first.answered.taken_for), int(first.single.taken_for), first.per_channel) == (1, 2, True)
    assert (int(second.answered.taken_for), second.single) == (3, None)
    assert Resume(job(), pictures().info).load() is None  # which is judged otherwise


class TestSearch:
    """That of a search for int8."""

    SPEC = SearchSpec(
        dataset="fashion_mnist",
        searcher="random",
        objective=Objective(precision="int8"),
        devices=(DEVICE,),
        limits=Limits(most_drop=4.0, latency_ms=2.0),
    )

    def outcome(self, **changes: Any) -> Costed | None:
        plan = SearchPlan("run", self.SPEC, 20, Images(resolution=28, channels=1, classes=10))
        return plan._outcome(Measurement(params=10, mult_adds=10, latencies={DEVICE: latency(1.0)}, **changes))

    def test_its_jobs_are_judged_so(self) -> None:
        plan = SearchPlan("run", self.SPEC, 20, Images(resolution=28, channels=1, classes=10))
        first = plan.ask(0)
        assert isinstance(first, Job)
        assert (first.precision, first.limits.most_drop) == ("int8", 4.0)

    def test_a_collapse_is_learnt_from_as_infeasible(self) -> None:
        rounding = Rounding(float32=0.9, int8=0.5, per_channel=False)
        told = self.outcome(refused="drop", rounding=rounding)
        assert not isinstance(told, Outcome)
        assert told is not None
        assert told.load == pytest.approx(10.0)
        kept = self.outcome(accuracy=0.87, rounding=Rounding(float32=0.9, int8=0.87, per_channel=False))
        assert isinstance(kept, Outcome)
        assert kept.load == pytest.approx(0.75)

    def test_the_load_is_of_what_is_nearest_to_its_limit(self) -> None:
        def at(int8: float, latency_ms: float | None, limits: Limits = self.SPEC.limits) -> float | None:
            rounding = Rounding(float32=0.9, int8=int8, per_channel=False)
            return load(limits, rounding, latency_ms)

        assert at(0.89, 1.8) == pytest.approx(0.9)
        assert at(0.95, None) == LEAST_LOAD  # it has gained
        assert at(0.5, 1.8, Limits(latency_ms=2.0)) == pytest.approx(0.9)
        assert at(0.5, 1.8, Limits()) is None


def test_records_of_before_8_bits_are_read() -> None:
    for record, kind in ((job(), Job), (GrowthSpec(dataset="x", space="mbconv", architecture=TINY), GrowthSpec)):
        data = encode(record)
        assert data.pop("precision") == "float32"
        assert decode(kind, data) == record
    data = encode(SearchSpec(dataset="x"))
    del data["objective"]["precision"], data["limits"]["most_drop"]
    assert decode(SearchSpec, data) == SearchSpec(dataset="x")


def test_folds_are_each_quantised_and_judged_together(asked: list[str]) -> None:
    recipe = dataclasses.replace(RECIPE, folds=2, epochs=1)
    found = evaluate(job(devices=(DEVICE,), precision="int8", recipe=recipe, save_weights=True), images=pictures())
    assert found.saved_rounding == checkpoint.card(checkpoint.artifact(found.weights or "")).rounding
    assert found.saved_rounding
    assert found.saved_rounding.int8 == found.saved_accuracy
    assert found.answers
    assert (found.answers.images, found.answers.folds) == (400, 2)
    assert found.rounding
    assert found.rounding.int8 == found.accuracy
    assert np.isclose(found.rounding.float32 * 400, round(found.rounding.float32 * 400))
