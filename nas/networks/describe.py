"""Networks for people: the stage table, what differs between two, and a drawing."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, repeat, zip_longest

from nas.networks.architecture import Architecture, Stage
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.network import walk

SKIPS = {
    False: "no skip",
    "pooling": "pooling skip",
    "repeats": "no first skip",
    "pooling repeats": "pooling skip but the first",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a stage table as the EfficientNet paper's table 1 has it: `resolution` is what enters, in pixels."""

    operator: str
    """What it computes, in words."""
    resolution: int
    """Pixels a side of what enters."""
    channels: int
    """Channels that leave."""
    layers: int
    """How often it is repeated."""
    params: int
    """Parameters of all of these."""
    mult_adds: int
    """Multiply-adds of all of these, for one image."""
    latency: float | None = None
    """The share that all of these have of a latency, from 0 to 1; null where that is not known."""


def table(architecture: AnyArchitecture, shares: Sequence[float] = ()) -> list[Line]:
    """The network's stages; cells of one kind and size that follow each other share a line. `shares` are those of a
    latency, for each part of the network."""
    parts = lowered(architecture)
    entering = [shapes[0].height for _, shapes, _ in walk(parts, architecture.images)]
    operators = list(_operators(architecture))
    rows = counts(architecture).rows
    known = len(shares) == len(rows)
    lines = [
        Line(
            operator=operator,
            resolution=size,
            channels=row.channels,
            layers=row.repeats,
            params=row.params,
            mult_adds=row.mult_adds,
            latency=share,
        )
        for operator, size, row, share in zip(operators, entering, rows, shares if known else repeat(None))
    ]
    groups = groupby(lines, key=lambda line: (line.operator, line.resolution, line.channels))
    return [_sum(list(group)) for _, group in groups]


def facts(architecture: AnyArchitecture) -> dict[str, str]:
    """What the table does not show, and the totals."""
    counted, images = counts(architecture), architecture.images
    known = {
        "images": f"{images.resolution}×{images.resolution}×{images.channels}, {images.classes:,} classes",
        "parameters": f"{counted.params:,}",
        "multiply-adds": f"{counted.mult_adds:,}",
        "activations": f"{counted.activations:,}",
        "peak memory": f"{counted.peak_memory():,} bytes, in int8 {counted.peak_memory('int8'):,}",
        "arena": f"{counted.arena():,} bytes of TFLite Micro, in int8 {counted.arena('int8'):,}",
        "weights": f"{counted.model_bytes():,} bytes, in int8 {counted.model_bytes('int8'):,}",
        "digest": architecture.digest(),
    }
    for name in ("activation", "dropout", "drop_connect", "drop_path", "norm_epsilon", "cells", "filters"):
        if (value := getattr(architecture, name, None)) is not None:
            known[name.replace("_", " ")] = str(value)
    if (padding := getattr(architecture, "padding", "same")) != "same":
        known["padding"] = padding
    return known


def difference(old: AnyArchitecture, new: AnyArchitecture) -> list[tuple[str, Line | str]]:
    """What leads from `old` to `new`: lines and facts marked "-", "+" or, where both have them, " ". The size of the
    image and the counts that follow from it make no other line."""
    lines: list[tuple[str, Line | str]] = []
    before, after = table(old), table(new)
    matcher = difflib.SequenceMatcher(None, [_word(line) for line in before], [_word(line) for line in after], False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            lines += [(" ", line) for line in before[i:j]]
            continue
        for one, other in zip_longest(before[i:j], after[k:m]):
            lines += [(mark, line) for mark, line in (("-", one), ("+", other)) if line]
    former, latter = facts(old), facts(new)
    for name in {**former, **latter}:
        if former.get(name) != latter.get(name):
            lines += [
                (mark, f"{name} {known[name]}") for mark, known in (("-", former), ("+", latter)) if name in known
            ]
    return lines


def _word(line: Line) -> tuple[str, int, int]:
    return line.operator, line.channels, line.layers


def operator(stage: Stage) -> str:
    """A stage's operator in the words of the EfficientNet paper, what is unusual about it behind."""
    name = {"conv": "Conv", "fused": f"Fused-MBConv{stage.expand}", "mbconv": f"MBConv{stage.expand}"}[stage.op]
    notes = [f"SE {stage.se_ratio:g}"] if stage.se_ratio else []
    notes += [] if stage.skip is True else [SKIPS[stage.skip]]
    return ", ".join([f"{name}, k{stage.kernel}×{stage.kernel}", *notes])


def _operators(architecture: AnyArchitecture) -> Iterator[str]:
    if not isinstance(architecture, Architecture):
        yield from (part.name for part in lowered(architecture))
        return
    yield "Conv, k3×3"
    yield from map(operator, architecture.stages)
    if architecture.head:
        yield "Conv, k1×1"
    yield "Pooling & FC"


def _sum(lines: list[Line]) -> Line:
    first = lines[0]
    return Line(
        operator=first.operator,
        resolution=first.resolution,
        channels=first.channels,
        layers=sum(line.layers for line in lines),
        params=sum(line.params for line in lines),
        mult_adds=sum(line.mult_adds for line in lines),
        latency=None if first.latency is None else sum(line.latency or 0.0 for line in lines),
    )
