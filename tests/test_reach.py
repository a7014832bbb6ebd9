"""A search that can find nothing is refused before anything is spent."""

import re

import pytest

from nas import plugins
from nas.networks.architecture import Images
from nas.plans.reach import require_within_reach
from nas.refusal import Refusal
from nas.specs import Limits, SearchSpec
from tests.service import SMALLEST, Service

GREY = Images(resolution=28, channels=1, classes=10)


def spec(space: str, params: int) -> SearchSpec:
    return SearchSpec(dataset="fashion_mnist", space=space, limits=Limits(params=params))


@pytest.mark.parametrize("space", plugins.names("search_spaces"))
def test_the_smallest_network_is_within_reach_and_one_parameter_less_is_not(space: str) -> None:
    with pytest.raises(Refusal, match="raise that limit") as refused:
        require_within_reach(spec(space, params=1), GREY)
    assert refused.value.field == "params"
    found = re.search(r"params ([\d,]+) over the limit of 1;", str(refused.value))
    assert found
    smallest = int(found[1].replace(",", ""))
    require_within_reach(spec(space, params=smallest), GREY)
    with pytest.raises(Refusal, match=f"params {smallest:,} over the limit of {smallest - 1:,}"):
        require_within_reach(spec(space, params=smallest - 1), GREY)


def test_what_only_measuring_tells_is_no_reason() -> None:
    require_within_reach(SearchSpec(dataset="fashion_mnist", limits=Limits(latency_ms=1e-9)), GREY)


def test_the_limit_is_named_where_it_was_given(service: Service) -> None:
    for limits, field in (
        ({"params": 500, "mult_adds": 10**9}, "params"),
        ({"params": 10**9, "mult_adds": 500}, "mult_adds"),
        ({"model_bytes": 500}, "model_bytes"),
        ({"peak_memory": 500}, "peak_memory"),
    ):
        problem = service.post("/v1/searches", SMALLEST | {"limits": limits}, 422)
        (fault,) = problem["errors"]
        assert (fault["pointer"], fault["value"]) == (f"/limits/{field}", 500)
        assert "the smallest that was found has" in fault["detail"]
    service.post("/v1/searches", SMALLEST | {"resolution": 12, "limits": {"params": 9_000}})
