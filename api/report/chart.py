"""A chart as inline SVG: series of points with error bars, by classes that a page's style colours."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias

WIDTH, HEIGHT = 760.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 76.0, 20.0, 16.0, 48.0
MANY_TIMES = 6  # the least value, from which on an axis is logarithmic
TICKS = 5

Scale: TypeAlias = Callable[[float], float]
Line: TypeAlias = Literal["front", "steps", "straight"]


@dataclass(frozen=True, kw_only=True)
class Dot:
    x: float
    y: float
    error: float | None = None
    """The standard error of y."""
    name: str = ""
    """What is written beside it."""
    title: str = ""
    """What is said of it where it is pointed at."""
    chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points with a class of its own; the line is drawn as a front, from step to step, straight, or not at all."""

    name: str
    style: str
    dots: Sequence[Dot]
    line: Line | None = None


@dataclass(frozen=True, kw_only=True)
class Axis:
    title: str
    show: Callable[[float], str]
    """The words of a tick."""
    spread: bool = False
    """Whether it is logarithmic where the largest value is many times the least."""


def chart(series: Iterable[Series], across: Axis, upwards: Axis, label: str) -> str:
    """With a legend where there are several series; nothing where there is no point."""
    drawn = [each for each in series if each.dots]
    if not drawn:
        return ""
    xs = [dot.x for each in drawn for dot in each.dots]
    ys = [dot.y + side * (dot.error or 0.0) for each in drawn for dot in each.dots for side in (-1, 1)]
    x, x_ticks = _scale(min(xs), max(xs), LEFT + 8, WIDTH - RIGHT - 8, spread=across.spread)
    y, y_ticks = _scale(min(ys), max(ys), HEIGHT - BOTTOM - 8, TOP)
    parts = [*_axes(x, y, x_ticks, y_ticks, across, upwards), *(_drawn(each, x, y) for each in drawn)]
    legend = "".join(f'<span class="key {each.style}">{escape(each.name)}</span>' for each in drawn)
    picture = f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    return f"<figure>{picture}" + (f"<figcaption>{legend}</figcaption>" if len(drawn) > 1 else "") + "</figure>"


def _axes(x: Scale, y: Scale, x_ticks: list[float], y_ticks: list[float], across: Axis, upwards: Axis) -> Iterable[str]:
    bottom = HEIGHT - BOTTOM
    for tick in y_ticks:
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        yield _text(LEFT - 9, y(tick) + 4, upwards.show(tick), "end")
    for tick in x_ticks:
        yield f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
        yield _text(x(tick), bottom + 19, across.show(tick), "middle")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, across.title, "middle")
    turned = f'transform="translate(13 {(TOP + bottom) / 2:.1f}) rotate(-90)"'
    yield f'<text text-anchor="middle" {turned}>{escape(upwards.title)}</text>'


def _drawn(series: Series, x: Scale, y: Scale) -> str:
    parts = [f'<g class="{series.style}">']
    if series.line:
        parts.append(f'<path class="line" d="{_path(series, x, y)}"/>')
    for dot in series.dots:
        at, high = x(dot.x), y(dot.y)
        if dot.error:
            parts.append(f'<path class="bar" d="M{at:.1f},{y(dot.y - dot.error):.1f}V{y(dot.y + dot.error):.1f}"/>')
        kind, radius = ("dot chosen", 7) if dot.chosen else ("dot", 4)
        title = f"<title>{escape(dot.title)}</title>" if dot.title else ""
        parts.append(f'<circle class="{kind}" cx="{at:.1f}" cy="{high:.1f}" r="{radius}">{title}</circle>')
        if dot.name:
            parts.append(_text(at, high - 11, dot.name, "middle"))
    return "".join([*parts, "</g>"])


def _path(series: Series, x: Scale, y: Scale) -> str:
    first, *others = series.dots
    start = f"M{x(first.x):.1f},{HEIGHT - BOTTOM}V" if series.line == "front" else f"M{x(first.x):.1f},"
    parts = [f"{start}{y(first.y):.1f}"]
    for dot in others:
        parts.append(
            f"L{x(dot.x):.1f},{y(dot.y):.1f}" if series.line == "straight" else f"H{x(dot.x):.1f}V{y(dot.y):.1f}"
        )
    return "".join([*parts, f"H{WIDTH - RIGHT}" if series.line == "front" else ""])


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _scale(low: float, high: float, start: float, end: float, *, spread: bool = False) -> tuple[Scale, list[float]]:
    """From values to pixels, and ticks that people would choose."""
    if spread and low > 0 and high / low > MANY_TIMES:
        ratio = math.log(high / low)
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        kept = [tick for tick in ticks if low <= tick <= high]
        if len(kept) > 2 * TICKS:
            kept = [tick for tick in kept if math.log10(tick).is_integer()]
        return lambda value: start + math.log(value / low) / ratio * (end - start), kept
    if not high > low:
        low, high = low - 0.05 * abs(low) - 0.001, high + 0.05 * abs(high) + 0.001
    power = 10.0 ** math.floor(math.log10((high - low) / TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.9999 * (high - low) / TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    low, high = first * step, last * step
    return lambda value: start + (value - low) / (high - low) * (end - start), [
        place * step for place in range(first, last + 1)
    ]
