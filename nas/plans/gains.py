"""What a searcher expected of its proposals, and whether that is still worth a trial."""

import heapq

PATIENCE = 3  # proposals in a row of which too little is expected, so that one lucky or unlucky trial ends nothing


class Gains:
    """`least` is what is worth a trial, None: anything; so many trials run side by side as `parallel` says, and their
    networks were proposed with the same known."""

    def __init__(self, least: float | None, parallel: int) -> None:
        self._least, self._wanted = least, PATIENCE + parallel - 1
        self._expected: dict[int, float] = {}  # by the trial's number

    def tell(self, number: int, expected: float | None) -> None:
        if expected is not None:
            self._expected[number] = expected

    def saturated(self) -> str | None:
        """Why nothing more is worth a trial, where too little was expected of each of the last ones."""
        last = heapq.nlargest(self._wanted, self._expected)
        if self._least is None or len(last) < self._wanted:
            return None
        most = max(self._expected[number] for number in last)
        if most >= self._least:
            return None
        return (
            f"no gain of {self._least:g} is expected any more: of the last {self._wanted} proposals {most:.2g} at most"
        )
