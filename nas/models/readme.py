"""The card of a model as people read it, with the header that Hugging Face's repositories have."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from nas.models.checkpoint import Card
from nas.models.manifest import CHECKPOINT, FileScore, Way, called
from nas.parents import Origin

CLASSIFY = """\
    pip install numpy onnxruntime pillow
    python classify.py photo.jpg{model}
"""
LOAD = """\
In Python, with this package, torch, numpy and safetensors:

    import nas, PIL.Image
    network = nas.load("{name}")  # this folder, an archive of it, or its model.safetensors
    print(network(PIL.Image.open("photo.jpg")).names)
"""
LICENCE = """\
## Licence

The weights are of whoever trained them{origin}. What the images may be used for, their owner says; this card does not
know. `classify.py` is under the Apache License 2.0.
"""


def readme(card: Card, ways: Sequence[Way]) -> str:
    """Markdown."""
    began = (
        f", and began as those of `{card.origin.name}`, which are under {card.origin.licence}" if card.origin else ""
    )
    parts = (_header(card, ways), _facts(card), *_use(card, ways), *_tables(card, ways), LICENCE.format(origin=began))
    return "\n".join(parts)


def _use(card: Card, ways: Sequence[Way]) -> list[str]:
    """By the files that are there."""
    there = {way.file for way in ways if not way.refused}
    lines = ["## Use it\n"]
    if networks := [name for name in ("model.onnx", "model.int8.onnx") if name in there]:
        lines.append(CLASSIFY.format(model="" if networks[0] == "model.onnx" else f" --model {networks[0]}"))
    if CHECKPOINT in there:
        lines.append(LOAD.format(name=called(card)))
    return lines if len(lines) > 1 else []


def _header(card: Card, ways: Sequence[Way]) -> str:
    """YAML, in which every JSON is a value."""
    accuracy = card.accuracy if card.test_accuracy is None else card.test_accuracy
    lines: dict[str, Any] = {
        "license": "unknown",
        "library_name": "nas",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "neural-architecture-search", *_forms(ways)],
    }
    if accuracy is not None:
        split = "validation" if card.test_accuracy is None else "test"
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"type": card.dataset, "name": card.dataset, "split": split},
            "metrics": [{"type": "accuracy", "value": accuracy}],
        }
        lines["model-index"] = [{"name": called(card), "results": [result]}]
    return "\n".join(["---", *(f"{name}: {json.dumps(value)}" for name, value in lines.items()), "---", ""])


def _forms(ways: Sequence[Way]) -> list[str]:
    return [form for form in ("onnx", "safetensors") if any(way.exporter == form and not way.refused for way in ways)]


def _facts(card: Card) -> str:
    images = card.architecture.images
    lines = [
        f"# {called(card)}",
        "",
        f"A network for {len(card.classes)} classes, {card.params:,} parameters, {card.mult_adds:,} multiply-adds an "
        f"image. It is given {images.resolution}×{images.resolution} pixels of {images.channels} "
        f"channel{'s' if images.channels > 1 else ''}.",
        "",
        f"- Trained on `{card.dataset}`: {_recipe(card)}, seed {card.seed}.",
        *([_began(card.origin)] if card.origin else []),
        f"- It is number {card.number} of run {card.run}{f', its member {card.member}' if card.member else ''}.",
        f"- Its classes: {', '.join(card.classes)}.",
        "- A picture becomes its central square of "
        f"{card.pixels or images.resolution} pixels; then (value / 255 - mean) / std, with mean "
        f"{_numbers(card.mean)} and std {_numbers(card.std)}.",
        "",
    ]
    return "\n".join(lines)


def _began(origin: Origin) -> str:
    return f"- It began with the weights of `{origin.name}`, trained on {origin.dataset} ({origin.source})."


def _recipe(card: Card) -> str:
    recipe = card.recipe
    some = f" of {recipe.train_images:,} images" if recipe.train_images else ""
    plural = "" if recipe.epochs == 1 else "s"
    epochs = f"{recipe.epochs} epoch{plural}{some}" if recipe.epochs else "as many epochs as its images asked for"
    if recipe.folds > 1 and card.test_accuracy is None:
        epochs += f" on all but the first of {recipe.folds} folds, which it is scored on,"
    return f"{epochs} in batches of {recipe.batch}, by {recipe.optimizer} (all of it in recipe.json)"


def _tables(card: Card, ways: Sequence[Way]) -> list[str]:
    scored = card.test_accuracy is not None
    accuracy = card.test_accuracy if scored else card.accuracy
    sections = []
    why = next((way.score.unchecked for way in ways if way.score and way.score.unchecked), None)
    if accuracy is not None:
        sections.append(f"## Accuracy\n\n{accuracy:.4f} on the {'test' if scored else 'validation'} images.")
        if card.quality:
            sections[-1] += (
                f" Balanced accuracy {card.quality.balanced_accuracy:.4f}, macro-F1 {card.quality.macro_f1:.4f}; "
                f"always answering the largest class would give {card.quality.majority:.4f}. Worst is "
                f"{card.quality.worst_class}, with a recall of {card.quality.worst_recall:.4f}."
            )
        if card.seen:
            sections[-1] += " What it began with, or its teacher, may have been trained on these: that flatters it."
        if why:
            sections[-1] += f" Not checked again: {why}."
        sections[-1] += "\n"
    rows = [
        (
            f"`{way.file}`",
            _found(way.score) if way.score else "–",
            f"{way.latency.median_ms:.3f}" if way.latency else "–",
            way.refused or _kept(way),
        )
        for way in ways
    ]
    done = "compared, by its own runtime, with the network in torch" if why else "scored by its own runtime"
    sections.append(f"Each file was {done}:\n\n" + _table(("file", "accuracy", "ms", ""), rows))
    if card.quality and card.quality.confusion:
        heading = "## Confusion matrix\n\nImages of each class, a row, that were taken for each class, a column.\n\n"
        rows_of = zip(card.quality.classes, card.quality.confusion)
        counted = [(name, *map(str, row)) for name, row in rows_of]
        sections.append(heading + _table(("", *card.quality.classes), counted))
    if card.latencies:
        measured = [
            (
                latency.device,
                f"{latency.median_ms:.3f}",
                f"{latency.error:.1%}" if latency.error_ms else "–",
                ", ".join(f"{name} {value}" for name, value in latency.fingerprint.items()),
            )
            for latency in card.latencies.values()
        ]
        sections.append("## Latency\n\n" + _table(("device", "ms", "standard error", "measured on"), measured))
    return sections


def _found(score: FileScore) -> str:
    return "not checked" if score.accuracy is None else f"{score.accuracy:.4f} on {score.images:,} images"


def _kept(way: Way) -> str:
    if way.score and way.score.alike is not None:
        said = "the class" if way.score.loses else "the answer"
        return f"loaded from here alone; {said} of {way.score.alike:.1%} of {way.score.images:,} images is torch's"
    if way.score and way.score.loses:
        return f"loaded from here alone; in single precision {way.score.promised:.4f} was promised"
    return "loaded from here alone, and scored what was promised"


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(_cell(text) for text in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
