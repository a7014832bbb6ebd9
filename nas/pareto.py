"""Which of many networks no other beats in all its costs and in accuracy."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[float, ...]
"""One cost or two, then accuracy: less of a cost is better, more accuracy is better."""


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other point beats, by rising (first) cost; of equal ones the first. O(n log n)."""
    stairs, led = _Stairs(), _led(points)
    order = _by_cost([points[index] for index in led])
    return [led[place] for place in order if stairs.add(*_rest(points[led[place]]))]


def layers(points: Sequence[Point]) -> list[int]:
    """Indices of all points: those of the front first, then the front of the rest, and so on. Within one those come
    first whose neighbours are furthest away, its ends before all (NSGA-II's order, Deb et al. 2002)."""
    left, order = list(range(len(points))), []
    while left:
        layer = [left[index] for index in front([points[index] for index in left])]
        apart = dict.fromkeys(layer, 0.0)
        for axis in range(len(points[layer[0]])):
            row = sorted(layer, key=lambda index: points[index][axis])
            span = points[row[-1]][axis] - points[row[0]][axis]
            for before, index, after in zip(row, row[1:], row[2:]):
                apart[index] += (points[after][axis] - points[before][axis]) / span if span else 0.0
            apart[row[0]] = apart[row[-1]] = float("inf")
        order += sorted(layer, key=apart.__getitem__, reverse=True)
        left = [index for index in left if index not in apart]
    return order


def hypervolume(points: Sequence[Point], corner: Point) -> float:
    """Area, or with two costs volume, that `points` dominate, bounded by `corner` (the worst costs and the worst
    accuracy that count). O(n log n) for one cost, O(n²) for two."""
    stairs, volume, area = _Stairs(), 0.0, 0.0
    worst, (also, floor) = corner[0], _rest(corner)
    also += len(corner) == 2  # a second cost that all have is as good as none
    reached = 0.0
    for index in _by_cost(points):
        cost = points[index][0]
        if cost >= worst:
            break
        volume, reached = volume + area * (cost - reached), cost
        if stairs.add(*_rest(points[index])):
            area = stairs.area(also, floor)
    return volume + area * (worst - reached)


def corner(points: Sequence[Point]) -> Point:
    """The corner that an area is measured down to: the worst that the front of these points has of each, and a tenth of
    its range beyond that, so that the ends of the front count as well (Ishibuchi et al. 2018). Of a front without a
    range, as that of one point, a tenth of the worst itself."""
    *costs, values = zip(*(points[index] for index in front(points)))
    highest = (max(its) + ((max(its) - min(its)) or max(its)) / 10 for its in costs)
    return (*highest, min(values) - ((max(values) - min(values)) or min(values)) / 10)


def growth(points: Sequence[Point], counts: Sequence[int], corner: Point) -> list[float]:
    """The hypervolume of the first so many points, for each of these rising `counts`."""
    volumes, kept, done = [], list[Point](), 0
    for count in counts:
        kept += points[done:count]
        kept = [kept[index] for index in front(kept)]
        volumes.append(hypervolume(kept, corner))
        done = count
    return volumes


def _led(points: Sequence[Point]) -> list[int]:
    """Indices of the points that none before them beats, where one cost makes that quick; otherwise of all: a sort of
    what is left takes less than one of them all."""
    if not points or len(points[0]) != 2:
        return list(range(len(points)))
    return _Stairs().led(points)


def _by_cost(points: Sequence[Point]) -> list[int]:
    return sorted(range(len(points)), key=lambda index: (*points[index][:-1], -points[index][-1], index))


def _rest(point: Point) -> tuple[float, float]:
    """The second cost, 0 where there is none, and the accuracy."""
    return (point[1] if len(point) == 3 else 0.0), point[-1]


class _Stairs:
    """The best accuracy up to each second cost, of the points so far."""

    def __init__(self) -> None:
        self._costs: list[float] = []
        self._accuracies: list[float] = []

    def add(self, cost: float, accuracy: float) -> bool:
        """Whether none so far has both as little cost and as much accuracy."""
        place = bisect_right(self._costs, cost)
        if place and self._accuracies[place - 1] >= accuracy:
            return False
        start = place - 1 if place and self._costs[place - 1] == cost else place
        end = bisect_right(self._accuracies, accuracy, lo=place)
        self._costs[start:end], self._accuracies[start:end] = [cost], [accuracy]
        return True

    def led(self, points: Iterable[Point]) -> list[int]:
        """Indices of those of the points, a cost and an accuracy each, that were added one after another. Most are
        beaten, which is seen without a call."""
        costs, accuracies, places = self._costs, self._accuracies, []
        for index, (cost, accuracy) in enumerate(points):
            place = bisect_right(costs, cost)
            if not place or accuracies[place - 1] < accuracy:
                self.add(cost, accuracy)
                places.append(index)
        return places

    def area(self, worst: float, floor: float) -> float:
        """Under the stairs, up to the `worst` cost and down to the `floor`."""
        area = 0.0
        for cost, accuracy in zip(self._costs, self._accuracies):
            area += max(0.0, worst - cost) * max(0.0, accuracy - floor)
            floor = max(floor, accuracy)
        return area
