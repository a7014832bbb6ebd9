"""What a search will take, from trainings that were measured: seconds an image, by multiply-adds.

Training an image takes a + b × multiply-adds seconds, neither negative, fitted to relative errors; what an evaluation
does besides (measuring, scoring) takes its mean. Other recipes differ by their images and epochs alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Line = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Training:
    """A measured one: `images` were seen in all epochs together; `train_seconds` are part of `seconds`."""

    mult_adds: int
    images: int
    train_seconds: float
    seconds: float
    compute_seconds: float


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Learnt from so many `trainings`. `error` is the mean relative error for a training, each foretold from all the
    others; None for fewer than three. `share` is the part of a processor or GPU that they held."""

    line: Line
    besides_seconds: float
    share: float
    error: float | None
    trainings: int

    def seconds(self, mult_adds: float, images: int) -> float:
        return self.besides_seconds + images * (self.line[0] + self.line[1] * mult_adds)


def pace(trainings: Sequence[Training]) -> Pace:
    """Raises ValueError where there is none to learn from."""
    if not trainings:
        raise ValueError("there is no training to learn from")
    error = None
    if len(trainings) >= 3:
        missed = [
            abs(
                _learnt([*trainings[:place], *trainings[place + 1 :]]).seconds(one.mult_adds, one.images) / one.seconds
                - 1
            )
            for place, one in enumerate(trainings)
        ]
        error = sum(missed) / len(missed)
    return _learnt(trainings, error)


def _learnt(trainings: Sequence[Training], error: float | None = None) -> Pace:
    count = len(trainings)
    return Pace(
        line=_line([(one.mult_adds, one.train_seconds / one.images) for one in trainings]),
        besides_seconds=sum(one.seconds - one.train_seconds for one in trainings) / count,
        share=sum(one.compute_seconds for one in trainings) / sum(one.seconds for one in trainings),
        error=error,
        trainings=count,
    )


def _line(points: Sequence[tuple[float, float]]) -> Line:
    """(a, b), not negative, with the smallest squared relative errors of a + b·x."""
    ones, slopes = [1 / y for _, y in points], [x / y for x, y in points]
    first, second = sum(ones), sum(slopes)
    both = sum(one * slope for one, slope in zip(ones, slopes))
    squares = sum(one * one for one in ones), sum(slope * slope for slope in slopes)
    whole = squares[0] * squares[1] - both * both
    if whole > 1e-9 * squares[0] * squares[1]:
        line = (squares[1] * first - both * second) / whole, (squares[0] * second - both * first) / whole
        if min(line) >= 0:
            return line
    proportional, level = (0.0, second / squares[1]), (first / squares[0], 0.0)
    return min(proportional, level, key=lambda line: sum((1 - (line[0] + line[1] * x) / y) ** 2 for x, y in points))
