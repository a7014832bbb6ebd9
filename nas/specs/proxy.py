"""What a proxy was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from nas.datasets import DatasetInfo
from nas.networks.architecture import Choice
from nas.recipes import RECIPES, Recipe
from nas.refusal import Refusal, between, distinct
from nas.specs.search import MOST_DEVICES, MOST_PARALLEL, MOST_PRIORITY, Limits, SearchSpec, check_knobs

FEWEST_CANDIDATES = 4  # of which an order says anything
MOST_CANDIDATES = 1000


@dataclass(frozen=True, kw_only=True)
class ProxySpec:
    """Candidates of a space, drawn at random, to train by two recipes: does the cheap one order them as the dear one
    does?"""

    LIKE: ClassVar[tuple[type, ...]] = (SearchSpec,)
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str = ""
    dataset: str
    contents: DatasetInfo | None = None
    space: str = "mbconv"
    resolution: int | None = None
    parent: str | None = None
    """A trained network that candidates are cut out of, with whose weights all trainings begin; the order that counts
    is that of these then. `GET /v1/parents` and `nas parents` list some; model:RUN-NUMBER and
    file:/path/to/a.safetensors are others. Null: candidates begin with random weights."""
    knobs: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    limits: Limits = Limits()
    candidates: int = 12
    """Networks, different ones, that are drawn from the space at random."""
    cheap: Recipe = RECIPES["proxy"]
    """The recipe that is in question. What a request leaves out of it is as in recipe "proxy", and with a parent as in
    "finetune", of whose steps a third are left where it trains each candidate."""
    weights: Literal["own", "shared"] = "own"
    """What candidates have by it. "own": a training of their own. "shared": the weights of the largest network of the
    knobs, which it trains so that all others work as parts of it; candidates are scored with these. Knobs that a
    request leaves out have the choices that one network holds."""
    dear: Recipe = RECIPES["short"]
    """The recipe whose order of the candidates counts as the true one. What a request leaves out of it is as in recipe
    "short", and with a parent as in "finetune"."""
    devices: tuple[str, ...] = ("cpu",)
    parallel: int = 2
    priority: int = 1
    seed: int = 0

    @staticmethod
    def otherwise(said: Mapping[str, Any]) -> dict[str, Any]:
        """What fields are that a request leaves out, where it is not their default."""
        tuned = RECIPES["finetune"]
        fewer = replace(tuned, least_epochs=tuned.least_epochs // 3, least_steps=tuned.least_steps // 3)
        cheap = tuned if said.get("weights") == "shared" else fewer
        return {"cheap": cheap, "dear": tuned} if said.get("parent") else {}

    def __post_init__(self) -> None:
        if self.resolution is not None:
            between(self, "resolution", 8, 2048)
        between(self, "candidates", FEWEST_CANDIDATES, MOST_CANDIDATES)
        check_knobs(self.knobs)
        self.cheap.require_precision("float32", field="cheap")
        self.dear.require_precision("float32", field="dear")
        if self.weights == "shared" and self.cheap.folds > 1:
            raise Refusal(
                f"weights 'shared' would have seen what each of {self.cheap.folds} folds holds out: give folds 1, or "
                "weights 'own'",
                field="weights",
            )
        if self.cheap == self.dear and self.weights == "own":
            raise Refusal("cheap and dear are the same recipe: name two", field="cheap")
        distinct(self, "devices", least=1, most=MOST_DEVICES)
        between(self, "parallel", 1, MOST_PARALLEL)
        between(self, "priority", 1, MOST_PRIORITY)
        between(self, "seed", 0, 2**31 - 1)

    @property
    def trained(self) -> str:
        """What the cheap recipe trains, in words."""
        return "a supernet" if self.weights == "shared" else "each candidate"

    @property
    def trials(self) -> int:
        """How many trainings there are."""
        return self.first + 2 * self.candidates

    @property
    def first(self) -> int:
        """The number of the first candidate's first trial: a supernet comes before."""
        return int(self.weights == "shared")
