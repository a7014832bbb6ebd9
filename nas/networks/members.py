"""Members of a family by their names: B0 to B7, a phi, a budget that they are the largest within, or own factors."""

import dataclasses
import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from nas.networks.architecture import Scale, round_channels
from nas.networks.cells import CellArchitecture
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.networks.scaling import MEMBERS, PUBLISHED, WAYS, CompoundScaling
from nas.objective import COSTS, Cost
from nas.refusal import Refusal, shown
from nas.rounding import Precision

Grown = TypeVar("Grown", bound=AnyArchitecture)

MOST_PHI = 16.0  # in either direction; with the published factors 32,000 times the multiply-adds
MOST_MEASURED = 10  # networks, to find one member of a latency
HALVINGS = 24  # of the phi between that and its opposite
NAMES = (
    "B0 to B7, phi=1.5, mult_adds<=2x, model_bytes<=512k, latency_ms<=5, one dimension's width:mult_adds~2x, factors "
    "1.2:1.1:1.15, or of cells 6@768"
)
UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}

_PHI = re.compile(r"phi=(-?[0-9.]+)")
_FACTORS = re.compile(r"([0-9.]+):([0-9.]+):([0-9.]+)")
_CELLS = re.compile(r"([0-9]+)@([0-9]+)")
_BUDGET = re.compile(r"(?:([a-z]+):)?([a-z_]+)(<=|~)([0-9.]+(?:e[0-9]+)?)([kMG]?)(x?)")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A cost that says how large a member is: it is the largest network within it, or, of all, the nearest to it."""

    cost: Cost
    amount: float
    times: bool
    """Whether the amount is in multiples of what the network that is grown costs."""
    nearest: bool
    way: str | None
    """The one dimension that is scaled; None: all of them, by the family's scaling."""

    def limit(self, whole: float) -> float:
        """The amount, where the network that is grown costs `whole`."""
        return self.amount * whole if self.times else self.amount

    def scaling(self, family: CompoundScaling | None) -> CompoundScaling:
        return WAYS[self.way] if self.way else family or CompoundScaling()


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """A member as it has come out: the network, and the factors and the phi that led to it where they are known."""

    architecture: AnyArchitecture
    scale: Scale | None = None
    phi: float | None = None


def budget(name: str) -> Budget | None:
    """What a member of that name may cost; None where its name says how it is scaled. Raises Refusal for a name that
    says neither."""
    if name in MEMBERS or any(pattern.fullmatch(name) for pattern in (_PHI, _FACTORS, _CELLS)):
        return None
    match = _BUDGET.fullmatch(name)
    if match is None:
        raise Refusal(f"member {shown(name)} is none of {NAMES}", field="members")
    way, cost, relation, amount, unit, times = match.groups()
    if cost not in COSTS or way not in (None, *WAYS):
        wrong, known = (cost, COSTS) if cost not in COSTS else (way, WAYS)
        raise Refusal(f"member {name}: {wrong!r} is none of {', '.join(known)}", field="members")
    wanted = _number(name, amount) * UNITS[unit]
    if not 0 < wanted < math.inf:
        raise Refusal(f"member {shown(name)}: {amount} is no budget: give one above 0", field="members")
    return Budget(
        cost=cost,
        amount=wanted,
        times=bool(times),
        nearest=relation == "~",
        way=way,
    )


def is_measured(name: str) -> bool:
    """Whether only measurements tell what the member of that name is."""
    wanted = budget(name)
    return wanted is not None and wanted.cost == "latency_ms"


def factors(name: str) -> CompoundScaling | None:
    """The factors that a member's name is, as 1.2:1.1:1.15."""
    match = _FACTORS.fullmatch(name)
    if match is None:
        return None
    alpha, beta, gamma = (_number(name, text) for text in match.groups())
    return CompoundScaling(alpha=alpha, beta=beta, gamma=gamma)


def named(scaling: CompoundScaling) -> str:
    """The name of the member that has these factors."""
    return f"{scaling.alpha:g}:{scaling.beta:g}:{scaling.gamma:g}"


def way(name: str) -> str | None:
    """The dimension that alone is scaled, "compound" where all are, or None where the name is factors or cells."""
    wanted = budget(name)
    if wanted:
        return wanted.way or "compound"
    return None if _FACTORS.fullmatch(name) or _CELLS.fullmatch(name) else "compound"


def member(architecture: Grown, name: str, scaling: CompoundScaling | None = None) -> Grown:
    """Member `name` ("B0" is `architecture` itself) of the family of `architecture`: by the published coefficients, or
    by `scaling`. Raises ValueError for what cannot be scaled, and where only a measurement tells what is within the
    budget."""
    return cast(Grown, scaled(architecture, name, scaling).architecture)


