"""A model as a folder that stands alone: what is in it, that every file keeps the promise, and that strangers can use
it."""

import dataclasses
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from zlib import crc32

import numpy as np
import PIL.Image
import pytest
import yaml  # type: ignore[import-untyped]

from nas import classify, datasets, exporters, home
from nas.codec import encode
from nas.datasets import _picture
from nas.evaluate import evaluate
from nas.models import archive, checkpoint, manifest, score
from nas.models.manifest import BadArchive, FileScore, Manifest
from nas.networks.architecture import Images
from tests.pictures import CLASSES, RECIPE, TINY, job, pictures
from tests.waiting import PATIENCE_SECONDS

FILES = {
    *(
        "model.safetensors",
        "model.onnx",
        "model.int8.onnx",
        "model.pt2",
        "architecture.json",
        "recipe.json",
        "metrics.json",
    ),
    *("card.md", "README.md", "classify.py"),
    *(exporters.load(name).FILE for name in exporters.names() if not exporters.missing(name)),
}
PNG = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4) + b"IHDR"
GIANT = (23_000).to_bytes(4) * 2 + b"\x08\x00\x00\x00\x00"
LARGE = (10_000).to_bytes(4) * 2 + b"\x08\x00\x00\x00\x00"
UNUSABLE = (
    ("text.jpg", b"hello", "it is no image of a known kind: give it JPEG, PNG, WebP, GIF, BMP or TIFF"),
    ("empty.jpg", b"", "it is empty"),
    ("cut.png", PNG + LARGE[:4], "it is cut off"),
    (
        "giant.png",
        PNG + GIANT + crc32(b"IHDR" + GIANT).to_bytes(4) + b"\x00\x00\x00\x04IDATabcd",
        "it has 529,000,000 pixels, more than the 512 million that are read of a JPEG and the 89 million of others: "
        "make it smaller",
    ),
    (
        "large.png",
        PNG + LARGE + crc32(b"IHDR" + LARGE).to_bytes(4) + b"\x00\x00\x00\x04IDATabcd",
        "it has 100,000,000 pixels, more than the 89 million that are read of a PNG: make it smaller",
    ),
)
WITHOUT = ("torch", "nas", "safetensors", "onnx", "scipy", "api")  # of what is installed here


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, grey PNG files of 20 × 16 pixels; the square in their middle is what counts."""
    root = tmp_path_factory.mktemp("flowers")
    images = pictures(train=400, test=60)
    for part, raw, labels in (
        ("train", images.train_images, images.train_labels),
        ("test", images.test_images, images.test_labels),
    ):
        for number, (image, label) in enumerate(zip(raw, labels)):
            place = root / part / CLASSES[label]
            place.mkdir(parents=True, exist_ok=True)
            picture = PIL.Image.fromarray(image[0]).resize((16, 16), PIL.Image.Resampling.NEAREST)
            PIL.Image.fromarray(np.pad(np.asarray(picture), ((0, 0), (2, 2)))).save(place / f"{number}.png")
    return root


pytestmark = pytest.mark.usefixtures("modules_home")


@pytest.fixture(scope="module")
def trained(flowers: Path) -> Path:
    """A checkpoint of a network for these pictures, final."""
    wanted = job(
        dataset=f"folder:{flowers}",
        final=True,
        save_weights=True,
        member="B2",
        recipe=dataclasses.replace(RECIPE, epochs=8),
    )
    measurement = evaluate(wanted)
    assert measurement.weights is not None
    return checkpoint.artifact(measurement.weights)


@pytest.fixture(scope="module")
def built(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("archives") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # as most users have it
        return folder, archive.build(trained, folder)


@pytest.fixture
def folder(built: tuple[Path, Manifest], tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    return Path(shutil.copytree(built[0], tmp_path / "copy"))


def test_it_has_every_file_with_its_hash(built: tuple[Path, Manifest], trained: Path) -> None:
    folder, found = built
    assert {file.name for file in found.files} == FILES
    assert {path.name for path in folder.iterdir()} == FILES | {"manifest.json"}
    for file in found.files:
        data = (folder / file.name).read_bytes()
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert manifest.read(folder) == found
    assert found.checkpoint == trained.stem
    assert (folder / "model.safetensors").read_bytes() == trained.read_bytes()
    assert {path.name for path in folder.parent.iterdir()} == {folder.name}  # nothing is left beside it


def test_every_file_has_scored_what_was_promised_by_its_own_runtime(
    built: tuple[Path, Manifest], trained: Path
) -> None:
    promised = checkpoint.card(trained).test_accuracy
    ways = {way.file: way for way in built[1].ways}
    assert set(ways) == {"model.safetensors", "model.onnx", "model.int8.onnx", "model.pt2", "model.tflite"}
    if lacking := exporters.missing("tflite"):
        assert ways.pop("model.tflite").refused == lacking
    rounded = ways.pop("model.int8.onnx")
    assert rounded.refused is None
    assert rounded.score
    assert rounded.score.accuracy == pytest.approx(promised, abs=rounded.score.loses)
    assert rounded.latency
    assert rounded.save_as == f"b2_{rounded.latency.median_ms:.3g}ms_acc{rounded.score.accuracy:.3f}_int8.onnx"
    for way in ways.values():
        assert way.refused is None
        assert way.score
        assert (way.score.accuracy, way.score.promised) == (promised, promised)
        assert (way.score.images, way.score.part) == (60, "test")
    metrics = json.loads((built[0] / "metrics.json").read_text())
    assert metrics["test_accuracy"] == promised
    assert metrics["files"]["model.onnx"]["accuracy"] == promised
    assert metrics["files"]["model.int8.onnx"]["accuracy"] == rounded.score.accuracy
    assert [way.latency.device for way in built[1].ways if way.latency] == [rounded.latency.device, "cpu"]
    assert (
        f"| `model.int8.onnx` | {rounded.score.accuracy:.4f} on 60 images | {rounded.latency.median_ms:.3f} |"
        in (built[0] / "README.md").read_text()
    )


def test_its_name_says_what_it_is(built: tuple[Path, Manifest], trained: Path) -> None:
    card = checkpoint.card(trained)
    (latency,) = card.latencies.values()
    assert built[1].name == f"b2_{latency.median_ms:.3g}ms_acc{card.test_accuracy:.3f}"
    other = dataclasses.replace(card, member=None, number=7, seed=3, test_accuracy=None, accuracy=0.5, latencies={})
    assert manifest.called(other) == "trial7_seed3_acc0.500"
    rounded = dataclasses.replace(latency, fingerprint={"dtype": "int8_per_channel"})
    searched = dataclasses.replace(other, latencies={"cpu:dtype=int8": rounded, "cpu": latency})
    assert manifest.called(searched) == f"trial7_seed3_{latency.median_ms:.3g}ms_acc0.500"  # of single precision


def test_a_file_in_8_bits_without_a_latency_has_not_that_of_single_precision(trained: Path) -> None:
    card = checkpoint.card(trained)
    assert card.latencies
    assert manifest.called_by(card, None, 0.25) == "b2_acc0.250"


def test_its_parts_are_read_by_whoever_wants_them(built: tuple[Path, Manifest], trained: Path) -> None:
    card = checkpoint.card(trained)
    assert json.loads((built[0] / "architecture.json").read_text()) == encode(card.architecture)
    assert json.loads((built[0] / "recipe.json").read_text()) == encode(card.recipe)
    text = (built[0] / "README.md").read_text()
    assert (built[0] / "card.md").read_text() == text
    _, header, body = text.split("---\n", 2)
    about = yaml.safe_load(header)
    assert (about["pipeline_tag"], about["license"]) == ("image-classification", "unknown")
    assert about["model-index"][0]["results"][0]["metrics"] == [{"type": "accuracy", "value": card.test_accuracy}]
    assert card.quality is not None
    for name, row in zip(card.classes, card.quality.confusion):
        assert f"| {name} | {' | '.join(map(str, row))} |" in body
    fingerprint = next(iter(card.latencies.values())).fingerprint
    assert all(f"{name} {value}" in body for name, value in fingerprint.items())


def test_a_stranger_classifies_a_photo(built: tuple[Path, Manifest], flowers: Path, tmp_path: Path) -> None:
    """In an interpreter that has numpy, onnxruntime and Pillow, and none of the others; the program runs as printed."""
    folder = Path(shutil.copytree(built[0], tmp_path / "elsewhere"))
    photos = sorted(flowers.glob("test/*/*.png"))[::7]
    block = f"import runpy, sys; sys.modules |= dict.fromkeys({WITHOUT!r}); sys.argv = sys.argv[1:]\n"
    code = block + "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-W", "error", "-I", "-c", code, str(folder / "classify.py"), *map(str, photos)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (ran.returncode, ran.stderr) == (0, "")
    answers = [part.splitlines()[1:] for part in ran.stdout.split(str(flowers))[1:]]
    images = datasets.load(f"folder:{flowers}", TINY.images.resolution, home.folder("datasets"))
    network = exporters.load("safetensors").opened(folder / "model.safetensors")
    for photo, lines in zip(photos, answers, strict=True):
        shares = {line.split("%")[1].strip(): float(line.split("%")[0]) for line in lines}
        assert shares.keys() == set(CLASSES)
        assert sum(shares.values()) == pytest.approx(100, abs=0.03)
        with open(photo, "rb") as file:
            raw, _ = _picture.pixels(file, 1, images.info.resolution, _picture.Depth())
        assert (images.test_images == raw).all((1, 2, 3)).any()  # the service has seen it so
        assert next(iter(shares)) == images.info.classes[network(raw[None]).argmax()]


def test_a_stranger_is_told_what_is_wrong(built: tuple[Path, Manifest], tmp_path: Path) -> None:
    for name, data, words in UNUSABLE:
        (tmp_path / name).write_bytes(data)
        command = [sys.executable, str(built[0] / "classify.py"), str(tmp_path / name)]
        ran = subprocess.run(command, capture_output=True, text=True)
        assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", f"{tmp_path / name}: {words}\n")
    code = "import runpy, sys; sys.modules['onnxruntime'] = None; sys.argv = sys.argv[1:]\n"
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(built[0] / "classify.py"), "photo.jpg"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (
        2,
        "onnxruntime is not installed: pip install numpy onnxruntime pillow\n",
    )


def odd_pictures() -> dict[str, bytes]:
    """Pictures of every kind that is read in a way of its own."""
    draw = np.random.default_rng(0)
    colours = PIL.Image.fromarray(draw.integers(0, 255, (90, 61, 3), np.uint8))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # lies on its side
    see_through = colours.copy()
    see_through.putalpha(PIL.Image.linear_gradient("L").resize(colours.size))
    deep = PIL.Image.fromarray(draw.integers(0, 4095, (40, 50), np.uint16))
    palette = colours.quantize(16)
    shapes: dict[str, tuple[PIL.Image.Image, dict[str, object]]] = {
        "jpeg": (colours.resize((900, 610)), {"format": "JPEG", "exif": exif}),
        "progressive": (colours, {"format": "JPEG", "progressive": True}),
        "cmyk": (colours.convert("CMYK"), {"format": "JPEG"}),
        "alpha": (see_through, {"format": "PNG"}),
        "grey alpha": (see_through.convert("LA"), {"format": "PNG"}),
        "palette": (palette, {"format": "PNG", "transparency": 3}),
        "gif": (palette, {"format": "GIF"}),
        "deep": (deep, {"format": "PNG"}),
        "bits": (colours.convert("1"), {"format": "PNG"}),
        "small": (colours.resize((5, 7)), {"format": "WEBP", "lossless": True}),
        "as it is": (colours.resize((24, 24)), {"format": "BMP"}),
    }
    data = {}
    for name, (image, options) in shapes.items():
        file = io.BytesIO()
        image.save(file, **options)  # type: ignore[arg-type]
        data[name] = file.getvalue()
    return data


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("greys", [None, (100.0, 4000.0)])
def test_a_picture_becomes_what_the_service_makes_of_it(channels: int, greys: tuple[float, float] | None) -> None:
    depth = _picture.Depth(low=greys[0], high=greys[1]) if greys else _picture.Depth()
    for name, data in odd_pictures().items():
        expected, _ = _picture.pixels(io.BytesIO(data), channels, 24, depth)
        with PIL.Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(classify.pixels(image, channels, 24, greys), expected), name


def test_what_is_resized_for_the_network_is_resized_as_in_training(trained: Path, tmp_path: Path) -> None:
    """Images of a fixed size are shown to the network in another: torch's way and numpy's are the same."""
    network, card = checkpoint.load(trained)
    draw = np.random.default_rng(0)
    for resolution, pixels in ((12, 28), (28, 12), (31, 31)):
        images = Images(resolution=resolution, channels=1, classes=4)
        architecture = dataclasses.replace(card.architecture, images=images)
        known = dataclasses.replace(card, pixels=pixels, architecture=architecture, mean=(0.3,), std=(0.2,))
        source = exporters.Source(checkpoint=trained, network=network, card=known)
        shutil.copy(classify.__file__, tmp_path)
        raw = draw.integers(0, 255, (5, 1, pixels, pixels), np.uint8)
        answers = []
        for name in ("onnx", "pt2"):
            exporter = exporters.load(name)
            exporter.export(source, tmp_path / exporter.FILE)
            answers.append(exporter.opened(tmp_path / exporter.FILE)(raw))
        assert answers[0] == pytest.approx(answers[1], abs=1e-4)


@pytest.mark.parametrize(("name", "data", "words"), UNUSABLE)
def test_what_is_not_classified_is_not_learnt_from_either_for_the_same_reason(
    name: str, data: bytes, words: str
) -> None:
    with _picture.strict(), pytest.raises(_picture.Unusable) as refused:
        _picture.pixels(io.BytesIO(data), 3, 24, _picture.Depth())
    assert str(refused.value) == words.removesuffix(classify.KINDS)


def test_a_file_that_does_not_keep_the_promise_is_not_offered(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        archive,
        "_scored",
        lambda path, *_: FileScore(
            accuracy=0.5 if path.suffix == ".onnx" else 0.9, promised=0.9, images=60, part="test", loses=0.05
        ),
    )

    monkeypatch.setattr(archive, "_latency", lambda *_: None)

    def broken(*_: object) -> None:
        raise ValueError("no word for it")

    monkeypatch.setattr(exporters.load("pt2"), "export", broken)
    found = archive.build(trained, tmp_path / "model")
    reasons = {way.file: way.refused for way in found.ways if way.exporter != "tflite"}
    assert reasons == {
        "model.safetensors": None,
        "model.onnx": "it scores 0.5000 on 60 images, and 0.9000 was promised",
        "model.int8.onnx": "it scores 0.5000 on 60 images, and 0.9000 was promised",
        "model.pt2": "ValueError: no word for it",
    }
    assert not {"model.onnx", "model.pt2"} & ({path.name for path in (tmp_path / "model").iterdir()})
    assert "0.9000 was promised" in (tmp_path / "model" / "README.md").read_text()
    monkeypatch.setattr(exporters.load("onnx"), "PACKAGES", ("no_such_runtime",))
    ways = {way.file: way.refused for way in archive.build(trained, tmp_path / "model").ways}
    assert ways["model.onnx"] == "exporter 'onnx' needs no_such_runtime: pip install 'nas-service[workers]'"


def test_another_network_under_a_files_name_is_found_out(folder: Path) -> None:
    """Of each runtime: what is scored is what is in the file."""
    _, card = checkpoint.load(folder / "model.safetensors")
    from nas import spaces

    fresh = spaces.load(card.space).build(card.architecture).eval()
    source = exporters.Source(checkpoint=folder / "model.safetensors", network=fresh, card=card)
    for name in ("onnx", "pt2", "int8"):
        exporter = exporters.load(name)
        assert score.score(folder / exporter.FILE).kept
        exporter.export(source, folder / exporter.FILE)
        assert not score.score(folder / exporter.FILE).kept


@pytest.mark.parametrize(("undecided", "kept"), [(0, False), (1, False), (2, True), (100, False)])
def test_a_network_that_answers_all_alike_keeps_no_promise(undecided: int, kept: bool) -> None:
    off = 0.8 if undecided == 100 else 0.898
    assert FileScore(accuracy=off, promised=0.9, images=1000, part="test", undecided=undecided).kept is kept


@pytest.mark.parametrize(("accuracy", "kept"), [(0.851, True), (0.849, False), (0.949, True), (0.99, True)])
def test_a_form_may_cost_what_it_says_and_win(accuracy: float, kept: bool) -> None:
    assert FileScore(accuracy=accuracy, promised=0.9, images=1000, part="test", loses=0.05).kept is kept


def test_of_thirty_images_eight_bits_may_get_two_more_right() -> None:
    assert FileScore(accuracy=0.8, promised=0.7333333, images=30, part="test", loses=0.05).kept


@pytest.mark.parametrize("packing", ["zip", "tar"])
def test_it_is_packed_into_the_same_bytes_whenever_that_is(
    built: tuple[Path, Manifest], folder: Path, packing: manifest.Packing
) -> None:
    (folder / "model.onnx").touch()
    files = []
    for place in (built[0], folder):
        file = io.BytesIO()
        manifest.packed(place, packing, file)
        files.append(file.getvalue())
    assert files[0] == files[1]
    network = f"{built[1].name}/model.onnx"
    if packing == "zip":
        with zipfile.ZipFile(io.BytesIO(files[0])) as whole:
            names, data = whole.namelist(), whole.read(network)
    else:
        with tarfile.open(fileobj=io.BytesIO(files[0])) as tape:
            member = tape.extractfile(network)
            assert member is not None
            names, data = tape.getnames(), member.read()
    assert set(names) == {f"{built[1].name}/{name}" for name in FILES | {"manifest.json"}}
    assert data == (folder / "model.onnx").read_bytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "nas-archive-9"}, "of format 'nas-archive-9', and this version reads 'nas-archive-1'"),
        ({"files": [{"name": "../../etc/passwd", "bytes": 1, "sha256": ""}]}, "name '../../etc/passwd' is none of"),
        ({"secret": 1}, "unknown field 'secret'"),
        ({"files": 200 * [{"name": "a", "bytes": 1, "sha256": ""}]}, "200 files, and an archive has 100 at most"),
    ],
)
def test_a_manifest_that_cannot_be_believed_is_refused(folder: Path, changes: dict[str, object], words: str) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(BadArchive, match=words):
        manifest.read(folder)
