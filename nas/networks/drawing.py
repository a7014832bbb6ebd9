"""A network as an SVG picture: slabs as tall as the image and as thick as the channels that a layer leaves.

Heights and thicknesses are to scale by their square roots. A slab carries its kernel; expansion shows as a thick slab
between thin ones. Blocks that are alike are drawn once, with their number.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby

from nas.networks.layers import Branches, Conv, Graph, Layer, Linear, Pool, Sequence, pair
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.network import walk
from nas.networks.shapes import Shape, after, made

TALLEST, THICKEST, THINNEST = 150.0, 46.0, 3.0
GAP, BETWEEN, MARGIN, WIDTH = 2.0, 26.0, 24.0, 1240.0
ROW = TALLEST + 74.0
COLOURS = {"dense": "#4e79a7", "pointwise": "#a0cbe8", "depthwise": "#f28e2b", "pool": "#b6b6b6", "linear": "#59a14f"}
# Light or dark as whoever looks at it has it: on a dark page white paper dazzles.
STYLE = (
    ".title{font-size:18px;font-weight:bold}.block{font-size:12px}.shape{font-size:11px}"
    ".kernel{font-size:10px;text-anchor:middle}"
    "text{fill:#000}.shape{fill:#555}.ground{fill:#fff}"
    "@media (prefers-color-scheme:dark){text{fill:#e4e8ed}.shape{fill:#9ca7b4}.ground{fill:#161b22}}"
)


@dataclass(frozen=True)
class Slab:
    kind: str
    kernel: str
    shape: Shape


def svg(architecture: AnyArchitecture, title: str) -> str:
    """The picture as a document of its own."""
    groups = list(_groups(architecture))
    shapes = [slab.shape for _, slabs, _, _ in groups for slab in slabs]
    tallest, thickest = max(shape.height for shape in shapes), max(shape.channels for shape in shapes)

    def height(slab: Slab) -> float:
        return max(THINNEST, TALLEST * math.sqrt(slab.shape.height / tallest))

    def thickness(slab: Slab) -> float:
        return max(THINNEST, THICKEST * math.sqrt(slab.shape.channels / thickest))

    drawn, x, y = [], MARGIN, 60.0
    for name, slabs, left, number in groups:
        width = sum(thickness(slab) + GAP for slab in slabs)
        label = name + (f" ×{number}" if number > 1 else "")
        shape = f"{left.height}×{left.width}×{left.channels}"
        needed = max(width, 6.4 * max(len(label), len(shape)))
        if x + needed > WIDTH - MARGIN and x > MARGIN:
            x, y = MARGIN, y + ROW
        drawn.append(_text(x, y, label, "block"))
        middle, at = y + 10 + TALLEST / 2, x
        for slab in slabs:
            drawn.append(_slab(slab, at, middle, thickness(slab), height(slab)))
            at += thickness(slab) + GAP
        drawn.append(_text(x, y + TALLEST + 36, shape, "shape"))
        x += needed + BETWEEN
    key = "".join(
        f'<rect x="{MARGIN + 120 * place}" y="{y + ROW - 8}" width="12" height="12" fill="{colour}"/>'
        + _text(MARGIN + 120 * place + 18, y + ROW + 2, kind, "shape")
        for place, (kind, colour) in enumerate(COLOURS.items())
    )
    bottom = y + ROW + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {bottom:g}" font-family="sans-serif">'
        f"<style>{STYLE}</style>"
        f'<rect width="{WIDTH:g}" height="{bottom:g}" class="ground"/>'
        + _text(MARGIN, 30, title, "title")
        + "".join(drawn)
        + key
        + "</svg>\n"
    )


def _groups(architecture: AnyArchitecture) -> Iterator[tuple[str, list[Slab], Shape, int]]:
    """Name, slabs, leaving shape and number of the blocks that follow each other and are alike."""
    blocks: list[tuple[str, list[Slab], Shape]] = []
    for part, entering, _ in walk(lowered(architecture), architecture.images):
        if part.auxiliary:
            continue
        for block in part.blocks:
            slabs = list(_slabs(block, *entering))
            entering = (after(block, *entering),)
            if slabs:
                blocks.append((part.name, slabs, entering[0]))
    for (name, slabs, left), alike in groupby(blocks):
        yield name, slabs, left, len(list(alike))


def _slabs(layer: Layer, *entering: Shape) -> Iterator[Slab]:
    shape = entering[0]
    leaving = after(layer, *entering)
    match layer:
        case Conv():
            tall, wide = pair(layer.kernel)
            kind = "depthwise" if layer.groups == shape.channels > 1 else "pointwise" if tall == wide == 1 else "dense"
            yield Slab(kind, f"{tall}" if tall == wide else f"{tall}×{wide}", leaving)
        case Pool():
            yield Slab("pool", str(layer.kernel), leaving)
        case Linear():
            yield Slab("linear", "", leaving)
        case Sequence():
            for inner in layer.layers:
                yield from _slabs(inner, shape)
                shape = after(inner, shape)
        case Branches():
            for branch in layer.branches:
                yield from _slabs(branch, shape)
        case Graph():
            states = [after(adapter, state) for adapter, state in zip(layer.adapters, entering)]
            for adapter, state in zip(layer.adapters, entering):
                yield from _slabs(adapter, state)
            for node in (*layer.nodes, layer.output):
                for step in node.steps:
                    yield from _slabs(step.applied, states[step.state])
                states.append(made(node, states))


def _slab(slab: Slab, x: float, middle: float, thickness: float, height: float) -> str:
    shape = f"{slab.shape.height}×{slab.shape.width}×{slab.shape.channels}"
    kernel = f"{slab.kernel}×{slab.kernel} " if slab.kernel.isdigit() else f"{slab.kernel} ".lstrip()
    return (
        f'<rect x="{x:.1f}" y="{middle - height / 2:.1f}" width="{thickness:.1f}" height="{height:.1f}" '
        f'fill="{COLOURS[slab.kind]}"><title>{escape(f"{slab.kind} {kernel}to {shape}")}</title></rect>'
        + _text(x + thickness / 2, middle + height / 2 + 10, slab.kernel, "kernel")
    )


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'