@functools.lru_cache(maxsize=1024)
def scaled(
    architecture: AnyArchitecture, name: str, scaling: CompoundScaling | None = None, precision: Precision = "float32"
) -> Scaled:
    """As `member`, with what led to it; budgets of bytes are of networks in that precision. Once: whoever asks for a
    family checks it, and shows it again and again."""
    wanted = budget(name)
    if wanted:
        if wanted.cost == "latency_ms":
            raise ValueError(f"member {name} is known once it is measured")
        return at(architecture, wanted.scaling(scaling), solved(architecture, name, wanted, scaling, precision))
    if match := _CELLS.fullmatch(name):
        return _cells(architecture, name, *map(int, match.groups()))
    if match := _PHI.fullmatch(name):
        phi = _number(name, match[1])
        if abs(phi) > MOST_PHI:
            raise Refusal(f"member {name}: phi is not between -{MOST_PHI:g} and {MOST_PHI:g}", field="members")
        return at(architecture, scaling or CompoundScaling(), phi)
    if own := factors(name):
        return at(architecture, own, 1.0)
    if scaling is None:
        scale = PUBLISHED[name]
        return Scaled(architecture=architecture.scaled(scale), scale=scale)
    return at(architecture, scaling, float(name[1:]))


def at(architecture: AnyArchitecture, scaling: CompoundScaling, phi: float) -> Scaled:
    scale = scaling.at(phi)
    return Scaled(architecture=architecture.scaled(scale), scale=scale, phi=phi)


def solved(
    architecture: AnyArchitecture, name: str, wanted: Budget, scaling: CompoundScaling | None, precision: Precision
) -> float:
    """The phi at which the network is within the budget, by counts. Raises Refusal where none is."""

    def cost(network: AnyArchitecture) -> float:
        return counts(network).cost(wanted.cost, precision)

    factors, limit = wanted.scaling(scaling), wanted.limit(cost(architecture))
    phi = largest(architecture, factors, lambda network: cost(network) <= limit)
    if phi is None:
        raise Refusal(f"member {name}: there is no network of this family within {limit:,.0f}", field="members")
    above = phi + 2 * MOST_PHI / 2**HALVINGS
    if above >= MOST_PHI:
        raise Refusal(f"member {name}: no network of this family is so large", field="members")
    if wanted.nearest and _fits(architecture, factors, above, bool):
        phi = min(
            phi, above, key=lambda each: abs(math.log(cost(at(architecture, factors, each).architecture) / limit))
        )
    return briefly(architecture, factors, phi)


def largest(
    architecture: AnyArchitecture, scaling: CompoundScaling, fits: Callable[[AnyArchitecture], bool]
) -> float | None:
    """The largest phi whose network `fits`, where smaller ones do too; None where not even the smallest does. Nothing
    is built."""
    low, high = -MOST_PHI, MOST_PHI
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _fits(architecture, scaling, middle, fits) else (low, middle)
    try:
        return low if fits(at(architecture, scaling, low).architecture) else None
    except ValueError:  # too few pixels for its strides
        return None


def briefly(architecture: AnyArchitecture, scaling: CompoundScaling, phi: float) -> float:
    """The phi of the fewest digits that gives the same network."""
    network = at(architecture, scaling, phi).architecture
    for digits in range(1, 7):
        rounded = round(phi, digits)
        if _fits(architecture, scaling, rounded, network.__eq__):
            return rounded
    return phi


def _fits(
    architecture: AnyArchitecture, scaling: CompoundScaling, phi: float, fits: Callable[[AnyArchitecture], bool]
) -> bool:
    """Also of what is too small to be built, and of nothing that is too large to be."""
    try:
        return fits(at(architecture, scaling, phi).architecture)
    except ValueError:
        return phi < 0


def _cells(architecture: AnyArchitecture, name: str, cells: int, penultimate: int) -> Scaled:
    """N @ P: so many normal cells a resolution, and so many channels before the classifier (Zoph et al. 2018)."""
    if not isinstance(architecture, CellArchitecture):
        raise Refusal(f"member {name} is of cells, and this network is not: give one of {NAMES}", field="members")
    each = counts(architecture).rows[-2].channels // architecture.filters
    if penultimate % each or not penultimate:
        raise Refusal(f"member {name}: {penultimate} is not a multiple of {each}, its cells' outputs", field="members")
    scale = Scale(depth=cells / architecture.cells, width=penultimate // each / architecture.filters, resolution=1.0)
    grown = dataclasses.replace(
        architecture,
        cells=cells,
        filters=penultimate // each,
        stem_filters=round_channels(architecture.stem_filters, scale.width),
    )
    return Scaled(architecture=grown, scale=scale)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Refusal(f"member {name}: {text!r} is not a number", field="members") from None
