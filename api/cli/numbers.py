"""Numbers as people read and write them; what is not known is a dash."""

import re

from nas.measurements import MOST_ERROR

ABOUT = "~"  # before a latency that is noisy, where there is no room for its error


def percent(fraction: float | None, error: float | None = None) -> str:
    """With its standard error, where that is known."""
    if fraction is None:
        return "–"
    return f"{100 * fraction:.2f} %" if error is None else f"{100 * fraction:.2f} ± {100 * error:.2f} %"


def between(value: float | None, interval: list[float] | None) -> str:
    """A correlation and the interval that it lies in."""
    if value is None or interval is None:
        return "–"
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"


def short(number: float | None) -> str:
    """With three digits and k, M, G or T."""
    if number is None:
        return "–"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= 0.9995 * size:
            return f"{_three(number / size)} {unit}"
    return f"{number:g}"


def _three(number: float) -> str:
    """With three significant digits, of which no more than three are behind the point, unless nothing was left then."""
    rounded = float(f"{number:.3g}")
    if 0 < rounded < 0.0005:
        return f"{rounded:g}"
    return f"{rounded:.{max(0, 3 - len(str(int(rounded))))}f}" if rounded >= 1 else f"{rounded:.3f}"


def size(count: float) -> str:
    """Of bytes."""
    text = short(count)
    return f"{text} B" if text[-1].isdigit() else f"{text}B"


def bytes_of(text: str) -> int:
    """What such a size is: 50GB, 1.5 TB, 200000. Raises ValueError."""
    known = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([kMGT]?)B?", text)
    if known is None:
        raise ValueError(f"{text!r} is no size: give one like 50GB")
    return round(float(known[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[known[2]])


def milliseconds(latency_ms: float | None) -> str:
    return "–" if latency_ms is None else f"{_three(latency_ms)} ms"


def latency(latency_ms: float | None, error_ms: float | None, *, brief: bool = False) -> str:
    """As in "0.41 ms ± 0.5%", where the error is known, and "0.41 ms ± 21% noisy", where it is large; in brief
    "0.41 ms" and "~0.41 ms"."""
    if not latency_ms or not error_ms:
        return milliseconds(latency_ms)
    noisy, short = error_ms > MOST_ERROR * latency_ms, milliseconds(latency_ms)
    if brief:
        return f"{ABOUT}{short}" if noisy else short
    return f"{short} ± {error_ms / latency_ms:.1%}{' noisy' if noisy else ''}"


def reward(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d}" if hours < 100 else f"{hours / 24:.0f} d"
