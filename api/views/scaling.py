"""What a growth says of the ways to scale its network: the factors that were fitted, and dimensions compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.networks.members import factors, named
from nas.networks.scaling import WAYS, CompoundScaling

if TYPE_CHECKING:
    from api.views.growth import Member

PUBLISHED = named(CompoundScaling())


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What a fit has come to, so far."""

    scaling: CompoundScaling
    """The factors that are taken: of the best candidate and those that cannot be told apart from it the one that scales
    the fewest dimensions, and of such ones that of the fewest multiply-adds."""
    member: str
    """The member that has them."""
    best: str
    """The member with the highest score."""
    scored: int
    """Candidates that are scored."""
    candidates: int
    """Candidates, different networks, that there are."""
    skipped: int = 0
    """Candidates that are not trained."""


def fitted(family: "Sequence[Member]") -> Fitted | None:
    """The factors that are best by the scores of a fit's candidates; None before one is scored."""
    candidates = [(row, own) for row in family if (own := factors(row.member))]
    scored = [(score, row, own) for row, own in candidates if (score := row.value) is not None]
    if not scored:
        return None
    _, best, _ = max(scored, key=lambda each: each[0])
    alike = [(row, own) for _, row, own in scored if row is best or row.member in best.tied_with]
    row, own = min(alike, key=lambda each: (_dimensions(each[1]), each[0].mult_adds or 0))
    return Fitted(
        scaling=own,
        member=row.member,
        best=best.member,
        scored=len(scored),
        candidates=len(candidates),
        skipped=sum(each.skipped is not None for each, _ in candidates),
    )


def of_fit(family: "Sequence[Member]", fit: Fitted | None) -> str | None:
    """The fit in words: what is taken and why, and how the published factors and the released B1 did beside it."""
    if fit is None:
        return None
    rows = {row.member: row for row in family}
    taken = rows[fit.member]
    sentences = [
        f"{fit.scored} of {fit.candidates} candidates are scored{f', {fit.skipped} skipped' if fit.skipped else ''}.",
        f"{_said(fit.scaling)} has {_score(taken)}.",
    ]
    tied = len(rows[fit.best].tied_with)
    if fit.member != fit.best:
        sentences.append(
            f"{_called(fit.best)} has {_score(rows[fit.best])}, and cannot be told apart from it: the simplest of "
            f"{tied + 1} such is taken."
        )
    elif tied:
        sentences.append(f"{tied} others cannot be told apart from it.")
    shared = next((row for row in family if PUBLISHED in (row.member, *row.also)), None)
    for row, words in ((shared, "The published factors, 1.2, 1.1 and 1.15,"), (rows.get("B1"), "The released B1")):
        if row is not None and row is not taken and row.value is not None and row.times and taken.times:
            how = f"at {row.times:.2f} times the multiply-adds, where the fit is at {taken.times:.2f}"
            sentences.append(f"{words} came to {_score(row)} {how}.")
    if shared is taken:
        sentences.append("These are, or come out as, the published factors.")
    return " ".join(sentences)


def of_comparison(family: "Sequence[Member]") -> str | None:
    """Which dimension is best scaled at about equal multiply-adds; None where none are compared."""
    sentences = []
    for size in dict.fromkeys(row.member.partition(":")[2] for row in family if row.member.partition(":")[0] in WAYS):
        rows = [row for row in family if row.member == size or row.member.endswith(f":{size}")]
        scored = [(score, row) for row in rows if (score := row.value) is not None]
        if len(scored) < 2:
            continue
        _, best = max(scored, key=lambda each: each[0])
        tied = [row.way or "" for row in rows if row.member in best.tied_with]
        also = f", which cannot be told apart from {' or '.join(tied)}" if tied else ""
        about = f"At about {best.times:.1f} times the multiply-adds" if best.times else f"At {size}"
        sentences.append(f"{about} {best.way} leads with {_score(best)}{also}.")
    return " ".join(sentences) or None


def _dimensions(scaling: CompoundScaling) -> int:
    return sum(factor != 1 for factor in (scaling.alpha, scaling.beta, scaling.gamma))


def _said(scaling: CompoundScaling) -> str:
    return f"α {scaling.alpha:g}, β {scaling.beta:g}, γ {scaling.gamma:g}"


def _called(member: str) -> str:
    own = factors(member)
    return _said(own) if own else member


def _score(row: "Member") -> str:
    error = "" if row.value_error is None else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{100 * row.value_error:.1f}"
    return f"{100 * (row.value or 0):.1f}{error}\N{NO-BREAK SPACE}%"
