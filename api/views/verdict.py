"""What a run has come to, in words: the first thing that whoever looks at it wants to know."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.objective import METRIC_WORDS, Metric
from nas.records import ENDED, Run, Trial
from nas.specs import SearchSpec

if TYPE_CHECKING:
    from api.views.growth import Member
    from api.views.search import Candidate, Estimated

LAST = 4  # one part in so many of the networks, the last ones, should bring something yet,
FEWEST = 3  # where they are so many
STILL_RISING = 0.005  # of the reward, by which they make more of them worth while
CERTAIN = 2  # standard errors


def of_search(
    run: Run,
    trials: Sequence[Trial],
    estimated: "Sequence[Estimated]",
    front: "Sequence[Candidate]",
    leader: "Candidate | None",
) -> str | None:
    """Of a search with these trials: which network leads and how certain that is, what the last ones brought, and what
    to do next. None before there is anything to say."""
    assert isinstance(run.spec, SearchSpec)
    metric, over = run.spec.objective.metric, run.state in ENDED
    if leader is None:
        return _nothing(trials) if over and trials else None
    sentences = [
        f"{'Done' if run.state == 'finished' else 'Ended early' if over else 'So far'}: {_told(leader, metric)}."
    ]
    if metric == "accuracy" and _is_chance(leader):
        assert leader.quality
        sentences.append(
            f"That is no better than chance: to answer the largest class each time gives "
            f"{100 * leader.quality.majority:.1f} %. Train longer, on more images, or begin with a parent."
        )
        return " ".join(sentences)
    sentences += _ties(leader, front)
    own = [row for row, _ in estimated if row.baseline is None]
    last = own[-(len(own) // LAST) :] if len(own) >= FEWEST * LAST else []
    before = max((row.reward for row in own[: len(own) - len(last)]), default=leader.reward)
    gain = leader.reward / before - 1 if last and before > 0 else 0.0
    if last:
        brought = f"raised the best reward by {100 * gain:.2g} %" if gain > 0 else "brought nothing better"
        sentences.append(f"The last {len(last)} networks {brought}.")
    if over:
        sentences.append(f"Next: {'more trials, as it still gains' if gain > STILL_RISING else 'grow it'}.")
    return " ".join(sentences)


def of_growth(family: "Sequence[Member]", metric: Metric = "accuracy") -> str | None:
    """Of a family, smallest first: which members are not worth what they cost. None before there are two to compare."""
    scored = [(row, score) for row in family if (score := row.value) is not None]
    if len(scored) < 2:
        return None
    best, highest = max(scored, key=lambda pair: pair[1])
    sentences = [f"{best.member} leads with {_percent(highest, best.value_error)}{_by(metric)}."]
    for place, (row, score) in enumerate(scored):
        smaller = [(one, its) for one, its in scored[:place] if one.mult_adds < row.mult_adds]
        if not smaller:
            continue
        rival, its = max(smaller, key=lambda pair: pair[1])
        times = f"costs {row.mult_adds / rival.mult_adds:.1f} times as much"
        if rival.member in row.tied_with:
            sentences.append(f"{row.member} cannot be told apart from {rival.member} and {times}.")
        elif score <= its:
            sentences.append(f"{row.member} is no better than {rival.member} and {times}: leave it out.")
    return " ".join(sentences)


def _told(row: "Candidate", metric: Metric) -> str:
    return f"trial {row.number} leads with {_percent(row.value, row.value_error)}{_by(metric)}"


def _by(metric: Metric) -> str:
    return "" if metric == "accuracy" else f" of {METRIC_WORDS[metric]}"


def _percent(accuracy: float, error: float | None) -> str:
    known = "" if error is None else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{100 * error:.1f}"
    return f"{100 * accuracy:.1f}{known}\N{NO-BREAK SPACE}%"


def _is_chance(row: "Candidate") -> bool:
    """Whether it may be guessing, for all that is known."""
    return row.quality is not None and row.accuracy - CERTAIN * (row.accuracy_error or 0.0) <= row.quality.majority


def _ties(leader: "Candidate", front: "Sequence[Candidate]") -> list[str]:
    tied = [row for row in front if row.number in leader.tied_with]
    if not tied:
        return []
    others = f"{len(tied)} others of the front" if len(tied) > 1 else f"trial {tied[0].number}"
    cheapest = min(tied, key=lambda row: row.cost)
    if cheapest.cost >= leader.cost:
        return [f"It cannot be told apart from {others}, and is the cheape{'st of them' if tied[1:] else 'r one'}."]
    which = f", of which trial {cheapest.number}" if len(tied) > 1 else ", which"
    saved = round(100 * (1 - cheapest.cost / leader.cost))
    return [f"It cannot be told apart from {others}{which} costs {saved} % less."]


def _nothing(trials: Sequence[Trial]) -> str:
    """Of a search that ended without a network."""
    refused = [trial for trial in trials if trial.state == "refused"]
    failed = [trial for trial in trials if trial.state == "failed"]
    if len(failed) > len(refused):
        return f"Nothing was trained: {len(failed)} of {len(trials)} trials failed, the last with: {failed[-1].error}"
    if refused:
        measured = refused[-1].measurement
        why = f", the last for {measured.refused}" if measured and measured.refused else ""
        return (
            f"Nothing was trained: {len(refused)} of {len(trials)} networks were refused{why}. Raise the limits, or "
            "search a space of smaller networks."
        )
    return "Nothing was trained."
