"""Specs: what a run was asked for, as stored and as sent; they check themselves. One file a kind of run."""

from typing import Literal

from nas.specs.benchmark import BenchmarkSpec as BenchmarkSpec
from nas.specs.fidelity import Fidelity as Fidelity
from nas.specs.growth import GrowthSpec as GrowthSpec
from nas.specs.growth import ScoredOn as ScoredOn
from nas.specs.proxy import FEWEST_CANDIDATES as FEWEST_CANDIDATES
from nas.specs.proxy import ProxySpec as ProxySpec
from nas.specs.search import FINAL_SEEDS as FINAL_SEEDS
from nas.specs.search import MOST_BASELINES as MOST_BASELINES
from nas.specs.search import MOST_DEVICES as MOST_DEVICES
from nas.specs.search import MOST_TRIALS as MOST_TRIALS
from nas.specs.search import Limits as Limits
from nas.specs.search import SearchSpec as SearchSpec

Kind = Literal["search", "growth", "benchmark", "proxy"]
Spec = SearchSpec | GrowthSpec | BenchmarkSpec | ProxySpec
SPECS: dict[Kind, type[Spec]] = {
    "search": SearchSpec,
    "growth": GrowthSpec,
    "benchmark": BenchmarkSpec,
    "proxy": ProxySpec,
}
