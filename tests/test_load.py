"""`nas.load`: a network from whatever it came in, and what is refused with what words."""

import io
import json
import shutil
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import nas
from nas.codec import encode
from nas.extras import NotInstalled
from nas.models import checkpoint, manifest, opening
from nas.models.checkpoint import BadCheckpoint, Card
from nas.models.manifest import BadArchive, Manifest, Way
from nas.models.network import Network
from nas.networks.blocks import network as built
from nas.networks.counts import counts
from tests.pictures import CLASSES, RECIPE, TINY, pictures
from tests.test_checkpoint import with_card

pytestmark = pytest.mark.usefixtures("modules_home")


@pytest.fixture(scope="module")
def file(modules_home: None) -> Path:
    """A checkpoint of a network that has learnt nothing."""
    torch.manual_seed(0)
    card = Card(
        space="mbconv",
        architecture=TINY,
        choices={},
        run="run",
        number=0,
        member="B2",
        dataset="pictures",
        classes=CLASSES,
        mean=(0.4,),
        std=(0.2,),
        accuracy=None,
        test_accuracy=0.25,
        params=counts(TINY).params,
        mult_adds=counts(TINY).mult_adds,
        latencies={},
        recipe=RECIPE,
        seed=0,
    )
    return checkpoint.artifact(checkpoint.save(built(TINY).eval(), card))


@pytest.fixture
def folder(file: Path, tmp_path: Path) -> Path:
    """One of a model, as `nas.models.archive` makes them, with nothing in it but the checkpoint."""
    return filed(file, tmp_path / "folder")


def filed(file: Path, folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(file, folder / "model.safetensors")
    entry = manifest.of(folder / "model.safetensors")
    way = Way(exporter="safetensors", file=entry.name)
    manifest.write(folder, Manifest(name="b2", checkpoint=entry.sha256, ways=(way,), files=(entry,)))
    return folder


def packed(folder: Path, packing: manifest.Packing) -> Path:
    path = folder.with_name(f"model.{packing}")
    with open(path, "wb") as to:
        manifest.packed(folder, packing, to)
    return path


@pytest.fixture(scope="module")
def answers(file: Path) -> torch.Tensor:
    """What the network says of the test images."""
    network, card = checkpoint.load(file)
    return Network(network, card)(pictures().test_images).logits


def test_a_folder_an_archive_and_a_file_are_the_same_network(folder: Path, file: Path, answers: torch.Tensor) -> None:
    raw = pictures().test_images
    for what in (folder, str(folder), packed(folder, "zip"), packed(folder, "tar"), file):
        network = nas.load(what)
        assert network.classes == CLASSES
        assert not network.module.training
        assert torch.equal(network(raw).logits, answers), what


@pytest.mark.parametrize("package", ["torch", "numpy"])
def test_where_a_package_is_missing_the_extra_that_has_it_is_named(
    file: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.extras.find_spec", lambda name: None if name == package else name)
    with pytest.raises(NotInstalled, match=rf"^nas.load needs {package}: pip install 'nas-service\[workers\]'$"):
        nas.load(file)


def test_one_that_was_packed_by_hand_is_read_too(folder: Path, answers: torch.Tensor) -> None:
    with zipfile.ZipFile(folder.with_name("own.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    with tarfile.open(folder.with_name("own.tar"), "w") as tape:
        tape.add(folder, "./a folder")
    for name in ("own.zip", "own.tar"):
        assert torch.equal(nas.load(folder.with_name(name))(pictures().test_images).logits, answers)


def test_answers_are_logits_probabilities_and_names(file: Path, answers: torch.Tensor) -> None:
    raw, network = pictures().test_images, nas.load(file)
    found = network(raw)
    assert found.probabilities.sum(1) == pytest.approx(np.ones(len(raw)), abs=1e-5)
    assert torch.equal(found.probabilities.argmax(1), answers.argmax(1))
    assert found.names == [CLASSES[number] for number in answers.argmax(1)]
    assert found.classes == CLASSES


def test_images_come_in_every_usual_way(file: Path, answers: torch.Tensor) -> None:
    raw, network = pictures().test_images, nas.load(file)
    drawn = [PIL.Image.fromarray(image[0]) for image in raw[:3]]
    for images in (raw[:3], torch.from_numpy(raw[:3].copy()), drawn, tuple(drawn)):
        assert network(images).logits == pytest.approx(answers[:3], abs=1e-6)
    for one in (raw[0], drawn[0], drawn[0].convert("RGB")):
        assert network(one).logits == pytest.approx(answers[:1], abs=1e-6)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 1, 12, 12), np.float32),
        np.zeros((2, 3, 12, 12), np.uint8),
        np.zeros((2, 1, 12, 14), np.uint8),
        np.zeros((12, 12), np.uint8),
    ],
)
def test_what_is_no_image_for_it_is_refused_with_its_shape(file: Path, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"of shape .* give uint8 of shape \(N, 1, side, side\)"):
        nas.load(file)(images)


def test_torch_and_numpy_are_enough(folder: Path) -> None:
    forbidden = ("PIL", "onnx", "onnxruntime", "httpx", "rich", "sqlalchemy", "optuna", "ray", "fastapi", "scipy")
    code = (
        f"import sys; sys.modules |= dict.fromkeys({forbidden!r})\n"
        "import nas; network = nas.load(sys.argv[1])\n"
        "import numpy; print(*network(numpy.zeros((2, 1, 12, 12), numpy.uint8)).names)"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code, folder], capture_output=True, text=True)
    assert ran.stderr == ""
    assert all(name in CLASSES for name in ran.stdout.split())
    assert len(ran.stdout.split()) == 2


