"""A trained network as a folder that stands alone: `python -m nas.models.archive CHECKPOINT FOLDER [--dataset NAME]`

The network in every form that there is an exporter for, what it is in words and in JSON, and a program that classifies
pictures with it. A form is offered once it was loaded from the folder alone, in a process of its own, and scored what
was promised.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nas.classify
from nas import devices, exporters
from nas.codec import decode, encode
from nas.measurements import Latency
from nas.metering import DeviceError
from nas.models import checkpoint, manifest, readme
from nas.models.checkpoint import BadCheckpoint, Card
from nas.models.images import present
from nas.models.manifest import File, FileScore, Manifest, Way
from nas.models.unfinished import making
from nas.refusal import shortened

PROGRAM = "classify.py"
LONGEST = 500  # characters of a reason
MOST_MEMORY_BYTES = 16 << 30  # of a bounded process and of each that it starts, beside files that are mapped
MOST_SECONDS = 1800  # of processor time, likewise


def build(path: Path, folder: Path, dataset: str | None = None) -> Manifest:
    """Make `folder` of the checkpoint at `path`; it appears whole, in place of what may be there.

    Its promise is held against the images of its dataset, or of `dataset` where that has another name by now. Raises
    BadCheckpoint and OSError.
    """
    network, card = checkpoint.load(path)
    with making(folder) as place:
        beside = place / "whole"
        beside.mkdir(mode=0o755)
        shutil.copyfile(nas.classify.__file__, beside / PROGRAM)
        source = exporters.Source(checkpoint=path, network=network, card=card, dataset=dataset)
        # The checkpoint first: it has the promise that the others are held against.
        names = sorted(exporters.names(), key=lambda name: exporters.load(name).FILE != manifest.CHECKPOINT)
        first = _way(names[0], source, beside)
        if why := _forgotten(card, first) or _gone(card, first, dataset):
            (beside / first.file).unlink(missing_ok=True)
            first = _way(names[0], source, beside, why)
        ways = (first, *(_way(name, source, beside, why) for name in names[1:]))
        if all(way.refused for way in ways):
            reasons = "; ".join(dict.fromkeys(way.refused or "" for way in ways))
            raise BadCheckpoint(f"there is no form that it could be handed out in: {reasons}")
        for way in ways:
            if way.refused:
                (beside / way.file).unlink(missing_ok=True)
        _describe(card, ways, beside)
        files = tuple(manifest.of(file) for file in sorted(beside.iterdir()))
        whole = Manifest(name=manifest.called(card), checkpoint=_hash(files, path), ways=ways, files=files)
        manifest.write(beside, whole)
        if folder.exists():
            folder.rename(place / "before")
        beside.rename(folder)
    return whole


def _forgotten(card: Card, way: Way) -> str | None:
    """Why nothing can be scored with a card that does not say which images it is of, where the checkpoint itself does
    not keep its promise on those that there are."""
    if card.contents is not None or way.score is None or way.score.kept:
        return None
    return (
        f"the checkpoint itself {_broken(way.score)}: its images, which an earlier version did not write down, have "
        "changed since it was trained, or this machine computes otherwise, so that accuracies cannot be checked again"
    )


def _gone(card: Card, way: Way, dataset: str | None) -> str | None:
    """Why nothing can be scored where the checkpoint could not be, as its images are not there."""
    if way.refused and not way.score:
        try:
            present(card, dataset)
        except (ValueError, OSError, ModuleNotFoundError) as error:
            return f"its accuracy cannot be checked again, as its images are not there: {error}"
    return None


def _broken(score: FileScore) -> str:
    if score.accuracy is None:
        return f"answers {1 - (score.alike or 0):.1%} of {score.images:,} images otherwise than the network in torch"
    return f"scores {score.accuracy:.4f} on {score.images:,} images, and {score.promised:.4f} was promised"


def _way(name: str, source: exporters.Source, folder: Path, unchecked: str | None = None) -> Way:
    """Exported and scored, or compared with torch where its accuracy cannot be checked for that reason."""
    exporter = exporters.load(name)
    path, score, latency = folder / exporter.FILE, None, None
    refused = exporters.missing(name)
    if not refused:
        try:
            device = exporter.export(source, path)
            score = _scored(path, source.dataset, unchecked)
            latency = _latency(source, device) if device else None
        except BadCheckpoint as error:
            refused = str(error)
        except Exception as error:  # an exporter raises whatever its library does
            refused = shortened(f"{type(error).__name__}: {error}", LONGEST)
    if score and not score.kept:
        refused = f"it {_broken(score)}"
    own = exporter.LOSES and score  # other than the model's
    save_as = f"{manifest.called_by(source.card, latency, own.accuracy)}_{name}{path.suffix}" if own else None
    return Way(exporter=name, file=exporter.FILE, score=score, refused=refused, latency=latency, save_as=save_as)


def _latency(source: exporters.Source, named: str) -> Latency | None:
    """Weights make no difference to it."""
    device, options = devices.find(named)
    try:
        return device.latency(source.network, source.card.architecture.images, options)
    except DeviceError:
        return None


def _scored(path: Path, dataset: str | None, unchecked: str | None = None) -> FileScore:
    """In a fresh process. Raises BadCheckpoint."""
    command = [sys.executable, "-m", "nas.models.score", str(path), "--json"]
    command += ["--dataset", dataset] if dataset else []
    command += ["--unchecked", unchecked] if unchecked else []
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if ran.returncode not in (0, 1):  # 1: it was scored, and the promise is not kept
        raise BadCheckpoint(f"it could not be scored: {ran.stderr.strip()[-LONGEST:]}")
    return replace(decode(FileScore, json.loads(ran.stdout)), quality=None)


def _describe(card: Card, ways: tuple[Way, ...], folder: Path) -> None:
    metrics = {
        "accuracy": card.accuracy,
        "test_accuracy": card.test_accuracy,
        "quality": card.quality,
        "params": card.params,
        "mult_adds": card.mult_adds,
        "latencies": card.latencies,
        "files": {way.file: way.score for way in ways if not way.refused},
    }
    parts: dict[str, Any] = {"architecture": card.architecture, "recipe": card.recipe, "metrics": metrics}
    for name, value in parts.items():
        text = json.dumps(encode(value), indent=2, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    text = readme.readme(card, ways)
    for name in ("card.md", "README.md"):  # repositories show the second
        (folder / name).write_text(text, encoding="utf-8")


def _hash(files: tuple[File, ...], path: Path) -> str:
    return next((file.sha256 for file in files if file.name == manifest.CHECKPOINT), "") or manifest.of(path).sha256


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nas.models.archive", description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dataset", help="where its images are now, if its card's name for them does not hold here")
    parser.add_argument("--bounded", action="store_true", help="with bounds on memory and time, as a service builds")
    options = parser.parse_args(arguments)
    if options.bounded:
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        whole = build(options.checkpoint, options.folder, options.dataset)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(encode(whole)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
