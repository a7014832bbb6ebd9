"""What a run has come to, in words: the first thing that whoever looks at it wants to know."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.objective import METRIC_WORDS, Metric
from nas.outlines import Summary
from nas.proposal import FEW_FOR_A_PARENT, photographs
from nas.records import ENDED, Run, Trial
from nas.specs import GrowthSpec, SearchSpec

if TYPE_CHECKING:
    from api.views.growth import Member
    from api.views.search import Candidate, Standing

LAST = 4  # one part in so many of the networks, the last ones, should bring something yet,
FEWEST = 3  # where they are so many
STILL_RISING = 0.005  # of the reward, by which they make more of them worth while
CERTAIN = 2  # standard errors
FALLEN = 0.05  # by which a network that was found may be worse when it is trained for its family


def of_search(run: Run, summary: Summary, stands: "Standing", why: str) -> str | None:
    """Of a search with these trials: which network leads and how certain that is, what the last ones brought, and what
    to do next. None before there is anything to say. `why` is what came of the last trial, where nothing was trained.
    """
    assert isinstance(run.spec, SearchSpec)
    metric, over = run.spec.objective.metric, run.state in ENDED
    leader = stands.best
    if leader is None:
        return _nothing(summary, why) if over and summary.tallies else None
    sentences = [
        f"{'Done' if run.state == 'finished' else 'Ended early' if over else 'So far'}: {_told(leader, metric)}."
    ]
    if _is_chance(leader, metric):
        return " ".join([*sentences, *_chance(leader, stands.front, run.spec)])
    if leader.seen:
        sentences.append(
            "Its parent or teacher may have seen the images that it is scored on: let test images judge it."
        )
    sentences += _ties(leader, stands.front, metric)
    sentences += _rough(leader, stands, run.spec.devices[0])
    rung = [tally for tally in summary.tallies if tally.rung == leader.rung]
    own = sum(tally.networks for tally in rung if tally.own)
    last = own // LAST if own >= FEWEST * LAST else 0
    measured = sum(tally.networks for tally in rung) - last
    before = max((reward for place, reward in stands.rewards if place <= measured), default=leader.reward)
    gain = leader.reward / before - 1 if last and before > 0 else 0.0
    if last:
        brought = f"raised the best reward by {100 * gain:.2g} %" if gain > 0 else "brought nothing better"
        sentences.append(f"The last {last:,} networks {brought}.")
    if over:
        sentences.append(f"Next: {_next(run.spec, leader, stands.front, gain)}.")
    return " ".join(sentences)


def _next(spec: SearchSpec, leader: "Candidate", front: "Sequence[Candidate]", gain: float) -> str:
    """What is worth most, of a search that has ended."""
    info = spec.contents
    if spec.parent is None and info and photographs(info) and info.train_images <= FEW_FOR_A_PARENT:
        return f"begin with a pretrained parent, as {info.train_images:,} images teach little by themselves"
    if gain > STILL_RISING:
        return "more trials, as it still gains"
    return f"grow trial {advised(leader, front, spec.objective.metric).number}"


def advised(leader: "Candidate", front: "Sequence[Candidate]", metric: Metric) -> "Candidate":
    """What to grow of a search: the cheapest that may stand for its leader; where that may be guessing, the best that
    is not, if there is one."""
    sure = [row for row in front if row.quality and not _is_chance(row, metric)]
    if _is_chance(leader, metric) and sure:
        return max(sure, key=lambda row: row.value)
    return min((leader, *_alike(leader, front, metric)), key=lambda row: row.cost)


def of_growth(family: "Sequence[Member]", spec: GrowthSpec, found: Trial | None = None) -> str | None:
    """Of a family, smallest first: whether its B0 is about as good as the same network was when it was `found`, and
    which members are not worth what they cost. None before there is anything to say."""
    whole = next((row for row in family if row.member == "B0"), None)
    fallen = _fallen(whole, spec, found) if whole and found else None
    return " ".join(filter(None, (fallen, _worth(family, spec.metric)))) or None


def _fallen(whole: "Member", spec: GrowthSpec, found: Trial) -> str | None:
    measured = found.measurement
    had = measured.value(spec.metric) if measured else None
    if measured is None or had is None or whole.value is None:
        return None
    error = measured.value_error(spec.metric)
    if whole.value + CERTAIN * math.hypot(whole.value_error or 0.0, error or 0.0) >= had - FALLEN:
        return None
    words = f"B0 came to {_percent(whole.value, whole.value_error)}, far below the {_percent(had, error)} of its trial"
    shorter = found.job.recipe is None or spec.recipe.epochs < found.job.recipe.epochs
    return f"{words}: train it for as long, by the recipe of the search." if shorter else f"{words}."


def _worth(family: "Sequence[Member]", metric: Metric) -> str | None:
    scored = [(row, row.mult_adds, score) for row in family if row.mult_adds and (score := row.value) is not None]
    if len(scored) < 2:
        return None
    best, _, highest = max(scored, key=lambda each: each[2])
    sentences = [f"{best.member} leads with {_percent(highest, best.value_error)}{_by(metric)}."]
    for row, cost, score in scored:
        for rival, less, its in scored:
            if rival.member == row.dominated_by:
                times = f"costs {cost / less:.1f} times as much"
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


def _is_chance(row: "Candidate", metric: Metric) -> bool:
    """Whether it may be guessing, for all that is known."""
    score, error, guessed = _beside_guessing(row, metric)
    return guessed is not None and score - CERTAIN * error <= guessed


def _beside_guessing(row: "Candidate", metric: Metric) -> tuple[float, float, float | None]:
    """What tells it from guessing, the error of that, and what a guess has; None where it was not recorded. Another
    metric than accuracy is asked for where the largest class is most of the images, and no good network need be more
    often right than who always answers that: then the mean of the recalls tells."""
    quality = row.quality
    if metric == "accuracy" or quality is None:
        return row.accuracy, row.accuracy_error or 0.0, quality.majority if quality else None
    return quality.balanced_accuracy, quality.balanced_accuracy_error, quality.guessing


def _chance(leader: "Candidate", front: "Sequence[Candidate]", spec: SearchSpec) -> list[str]:
    """That the leader may be guessing, and what would help."""
    metric = spec.objective.metric
    score, error, guessed = _beside_guessing(leader, metric)
    assert guessed is not None
    known = f"{'is no better than' if score <= guessed else 'cannot be told from'} chance"
    which = "the largest class" if metric == "accuracy" else "one class"
    what = (
        "That" if metric in ("accuracy", "balanced_accuracy") else f"Its balanced accuracy, {_percent(score, error)},"
    )
    told = f"{what} {known}: to answer {which} each time gives {100 * guessed:.1f} %."
    better = advised(leader, front, metric)
    if not _is_chance(better, metric):
        had = f"Trial {better.number} is better, with {_percent(better.value, better.value_error)}, but costs too much"
        return [told, f"{had} for the objective: grow trial {better.number}, or weigh cost less."]
    if spec.parent:
        return [told, "Train longer, or on more images."]
    return [told, "Train longer, on more images, or begin with a parent."]


def _ties(leader: "Candidate", front: "Sequence[Candidate]", metric: Metric) -> list[str]:
    tied, alike = _tied(leader, front), _alike(leader, front, metric)
    ahead = [row for row in tied if row not in alike and row.cost < leader.cost]  # by more than a cheaper one may be
    chance = [f"Its lead over {_those(ahead)} may be chance: more images would tell."] if ahead else []
    tied = [row for row in tied if row not in ahead]
    if not tied:
        return chance
    cheapest, others = min(tied, key=lambda row: row.cost), _those(tied)
    if cheapest.cost < leader.cost:
        which = f", of which trial {cheapest.number}" if len(tied) > 1 else ", which"
        saved = round(100 * (1 - cheapest.cost / leader.cost))
        return [f"It cannot be told apart from {others}{which} costs {saved} % less.", *chance]
    least = f"and is the cheape{'st of them' if tied[1:] else 'r one'}"
    return [f"It cannot be told apart from {others}, {least}.", *chance]


def _those(rows: "Sequence[Candidate]") -> str:
    return f"trial {rows[0].number}" if len(rows) == 1 else f"{len(rows)} others of the front"


def _alike(leader: "Candidate", front: "Sequence[Candidate]", metric: Metric) -> "list[Candidate]":
    """Those tied with the leader that may stand for it, by the one-standard-error rule (Breiman et al. 1984): few
    images tie what is far apart."""
    least = leader.value - (leader.value_error or 0.0)
    return [row for row in _tied(leader, front) if row.value >= least and not _is_chance(row, metric)]


def _tied(leader: "Candidate", front: "Sequence[Candidate]") -> "list[Candidate]":
    return [row for row in front if row.number in leader.tied_with]


def _rough(leader: "Candidate", stands: "Standing", device: str) -> list[str]:
    """What a latency that is known too roughly leaves open."""
    rivals = [row for row in stands.front if row.noisy and row.baseline is None and row.reward > leader.reward]
    doubtful = leader if leader.noisy else max(rivals, key=lambda row: row.reward, default=None)
    if doubtful is None:
        return []
    error = doubtful.latency_errors_ms[device] / doubtful.cost
    known = f"known to ±\N{NO-BREAK SPACE}{100 * error:.0f}\N{NO-BREAK SPACE}% only"
    if doubtful is leader:
        return [f"Its latency is {known}, as is that of all that fit: measure it again."]
    return [f"Trial {doubtful.number} may be better, but its latency is {known}: measure it again."]


def _nothing(summary: Summary, why: str) -> str:
    """Of a search that ended without a network."""
    counts = summary.counts
    begun, refused, failed = sum(counts.values()), counts["refused"], counts["failed"]
    if failed > refused:
        return f"Nothing came of it: {failed} of {begun} trials failed, the last with: {why}"
    if refused:
        last = f", the last for {why}" if why else ""
        return (
            f"Nothing came of it: {refused} of {begun} networks were refused{last}. "
            "Raise the limits, or search another space."
        )
    return "Nothing came of it."
