"""A network in TFLite, where its converter is installed: `make test-timm`, in an environment apart."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from nas import exporters
from nas.models import checkpoint
from tests.pictures import TINY, saved

needs = exporters.missing("tflite")
pytestmark = pytest.mark.skipif(needs is not None, reason=str(needs))


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
