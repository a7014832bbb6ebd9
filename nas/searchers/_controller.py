"""The autoregressive controller of Zoph & Le 2016 and Zoph et al. 2017: an LSTM that chooses one knob after another."""

import math
from collections.abc import Callable, Sequence

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise ImportError("this searcher's controller needs torch: pip install 'nas-service[searchers]'") from error

from nas.networks.architecture import Choices
from nas.searchers import Costed, Outcome, Problem, dice

REDRAWS = 32


class Controller(nn.Module):
    """`hidden` units in `layers` layers, weights from U(-`spread`, `spread`); each choice is fed to the next step."""

    def __init__(self, sizes: Sequence[int], *, hidden: int, layers: int, spread: float, seed: int) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))
        self.begin = nn.Parameter(torch.empty(1, hidden))
        self.embeddings = nn.ModuleList(nn.Embedding(size, hidden) for size in self.sizes)
        self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in self.sizes)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-spread, spread, generator=generator)

    @torch.no_grad()
    def sample(self, generator: torch.Generator, rows: int, temperature: float) -> list[list[int]]:
        """So many rows of choices by their places, one a knob."""
        state = self._start(rows)
        word = self.begin.expand(rows, -1)
        columns = []
        for knob in range(len(self.sizes)):
            logits, state = self._step(knob, word, state)
            chance = torch.softmax(logits / temperature, dim=1)
            columns.append(torch.multinomial(chance, 1, generator=generator).squeeze(1))
            word = self.embeddings[knob](columns[-1])
        samples: list[list[int]] = torch.stack(columns, dim=1).tolist()
        return samples

    def judge(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of each row of `codes` (rows, knobs), and the entropy met on the way, summed over knobs."""
        state = self._start(len(codes))
        word = self.begin.expand(len(codes), -1)
        likelihood = torch.zeros(len(codes))
        entropy = torch.zeros(len(codes))
        for knob in range(len(self.sizes)):
            logits, state = self._step(knob, word, state)
            logs = torch.log_softmax(logits, dim=1)
            likelihood = likelihood + logs.gather(1, codes[:, knob : knob + 1]).squeeze(1)
            entropy = entropy - (logs.exp() * logs).sum(dim=1)
            word = self.embeddings[knob](codes[:, knob])
        return likelihood, entropy

    def _start(self, rows: int) -> list[tuple[Tensor, Tensor]]:
        hidden = self.begin.shape[1]
        return [(torch.zeros(rows, hidden), torch.zeros(rows, hidden)) for _ in self.cells]

    def _step(
        self, knob: int, word: Tensor, state: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        after = []
        for cell, before in zip(self.cells, state):
            word, memory = cell(word, before)
            after.append((word, memory))
        return self.heads[knob](word), after


class ControllerSearch:
    """What REINFORCE and PPO share: proposals drawn from the controller, outcomes gathered into batches of `batch`.

    What was refused for what it cost has earned less than the worst that was trained before.
    `controller` is made for the sizes of the knobs that have a choice; the others are left out.
    """

    def __init__(
        self,
        problem: Problem,
        controller: Callable[[Sequence[int]], Controller],
        *,
        seed: int,
        batch: int,
        rate: float,
    ) -> None:
        self._problem, self._seed, self._batch = problem, seed, batch
        self._fixed: Choices = {knob: choices[0] for knob, choices in problem.knobs.items()}
        self._free = {knob: choices for knob, choices in problem.knobs.items() if len(choices) > 1}
        self._waiting: list[tuple[list[int], float]] = []
        self._worst = math.inf
        self._drawn: tuple[tuple[int, int], list[list[int]]] = ((-1, -1), [])
        self.controller = controller([len(choices) for choices in self._free.values()])
        self._optimizer = torch.optim.Adam(self.controller.parameters(), lr=rate)

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices:
        if not self._free:
            return dict(self._fixed)
        # Once an answer was refused many are drawn at once, which takes hardly longer than one.
        block, row = divmod(attempt - 1, REDRAWS) if attempt else (-1, 0)
        if self._drawn[0] != (number, block):
            generator = torch.Generator().manual_seed(_mixed(self._seed, number + (block + 1) * 2**32))
            rows, temperature = (REDRAWS, 1 + block * REDRAWS / 10) if attempt else (1, 1.0)
            self._drawn = ((number, block), self.controller.sample(generator, rows, temperature))
        codes = self._drawn[1][row]
        drawn = self._fixed | {knob: choices[place] for (knob, choices), place in zip(self._free.items(), codes)}
        return self._problem.within(drawn, dice(self._seed, number, attempt), attempt)

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        self._drawn = ((-1, -1), [])
        if outcome is None or not self._free:
            return
        codes = [options.index(choices[knob]) for knob, options in self._free.items()]
        if isinstance(outcome, Outcome):
            reward = self._problem.objective.reward(outcome.accuracy, outcome.cost)
            self._worst = min(self._worst, reward)
        elif self._worst < math.inf:
            reward = outcome.instead(self._worst)
        else:
            return  # nothing yet to compare it with
        self._waiting.append((codes, reward))
        if len(self._waiting) == self._batch:
            batch, self._waiting = self._waiting, []
            self.learn(torch.tensor([codes for codes, _ in batch]), torch.tensor([reward for _, reward in batch]))

    def learn(self, codes: Tensor, rewards: Tensor) -> None:
        """One step of learning from a batch: codes (rows, knobs) and what they earned (rows)."""
        raise NotImplementedError

    def descend(self, loss: Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()


class Baseline:
    """Moving averages of the reward and of its square deviation: what a reward is judged against."""

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._mean: float | None = None
        self._square, self._weight = 0.0, 0.0

    def advantages(self, rewards: Tensor) -> Tensor:
        """How many standard deviations each reward is over the average so far; then the averages take them in."""
        mean = float(rewards.mean()) if self._mean is None else self._mean
        off = rewards - mean
        for reward in rewards.tolist():
            self._square = self._decay * self._square + (1 - self._decay) * (reward - mean) ** 2
            self._weight = self._decay * self._weight + (1 - self._decay)
            mean = self._decay * mean + (1 - self._decay) * reward
        self._mean = mean
        return off.div((self._square / self._weight) ** 0.5 + 1e-8)


def check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} {value} is not between {low:g} and {high:g}")


def _mixed(seed: int, number: int) -> int:
    """Seeds of neighbouring numbers must not give neighbouring streams."""
    state = (seed * 0x9E3779B97F4A7C15 + number + 1) % 2**64
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        state = (state ^ state >> 30) * factor % 2**64
    return (state ^ state >> 31) % 2**63
