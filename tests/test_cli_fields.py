"""What --help says of an argument that is a field: what stands below the field."""

import argparse
from collections.abc import Iterator
from typing import Any

import pytest

from api.cli.__main__ import parser
from api.requests import BenchmarkRequest, Budget, GrowthRequest
from nas.fields import briefly, described
from nas.networks.architecture import Images
from nas.networks.fit import Fit
from nas.networks.scaling import CompoundScaling
from nas.objective import Objective
from nas.recipes import Recipe
from nas.specs import Fidelity, Limits, ProxySpec, SearchSpec
from nas.tokens import TokenRequest

# Of each verb: whose fields its arguments are, the first that has one of that name; and those that are none.
VERBS: dict[str, tuple[tuple[Any, ...], set[str]]] = {
    "search": ((SearchSpec, Objective, Fidelity, Recipe, Limits), {"auto", "like", "w", "forecast", "watch"}),
    "grow": ((GrowthRequest, Fit, Recipe), {"run", "watch"}),
    "pareto": ((Objective,), {"run", "w", "device"}),
    "proxy": ((ProxySpec, Limits), {"on_service", "watch"}),
    "measure": ((BenchmarkRequest, Images), {"what", "on_service", "watch"}),
    "raise": ((Budget,), {"run"}),
    "token": ((TokenRequest,), {"what", "token"}),
}
NAMES = {"scale": "scaled", "knob": "knobs", "option": "options", "baseline": "baselines", "device": "devices"}
PREFIXES: dict[str, Any] = {"limit_": Limits, "fit_": Fit, "scaling_": CompoundScaling}
EVERYWHERE = {"help", "json", "url"}


def actions(verb: str) -> Iterator[argparse.Action]:
    (verbs,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    yield from verbs.choices[verb]._actions


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_what_stands_below_the_field(verb: str) -> None:
    records, others = VERBS[verb]
    seen = set()
    for action in actions(verb):
        if action.dest in EVERYWHERE | others:
            continue
        prefix = next((prefix for prefix in PREFIXES if action.dest.startswith(prefix)), "")
        field = NAMES.get(action.dest, action.dest).removeprefix(prefix)
        own = PREFIXES.get(prefix) or next(each for each in records if field in described(each))
        words = (action.help or "") % vars(action)
        assert words.startswith(briefly(own, field)), (verb, action.dest)
        seen.add(action.dest)
    assert seen


def test_help_says_what_is_where_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    words = {action.dest: action.help for action in actions("search")}
    assert str(words["trials"]).endswith(f"; {SearchSpec(dataset='x').trials} by default")
    assert str(words["target"]).endswith("; 5e6 by default")
    assert str(words["device"]).endswith("; may be repeated; cpu by default")
    assert "by default" not in str(words["hours"])
    assert "by default" not in str({action.dest: action.help for action in actions("pareto")}["target"])
    for verb in VERBS:
        with pytest.raises(SystemExit):
            parser().parse_args([verb, "--help"])
