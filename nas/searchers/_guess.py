"""What networks cost, guessed: good enough to say which of many are worth counting."""

from collections.abc import Sequence

import numpy as np

from nas.searchers._gaussian_process import Codes, Floats, GaussianProcess, plain

STEPS = 30  # in which a process is fitted


class Guess:
    """A Gaussian process for the logarithm of each cost, of networks that were counted: `codes` and `costs`, a row for
    each."""

    def __init__(self, tables: Sequence[Floats], codes: Codes, costs: Floats) -> None:
        logs, nothing = np.log(costs), np.zeros(len(codes))
        self._centre, self._scale = logs.mean(axis=0), np.maximum(logs.std(axis=0), 1e-3)
        self._processes = [GaussianProcess(tables) for _ in range(costs.shape[1])]
        for process, values in zip(self._processes, ((logs - self._centre) / self._scale).T):
            rows = plain(codes, nothing, values, nothing)
            process.fit(rows, STEPS)
            process.condition(rows)

    def costs(self, codes: Codes) -> Floats:
        """A row for each."""
        nothing = np.zeros(len(codes))
        expected = np.column_stack([process.mean(codes, nothing) for process in self._processes])
        return np.asarray(np.exp(self._centre + self._scale * expected))
