"""Does a checkpoint keep its promise? `python -m nas.models.score CHECKPOINT [--dataset NAME]`

Reloads the network, runs it on the images that its accuracy was measured on, and compares. Where those have changed, no
accuracy is told, since the network may have been trained on what would be scored now.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas import exporters
from nas.codec import encode
from nas.datasets import ImageSet
from nas.exporters import Logits
from nas.models.agreement import compared
from nas.models.checkpoint import BadCheckpoint, card
from nas.models.images import changed, checked, present, promised
from nas.models.manifest import CHECKPOINT, FileScore
from nas.training.accuracy import BATCH, Answered, judged, said, together
from nas.training.data import Indices, tensor
from nas.training.device import alone, training_device

if TYPE_CHECKING:
    from numpy.typing import NDArray


def score(
    path: Path, dataset: str | None = None, *, images: ImageSet | None = None, unchecked: str | None = None
) -> FileScore:
    """Score the checkpoint at `path`, or another file of an archive's folder by its own runtime, on its own dataset, or
    on `dataset` where that has another name by now. Where these images are no longer those of the promise, or
    `unchecked` says why they cannot be, it is compared with torch instead; by noise where none are there.

    Raises BadCheckpoint, DatasetError, and OSError where there is no such file.
    """
    exporter = exporters.load(exporters.of_file(path.name) or exporters.of_file(CHECKPOINT) or "")
    is_checkpoint = exporter.FILE == CHECKPOINT
    checkpoint = path if is_checkpoint else path.with_name(CHECKPOINT)
    known = card(checkpoint)
    try:
        images = images or present(known, dataset)
    except (ValueError, OSError, ModuleNotFoundError):
        if not unchecked:
            raise
        return compared(exporter, path, checkpoint, None, unchecked)
    if why := unchecked or changed(known, images):
        return compared(exporter, path, checkpoint, images, why)
    logits = exporter.opened(path)
    accuracy, part, raw, labels = promised(known, checked(known, images), str(path))
    loses = exporter.LOSES
    if loses and known.rounding:
        accuracy, loses = known.rounding.int8, 0.0  # as it was measured when it had been trained
    device = training_device()
    same = is_checkpoint and known.scored_on in (None, device.type)  # nothing is rounded otherwise than it was then
    with alone(device):  # as when the promise was made: more threads may sum in another order
        answered, undecided = _answered(logits, raw, labels, 0.0 if same else exporter.AGREES)
    found = float((answered.taken_for.numpy() == labels).mean())
    quality = judged(answered, labels, known.classes)
    return FileScore(
        accuracy=found,
        promised=accuracy,
        images=len(labels),
        part=part,
        undecided=undecided,
        loses=loses,
        quality=quality,
    )


def _answered(logits: Logits, raw: "NDArray[np.uint8]", labels: Indices, agrees: float) -> tuple[Answered, int]:
    """What is said of all images, and how many of them hang in the balance."""
    parts, undecided = [], 0
    for start in range(0, len(labels), BATCH):
        answer = logits(raw[start : start + BATCH])
        if not np.isfinite(answer).all():
            raise BadCheckpoint("it answers NaN or infinity")
        parts.append(said(tensor(answer), labels[start : start + BATCH]))
        if agrees:
            second, first = np.partition(answer, -2)[:, -2:].T
            undecided += int((first - second <= agrees * np.abs(answer).max(1)).sum())
    return together(parts), undecided


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nas.models.score", description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoint", type=Path, help="or another file of an archive's folder")
    parser.add_argument("--dataset", help="where its images are now, if its card's name for them does not hold here")
    parser.add_argument("--unchecked", help="why its accuracy cannot be checked: it is compared with torch")
    parser.add_argument("--json", action="store_true", help="print the score as JSON")
    options = parser.parse_args(arguments)
    try:
        result = score(options.checkpoint, options.dataset, unchecked=options.unchecked)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(encode(result)))
        return 0 if result.kept else 1
    if result.accuracy is None:
        print(f"{result.unchecked} here: put them back as they were, or name a copy with --dataset", file=sys.stderr)
        return 1
    print(f"{result.part} accuracy {result.accuracy:.4f} on {result.images:,} images, promised {result.promised:.4f}")
    own = result.quality
    assert own is not None
    print(
        f"balanced accuracy {own.balanced_accuracy:.4f}, macro-F1 {own.macro_f1:.4f}, worst recall "
        f"{own.worst_recall:.4f} of {own.worst_class}, log loss {own.log_loss:.4f}, calibration error "
        f"{own.calibration_error:.4f}"
    )
    if not result.kept:
        print("the promise is not kept: the images or the machine differ from those it was made on", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