def test_one_copy_of_the_weights_is_kept(file: Path) -> None:
    data = opening.checkpoint(file)
    network, _ = checkpoint.loaded(data, "it")
    first = torch.frombuffer(data, dtype=torch.uint8).data_ptr()
    for value in network.state_dict().values():
        assert first <= value.data_ptr() < first + len(data)


class TestRefused:
    def test_where_an_archive_was_cut_off(self, folder: Path) -> None:
        for packing in ("zip", "tar"):
            path = packed(folder, packing)
            whole = path.read_bytes()
            for size in (len(whole) // 2, len(whole) // 20, 600):
                path.write_bytes(whole[:size])
                with pytest.raises((BadArchive, BadCheckpoint), match=r"cut off|not a safetensors file"):
                    nas.load(path)
        (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-4])
        with pytest.raises(BadArchive, match=r"model.safetensors has [\d,]+ bytes instead of .* cut off"):
            nas.load(folder)

    @pytest.mark.parametrize("packing", ["zip", "tar"])
    def test_where_weights_were_changed_and_the_hashes_are_named(self, folder: Path, packing: manifest.Packing) -> None:
        promised = manifest.read(folder).files[0].sha256
        path = folder / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        found = manifest.of(path).sha256
        for what in (folder, packed(folder, packing)):
            with pytest.raises(BadArchive, match=f"has the SHA-256 {found} instead of {promised}: it was changed"):
                nas.load(what)

    def test_where_bytes_of_a_zip_were_changed(self, folder: Path) -> None:
        promised = manifest.read(folder).files[0].sha256
        path = packed(folder, "zip")
        data = bytearray(path.read_bytes())
        place = data.find((folder / "model.safetensors").read_bytes())
        data[place + 10_000] ^= 1
        path.write_bytes(data)
        with pytest.raises(BadArchive, match=f"not what its SHA-256 {promised} promises"):
            nas.load(path)

    @pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "b2/../../evil", "C:evil", "b2\\..\\evil"])
    def test_where_a_path_leaves_the_folder(self, folder: Path, name: str) -> None:
        path = packed(folder, "zip")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, "evil")
        tape = packed(folder, "tar")
        with tarfile.open(tape, "a") as more:
            more.addfile(tarfile.TarInfo(name), io.BytesIO())
        for what in (path, tape):
            with pytest.raises(BadArchive, match="leaves its folder: do not unpack it"):
                nas.load(what)

    def test_where_a_link_is_in_it(self, folder: Path) -> None:
        path = packed(folder, "tar")
        with tarfile.open(path, "a") as tape:
            link = tarfile.TarInfo("b2/passwords")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tape.addfile(link)
        with pytest.raises(BadArchive, match="has a link 'b2/passwords' in it"):
            nas.load(path)

    def test_where_it_is_a_bomb_and_nothing_of_it_is_unpacked(self, folder: Path) -> None:
        path = folder.with_name("bomb.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(folder / "manifest.json", "manifest.json")
            with archive.open("model.safetensors", "w") as file:
                for _ in range(64):
                    file.write(bytes(1 << 20))
        tracemalloc.start()
        with pytest.raises(BadArchive, match=r"would unpack to 67,\d{3},\d{3}: no model does"):
            nas.load(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()

    def test_where_a_manifest_or_a_checkpoint_is_missing(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(BadArchive, match=r"has no manifest.json: it is no folder of a model"):
            nas.load(tmp_path / "empty")
        with zipfile.ZipFile(tmp_path / "theirs.zip", "w") as archive:
            archive.writestr("photo.jpg", "")
        with pytest.raises(BadArchive, match=r"has no manifest.json in it"):
            nas.load(tmp_path / "theirs.zip")
        (folder / "model.safetensors").unlink()
        with pytest.raises(BadArchive, match=r"has no model.safetensors"):
            nas.load(folder)

    def test_where_it_is_of_a_newer_version(self, folder: Path) -> None:
        newer = with_card(folder / "model.safetensors", format="nas-checkpoint-9", unheard="of")
        with pytest.raises(BadCheckpoint, match=r"of format 'nas-checkpoint-9', and this version reads .* newer one"):
            nas.load(newer)

    def test_where_tensors_are_not_where_the_header_says(self, file: Path, tmp_path: Path) -> None:
        data = file.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:end])
        name = next(name for name in header if name != "__metadata__")
        whole = len(data) - end
        for change in (
            {"data_offsets": [-8, 0]},
            {"shape": [7]},
            {"dtype": "F12"},
            {"data_offsets": [whole - 2, whole]},
            {"data_offsets": "all"},
            {"shape": [[2]]},
        ):
            altered = json.dumps(header | {name: header[name] | change}).encode()
            path = tmp_path / "altered.safetensors"
            path.write_bytes(len(altered).to_bytes(8, "little") + altered + data[end:])
            with pytest.raises(BadCheckpoint):
                nas.load(path)

    def test_where_there_is_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"nothing.zip"):
            nas.load(tmp_path / "nothing.zip")


def test_the_card_is_as_it_was_saved(file: Path) -> None:
    assert encode(nas.load(file).card) == encode(checkpoint.card(file))
