"""A searcher whose answers are checked: its author's code is named where it fails, or gives what the knobs have not."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from nas import plugins
from nas.networks.architecture import Choice, Choices, Knobs
from nas.refusal import Refusal, shortened
from nas.searchers import Costed, MakeSearcher, Problem, Searcher
from nas.tracebacks import blamed

LONGEST = 200  # characters of an answer that are repeated
OURS = str(Path(__file__).with_name("problem.py"))  # the functions that a searcher is given

Answer = TypeVar("Answer")


class Asked:
    """The searcher of that name. Raises BrokenPlugin for whatever it raises, and for what is no answer."""

    def __init__(self, name: str, own: Searcher, knobs: Knobs) -> None:
        plugins.require(own, f"searcher {name!r}", "ask", "tell")
        self._name, self._own, self._knobs = name, own, knobs

    @property
    def expected_gain(self) -> float | None:
        """What it says that it expects, where it does."""
        gain = getattr(self._own, "expected_gain", None)
        if gain is not None and type(gain) not in (int, float):
            raise plugins.BrokenPlugin(
                f"searcher {self._name!r} expects a gain of {_shown(gain)}: give a float, or None"
            )
        return cast(float | None, gain)

    def ask(self, number: int, pending: Sequence[Choices] | None = None, *, attempt: int = 0) -> Choices | None:
        return _tried(self._name, lambda: self._checked(self._own.ask(number, pending, attempt=attempt), number))

    def tell(self, choices: Choices, outcome: Costed | None) -> None:
        _tried(self._name, lambda: self._own.tell(choices, outcome))

    def _checked(self, answer: object, number: int) -> Choices | None:
        """The answer, each choice as its knob has it: in JSON an equal one of another type would be another."""
        if answer is None:
            return None
        gave = f"searcher {self._name!r} gave {{}} for trial {number}"
        if not isinstance(answer, Mapping):
            said = gave.format(_shown(answer))
            raise plugins.BrokenPlugin(f"{said}: ask gives a dictionary with a choice for each knob, or None")
        if absent := [knob for knob in self._knobs if knob not in answer]:
            raise plugins.BrokenPlugin(f"{gave.format('no choice')} of {', '.join(absent)}: give one for each knob")
        if unknown := [knob for knob in answer if knob not in self._knobs]:
            there = f"there are {', '.join(self._knobs)}"
            raise plugins.BrokenPlugin(f"{gave.format('a choice')} of knob {_shown(unknown[0])}: {there}")
        return {knob: self._choice(gave, knob, choice) for knob, choice in answer.items()}

    def _choice(self, gave: str, knob: str, choice: object) -> Choice:
        for option in self._knobs[knob]:
            if option == choice:
                return option
        there = ", ".join(map(repr, self._knobs[knob]))
        raise plugins.BrokenPlugin(f"{gave.format(f'{knob}={_shown(choice)}')}: the search leaves it {there}")


def made(name: str, problem: Problem, *, seed: int, options: Mapping[str, Choice]) -> Asked:
    """The searcher of that name, on that problem. Raises UnknownPlugin, BrokenPlugin, and ValueError for an option that
    it does not take."""
    make = cast(MakeSearcher, plugins.load("nas.searchers", name, "Searcher").Searcher)

    def tried() -> Searcher:
        try:
            return make(problem, seed=seed, **options)
        except TypeError as error:
            if error.__traceback__ and error.__traceback__.tb_next:  # it is raised by its own code
                raise
            raise Refusal(f"searcher {name!r} does not take these options: {error}", field="options") from error

    return Asked(name, _tried(name, tried, ValueError, ImportError), problem.knobs)


def _tried(name: str, answer: Callable[[], Answer], *let: type[Exception]) -> Answer:
    """What the searcher's code gives; errors to `let` through mean something, and so do those of what it was given."""
    try:
        return answer()
    except plugins.FAULTS as error:
        if isinstance(error, (plugins.BrokenPlugin, *let)):
            raise
        if any(frame.filename == OURS for frame in traceback.extract_tb(error.__traceback__)):
            raise
        said = blamed(error, plugins.file("nas.searchers", name))
        raise plugins.BrokenPlugin(f"searcher {name!r} raises {said}") from error


def _shown(value: Any) -> str:
    return shortened(repr(value), LONGEST)
