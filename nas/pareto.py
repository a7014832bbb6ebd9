"""Which of many (cost, accuracy) points no other point beats."""

from collections.abc import Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
"""(cost, accuracy): less cost is better, more accuracy is better."""


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other point beats, by rising cost; of equal points the first. O(n log n)."""
    best = float("-inf")
    chosen = []
    for index in sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1], index)):
        if points[index][1] > best:
            best = points[index][1]
            chosen.append(index)
    return chosen


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Area that `points` dominate, bounded by `reference` (the worst cost and the worst accuracy that count)."""
    worst_cost, floor = reference
    area = 0.0
    for index in front(points):
        cost, accuracy = points[index]
        if cost < worst_cost and accuracy > floor:
            area += (worst_cost - cost) * (accuracy - floor)
            floor = accuracy
    return area
