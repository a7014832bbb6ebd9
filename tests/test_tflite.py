"""A network in TFLite, where its converter is installed: `make test-timm`, in an environment apart."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from nas import arena, exporters
from nas.extras import NotInstalled
from nas.models import checkpoint
from nas.networks.architecture import Activation, Architecture, Images, Stage
from nas.networks.blocks import network
from nas.networks.counts import counts
from tests.pictures import TINY, saved

needs = exporters.missing("tflite")
needs_micro = arena.missing()


@pytest.mark.skipif(needs is not None, reason=str(needs))
def test_it_answers_as_torch_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    path = checkpoint.artifact(saved(dataclasses.replace(TINY, activation="swish")))
    network, card = checkpoint.load(path)
    source = exporters.Source(checkpoint=path, network=network, card=card)
    raw = np.random.default_rng(0).integers(0, 255, (3, 1, 12, 12), np.uint8)
    answers = []
    for name in ("safetensors", "tflite"):
        exporter = exporters.load(name)
        assert exporter.export(source, tmp_path / exporter.FILE) is None
        answers.append(exporter.opened(tmp_path / exporter.FILE)(raw))
    assert np.abs(answers[0] - answers[1]).max() < 1e-4 * np.abs(answers[0]).max()
    assert (tmp_path / "model.tflite").read_bytes()[4:8] == b"TFL3"


STAGES = (
    Stage(op="conv", kernel=5, stride=1, expand=1, channels=16, repeats=2),  # two skips, between which a gap is left
    Stage(op="mbconv", kernel=3, stride=2, expand=6, channels=24, repeats=2, se_ratio=0.25),  # padded apart, and gates
    Stage(op="fused", kernel=3, stride=2, expand=3, channels=40, repeats=1),
)


@pytest.mark.skipif(needs_micro is not None, reason=str(needs_micro))
@pytest.mark.parametrize(("resolution", "activation"), [(32, "relu"), (28, "swish")])
def test_its_arena_on_a_microcontroller_is_what_arithmetic_says(resolution: int, activation: Activation) -> None:
    images = Images(resolution=resolution, channels=3, classes=10)
    architecture = Architecture(images=images, stem=16, stem_stride=2, stages=STAGES, head=0, activation=activation)
    measured = arena.measured(network(architecture).eval(), images)
    assert measured.values == counts(architecture).arena()
    assert measured.records > 1000


@pytest.mark.skipif(needs_micro is None, reason="all is installed")
def test_what_its_arena_is_measured_with_is_named_where_it_is_missing() -> None:
    with pytest.raises(NotInstalled, match=r"tflite_micro.*: pip install 'nas-service\[tflite-micro\]'"):
        arena.measured(torch.nn.Identity(), Images(resolution=8))
