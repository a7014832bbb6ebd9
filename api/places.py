"""Places that are shared: connections, and requests that are under way or wait."""

from collections import Counter


class Places:
    """So many at once in all; whoever takes one says how many are one's own at most."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, Counter[str]()

    @property
    def all_taken(self) -> bool:
        return self._taken.total() >= self._most

    def take(self, whose: str, most: int) -> bool:
        """Whether there was one for them, who give it back then."""
        if self.all_taken or self._taken[whose] >= most:
            return False
        self._taken[whose] += 1
        return True

    def give_back(self, whose: str) -> None:
        self._taken[whose] -= 1
        if not self._taken[whose]:
            del self._taken[whose]
