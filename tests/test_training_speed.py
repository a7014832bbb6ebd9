"""What makes training faster: work that is captured as a graph, and reduced precision."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from nas import home
from nas.codec import decode, encode
from nas.networks.blocks import network
from nas.recipes import Recipe
from nas.training import precision as precision_module
from nas.training import train as train_module
from nas.training.data import Batches, View, everything
from nas.training.gradients import cuda_graphs
from nas.training.precision import Precision, precision, probe, reduced
from nas.training.train import train
from tests.pictures import RECIPE, TINY, pictures
from tests.test_cells import nasnet_a
from tests.trainings import CPU, PLAIN, batches, ignore

pytestmark = pytest.mark.usefixtures("one_thread")


class Recorder:
    """Takes work down as a CUDA graph does, on a processor: not done at first, it is done over and over on the same
    memory. `spoil` is what it makes of each gradient."""

    def __init__(self, spoil: float = 1.0) -> None:
        self.taken, self.replayed, self.spoil = 0, 0, spoil

    def __call__(self, built: torch.nn.Module) -> Callable[[Callable[[], None]], Callable[[], None]]:
        def capture(work: Callable[[], None]) -> Callable[[], None]:
            self.taken += 1
            before = [buffer.clone() for buffer in built.buffers()]
            with torch.random.fork_rng():
                work()
            for buffer, value in zip(built.buffers(), before):
                buffer.copy_(value)
            places = [parameter.grad for parameter in built.parameters()]

            def replay() -> None:
                self.replayed += 1
                built.zero_grad()
                work()
                for parameter, place in zip(built.parameters(), places):
                    if place is not None and parameter.grad is not None:
                        place.copy_(parameter.grad).mul_(self.spoil)
                    parameter.grad = None

            return replay

        return capture


class TestCaptured:
    """A GPU's part is played by a recorder."""

    RECIPES = {
        "sgd": dataclasses.replace(RECIPE, clip_norm=1.0),
        "muon, averaged": dataclasses.replace(RECIPE, optimizer="muon", learning_rate=0.05, momentum=0.6, ema=0.9),
        "rmsprop, stochastic depth": dataclasses.replace(
            RECIPE, optimizer="rmsprop", learning_rate=0.01, drop_path=0.3
        ),
        "batches of two sizes": dataclasses.replace(RECIPE, batch=30),
    }

    def train(
        self, recipe: Recipe, recorder: Recorder | None, monkeypatch: pytest.MonkeyPatch, what: Any = TINY
    ) -> dict[str, Any]:
        torch.manual_seed(0)
        built = network(what)
        monkeypatch.setattr(train_module, "cuda_graphs", lambda _: recorder and recorder(built))
        train(built, batches(recipe), recipe, seed=0, device=CPU, after_epoch=ignore)
        return built.state_dict()

    @pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
    def test_it_trains_to_the_same_weights(self, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
        recorder, steps = Recorder(), recipe.epochs * len(batches(recipe))
        plain, captured = (self.train(recipe, each, monkeypatch) for each in (None, recorder))
        assert all(torch.equal(captured[name], value) for name, value in plain.items())
        sizes = 2 if 400 % recipe.batch and 400 % len(batches(recipe)) else 1
        assert recorder.taken == sizes
        assert recorder.replayed == steps - 3 * sizes + sizes  # three of each size come before, one checks

    def test_a_network_that_changes_is_taken_down_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """NASNet's paths are dropped more often from epoch to epoch; its auxiliary classifier has a loss, too."""
        cells = nasnet_a(images=TINY.images, filters=4, auxiliary=True, drop_path=0.5)
        recorder, recipe = Recorder(), dataclasses.replace(RECIPE, epochs=2, batch=80)
        plain, captured = (self.train(recipe, each, monkeypatch, cells) for each in (None, recorder))
        assert all(torch.equal(captured[name], value) for name, value in plain.items())
        assert recorder.taken == 2

    def test_what_comes_out_otherwise_is_not_used(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        recorder = Recorder(spoil=1.1)
        plain, captured = (self.train(RECIPE, each, monkeypatch) for each in (None, recorder))
        assert all(torch.equal(captured[name], value) for name, value in plain.items())
        assert (recorder.taken, recorder.replayed) == (1, 1)
        assert (
            "cpu trains layer by layer, as a captured graph cannot be used: its gradients differ by 10.0%"
            in caplog.text
        )

    def test_what_cannot_be_captured_is_trained_layer_by_layer(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Refusing(Recorder):
            def __call__(self, built: torch.nn.Module) -> Callable[[Callable[[], None]], Callable[[], None]]:
                def capture(work: Callable[[], None]) -> Callable[[], None]:
                    self.taken += 1
                    raise RuntimeError("operation not permitted when stream is capturing")

                return capture

        recorder = Refusing()
        plain, captured = (self.train(RECIPE, each, monkeypatch) for each in (None, recorder))
        assert all(torch.equal(captured[name], value) for name, value in plain.items())
        assert recorder.taken == 1
        assert "cannot be used: operation not permitted" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a GPU's graphs")
class TestCapturedOnGpu:
    GPU = torch.device("cuda")
    NETWORKS = {"TINY": TINY, "dropping paths": nasnet_a(images=TINY.images, filters=4, auxiliary=True, drop_path=0.5)}

    def train(self, what: Any, recipe: Recipe) -> torch.Tensor:
        data = pictures()
        torch.manual_seed(0)
        built = network(what).to(self.GPU)
        chosen, view = everything(data.train_labels), View(12, PLAIN, self.GPU)
        shown = Batches(data.train_images, data.train_labels, chosen, recipe, view, self.GPU)
        train(built, shown, recipe, seed=0, device=self.GPU, after_epoch=ignore)
        return torch.cat([parameter.detach().flatten() for parameter in built.parameters()])

    @pytest.mark.parametrize("what", NETWORKS.values(), ids=NETWORKS)
    @pytest.mark.parametrize("recipe", TestCaptured.RECIPES.values(), ids=TestCaptured.RECIPES)
    def test_it_trains_to_nearly_the_same_weights(
        self, what: Any, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        captured = self.train(what, recipe)
        assert "layer by layer" not in caplog.text
        monkeypatch.setattr(train_module, "cuda_graphs", lambda _: None)
        plain = self.train(what, recipe)
        assert (captured - plain).norm() < 0.05 * plain.norm()

    def test_what_is_not_allowed_in_a_capture_is_left_behind(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """TINY has dropout, whose generator is part of a capture."""
        monkeypatch.setattr(train_module, "cuda_graphs", lambda _: None)
        plain = self.train(TINY, RECIPE)

        def asking(device: torch.device) -> Any:
            graphs = cuda_graphs(device)
            assert graphs

            def capture(work: Callable[[], None]) -> Callable[[], None]:
                def asks() -> None:
                    work()
                    torch.ones(1, device=device).item()

                return graphs(asks)

            return capture

        monkeypatch.setattr(train_module, "cuda_graphs", asking)
        refused = self.train(TINY, RECIPE)
        assert "trains layer by layer, as a captured graph cannot be used" in caplog.text
        assert (refused - plain).norm() < 0.05 * plain.norm()
        caplog.clear()
        monkeypatch.setattr(train_module, "cuda_graphs", cuda_graphs)
        again = self.train(TINY, RECIPE)
        assert "layer by layer" not in caplog.text
        assert (again - plain).norm() < 0.05 * plain.norm()


class TestPrecision:
    def test_it_is_for_training_only(self) -> None:
        built = network(TINY).eval()
        image = torch.randn(1, 1, 12, 12)
        before = built(image)
        with reduced(built, CPU, Precision(dense=True, depthwise=())) as how, how:
            assert built(image).shape == before.shape
        assert torch.equal(built(image), before)
        assert not any("forward" in vars(module) for module in built.modules())

    @pytest.mark.parametrize(
        ("how", "expected"),
        [
            (Precision(dense=False, depthwise=((3, 1),)), ["float32"] * 4),
            (Precision(dense=True, depthwise=()), ["bfloat16", "float32", "float32", "float32"]),
            (Precision(dense=True, depthwise=((3, 1),)), ["bfloat16", "bfloat16", "float32", "float32"]),
            (Precision(dense=True, depthwise=((3, 2), (5, 1))), ["bfloat16", "float32", "bfloat16", "bfloat16"]),
        ],
    )
    def test_each_kind_of_convolution_computes_in_what_gains(self, how: Precision, expected: list[str]) -> None:
        """The entering features are what a convolution is computed in; what leaves is for the next layer."""
        kinds = ((3, 1, 1), (3, 1, 4), (3, 2, 4), (5, 1, 4))
        layers = [torch.nn.Conv2d(4, 4, k, s, k // 2, groups=groups) for k, s, groups in kinds]
        found: list[str] = []
        real = torch.nn.functional.conv2d

        def seen(features: torch.Tensor, weight: torch.Tensor, *rest: Any) -> torch.Tensor:
            out = real(features, weight, *rest)
            found.append(str(out.dtype).removeprefix("torch."))
            return out

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.functional, "conv2d", seen)
            with reduced(torch.nn.Sequential(*layers), CPU, how) as context, context:
                leaving = torch.nn.Sequential(*layers)(torch.randn(2, 4, 8, 8))
        assert found == expected
        assert leaving.dtype == (torch.bfloat16 if how.dense else torch.float32)

    def test_the_machine_is_tried_once_and_the_answer_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tried: list[torch.device] = []
        answer = Precision(dense=True, depthwise=((5, 2),))

        def trying(device: torch.device) -> Precision:
            tried.append(device)
            return answer

        monkeypatch.setattr(precision_module, "probe", trying)
        for _ in range(2):
            precision.cache_clear()  # as in another process
            assert precision(CPU) == answer
        assert tried == [CPU]
        (kept,) = (home.home() / "probes").iterdir()
        kept.write_text("{")
        precision.cache_clear()
        assert precision(CPU) == answer
        assert len(tried) == 2
        precision.cache_clear()

    def test_what_is_faster_by_a_little_is_not_worth_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seconds = {"float32": 1.0, "bfloat16": 0.0}
        now = 0.0

        def work(features: torch.Tensor) -> torch.Tensor:
            nonlocal now
            now += seconds[str(features.dtype).removeprefix("torch.")]
            return features * 1

        monkeypatch.setattr("nas.training.precision.time.process_time", lambda: now)
        image = torch.zeros(1, 1, 1, 1)
        for half, gains in ((0.9, False), (0.7, True)):
            seconds["bfloat16"] = half
            assert precision_module._gains((work, image), (work, image.bfloat16()), CPU) == gains

    def test_trying_a_real_machine_gives_an_answer(self) -> None:
        found = probe(CPU)
        assert set(found.depthwise) <= set(precision_module.DEPTHWISE)
        assert found == decode(Precision, json.loads(json.dumps(encode(found))))
