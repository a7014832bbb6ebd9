"""What a growth was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.datasets import DatasetInfo
from nas.networks.counts import counts
from nas.networks.fit import Fit
from nas.networks.lowering import AnyArchitecture
from nas.networks.members import MOST_MEASURED, Scaled, budget, is_measured, scaled
from nas.networks.scaling import MEMBERS, CompoundScaling, Member
from nas.objective import Metric
from nas.recipes import RECIPES, Recipe
from nas.refusal import Refusal, between, distinct
from nas.rounding import Precision
from nas.specs.search import MOST_DEVICES, MOST_PARALLEL, MOST_PRIORITY, SearchSpec

ScoredOn = Literal["validation", "test", "both"]
MOST_SEEDS = 100
MOST_PROCESSES = 64
MOST_MEMBERS = 200


@dataclass(frozen=True, kw_only=True)
class GrowthSpec:
    """A family to grow from one architecture: every member is trained and scored once a seed."""

    LIKE: ClassVar[tuple[type, ...]] = (SearchSpec,)

    name: str = ""
    dataset: str
    contents: DatasetInfo | None = None
    space: str
    architecture: AnyArchitecture
    """The network that it is grown from."""
    source: tuple[str, int] | None = None
    """The id of the search, and the number of the trial, that the network came from."""
    members: tuple[Member | str, ...] = ("B0", "B1", "B2", "B3")
    """The networks to grow, of B0, which is the network itself, to B7. Or by a phi, as phi=1.5 or phi=-1; by a budget,
    as mult_adds<=2x, model_bytes<=512k (of its precision) or latency_ms<=5, for the largest network of the family
    within it, and with ~ for the nearest to it; by one dimension alone, as width:mult_adds~2x, depth or resolution; by
    factors on depth, width and resolution, as 1.2:1.1:1.15; or of cells, as 6@768 by NASNet's N and filters before the
    classifier."""
    scaling: CompoundScaling | None = None
    """Own factors on depth, width and resolution. Null: those published for B0 to B7."""
    fitted_by: str | None = None
    """The id of the growth that fitted these factors."""
    fit: Fit | None = None
    """The grid of factors whose candidates are members, to fit factors to this network. They are scored on validation
    images."""
    devices: tuple[str, ...] = ("cpu",)
    recipe: Recipe = RECIPES["growth"]
    parallel: int = 2
    priority: int = 1
    seed: int = 0
    seeds: int = 1
    """Trainings of each member, by `seed`, `seed + 1` and so on. Its accuracy is their mean, with a standard error."""
    processes: int = 1
    """Processes that train a member together, for what takes too long on one device: each has a processor, or a whole
    GPU, of one machine, and its part of every batch. The recipe means the same as before, but that norms see the part
    alone."""
    scored_on: ScoredOn = "test"
    """The images that members are scored on. "test": the test images, after a training on all others. "validation":
    those that candidates of a search are ranked on, and that are not trained on; so recipes, members and scalings are
    compared and the test images are left for the one that is taken. "both": those first; then the members that are
    worth what they cost are trained once more, on all images but the test images, and scored on these."""
    drop_dominated: bool = False
    """Whether members that take more multiply-adds and more time than a smaller one, and are no better for all that can
    be told, keep no model once the growth has ended."""
    metric: Metric = "accuracy"
    """What members are compared by, which is what their search compared its networks by."""
    precision: Precision = "float32"
    """What members are judged in, which is what their search judged its networks in."""
    inherit: bool = False
    """Whether each member begins with the weights of the one before it, which it then waits for, and the smallest with
    those of the search's trial, where they were saved."""
    parent: str | None = None
    """The trained network that members begin with, by its name or the SHA-256 of its checkpoint; with `inherit` the
    smallest alone. Null: there is none."""

    def __post_init__(self) -> None:
        if not self.members:
            raise Refusal("members is empty: name at least one of " + ", ".join(MEMBERS), field="members")
        distinct(self, "members", most=MOST_MEMBERS)
        for name in self.members:
            budget(name)
        distinct(self, "devices", least=1, most=MOST_DEVICES)
        if self.fit and self.scored_on != "validation":
            raise Refusal("a fit chooses by what it scores: give scored_on validation", field="scored_on")
        if self.fit and self.drop_dominated:
            raise Refusal("the candidates of a fit cost alike: none is dominated", field="drop_dominated")
        if self.scored_on == "both" and self.inherit:
            detail = "with inherit members would be tested with weights that saw the validation images: score on one"
            raise Refusal(detail, field="inherit")
        self.recipe.require_precision(self.precision)
        between(self, "parallel", 1, MOST_PARALLEL)
        between(self, "priority", 1, MOST_PRIORITY)
        between(self, "seeds", 1, MOST_SEEDS)
        between(self, "processes", 1, MOST_PROCESSES)
        if self.recipe.batch < 2 * self.processes:
            detail = f"batch {self.recipe.batch} leaves {self.processes} processes less than 2 images each: enlarge it"
            raise Refusal(detail, field="processes")
        between(self, "seed", 0, 2**31 - self.seeds)

    @property
    def teacher(self) -> str | None:
        """The member that teaches the others, where the recipe names one."""
        return among(self.members, self.recipe.teacher)

    def check_teacher(self) -> None:
        """Raise Refusal where the member that teaches would begin with the weights of one that it teaches."""
        teacher = self.teacher
        if teacher is None or not self.inherit:
            return
        for name in self.members:
            measured = is_measured(name) or is_measured(teacher)
            if name != teacher and (measured or self._mult_adds(name) < self._mult_adds(teacher)):
                raise Refusal(
                    f"teacher {teacher} would begin with the weights of {name}, which waits to be taught by it: leave "
                    "inherit out, or let the smallest teach",
                    field="recipe",
                )

    def _mult_adds(self, name: str) -> int:
        return counts(self.scaled(name).architecture).mult_adds

    def scaled(self, name: str) -> Scaled:
        """The member of that name, which is none of a latency. Raises ValueError where there is none."""
        return scaled(self.architecture, name, self.scaling, self.precision)

    @property
    def trials(self) -> int:
        """How many trainings there are at most, and networks that are measured to find members of a latency."""
        trainings = len(self.members) * self.seeds * (2 if self.scored_on == "both" else 1)
        timed = 1 + len(self.fit.candidates(self.architecture)) if self.fit and self.fit.timed else 0
        return trainings + MOST_MEASURED * sum(map(is_measured, self.members)) + timed


def among(members: Sequence[str], teacher: str | None) -> str | None:
    """The member that a recipe's teacher is, if it is one, in small letters or as it is."""
    return next((name for name in members if teacher and name.casefold() == teacher.casefold()), None)
