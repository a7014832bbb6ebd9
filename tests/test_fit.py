"""Factors that are fitted to a network, and dimensions compared."""

import dataclasses
from typing import Any

import pytest

from api.views.growth import Member, family, hint
from api.views.scaling import fitted, of_comparison, of_fit
from nas import zoo
from nas.networks.architecture import Images
from nas.networks.counts import counts
from nas.networks.fit import Fit
from nas.networks.members import factors, member
from nas.networks.scaling import CompoundScaling
from nas.refusal import Refusal
from nas.specs import GrowthSpec
from tests.service import OWNER, POINTS, Service

B0 = zoo.architecture("EfficientNet-B0", Images(resolution=32, classes=10))
SPACE_BAR = "\N{NO-BREAK SPACE}"


def test_candidates_cost_twice_as_much_and_each_network_is_trained_once() -> None:
    by_formula = Fit(step=0.2).candidates(B0)
    assert next(iter(by_formula)) == "1.2:1.1:1.15"
    for name in list(by_formula)[1:]:
        own = factors(name)
        assert own is not None
        assert own.growth == pytest.approx(2, rel=0.1)
    networks = [member(B0, name) for name in by_formula]
    assert len(set(networks)) == len(networks)
    for first, others in Fit(step=0.1).candidates(B0).items():
        assert {member(B0, name) for name in others} <= {member(B0, first)}
    assert any(Fit(step=0.05, tolerance=0.05).candidates(B0).values())


def test_the_real_cost_may_be_what_is_to_be_doubled() -> None:
    candidates, whole = list(Fit(cost="mult_adds", step=0.2).candidates(B0))[1:], counts(B0).mult_adds
    assert candidates
    assert all(abs(counts(member(B0, name)).mult_adds / whole / 2 - 1) <= 0.1 for name in candidates)
    assert set(candidates) != set(list(Fit(step=0.2).candidates(B0))[1:])


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (Fit(step=0.6, tolerance=0.001), "1 candidates with step 0.6 .*: give a smaller step"),
        (Fit(step=0.02, tolerance=0.1), "candidates .*: give a larger step"),
    ],
)
def test_a_grid_of_none_or_of_too_many_is_refused(fit: Fit, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        fit.candidates(zoo.architecture("EfficientNet-B0"))


def rows(*members: str, fit: Fit | None = None) -> dict[str, Member]:
    spec = GrowthSpec(dataset="x", space="mbconv", architecture=B0, members=members, scored_on="validation", fit=fit)
    return {row.member: row for row in family(spec, ())}


def scored(row: Member, value: float, *tied: str) -> Member:
    return dataclasses.replace(row, value=value, value_error=0.01, tied_with=tied)


def test_the_best_candidate_is_taken_or_the_simplest_that_cannot_be_told_apart_from_it() -> None:
    there = rows("B0", "B1", "1.2:1.1:1.15", "2:1:1", "1:1:1.4", fit=Fit(step=0.2))
    assert fitted(tuple(there.values())) is None
    there["B0"] = scored(there["B0"], 0.99)  # which is no candidate
    there["1.2:1.1:1.15"] = scored(there["1.2:1.1:1.15"], 0.9)
    there["2:1:1"] = scored(there["2:1:1"], 0.8)
    fit = fitted(tuple(there.values()))
    assert fit is not None
    assert (fit.member, fit.scaling, fit.scored, fit.candidates) == ("1.2:1.1:1.15", CompoundScaling(), 2, 3)
    there["1:1:1.4"] = scored(there["1:1:1.4"], 0.895, "1.2:1.1:1.15")
    there["1.2:1.1:1.15"] = scored(there["1.2:1.1:1.15"], 0.9, "1:1:1.4")
    fit = fitted(tuple(there.values()))
    assert fit is not None
    assert (fit.member, fit.best) == ("1:1:1.4", "1.2:1.1:1.15")
    said = (of_fit(tuple(there.values()), fit) or "").replace(SPACE_BAR, " ")
    assert said.startswith("3 of 3 candidates are scored. α 1, β 1, γ 1.4 has 89.5 ± 1.0 %.")
    assert "α 1.2, β 1.1, γ 1.15 has 90.0 ± 1.0 %, and cannot be told apart from it: the simplest of 2" in said
    assert "The published factors, 1.2, 1.1 and 1.15, came to 90.0 ± 1.0 % at " in said
    assert "released" not in said  # before it is scored


def test_dimensions_are_compared_at_equal_multiply_adds() -> None:
    there = rows("B0", "depth:mult_adds~2x", "width:mult_adds~2x", "mult_adds~2x", "width:mult_adds~4x")
    assert of_comparison(tuple(there.values())) is None
    there["width:mult_adds~2x"] = scored(there["width:mult_adds~2x"], 0.8, "depth:mult_adds~2x")
    there["depth:mult_adds~2x"] = scored(there["depth:mult_adds~2x"], 0.79, "width:mult_adds~2x")
    there["mult_adds~2x"] = scored(there["mult_adds~2x"], 0.7)
    said = (of_comparison(tuple(there.values())) or "").replace(SPACE_BAR, " ")
    times = there["width:mult_adds~2x"].times
    assert said == (
        f"At about {times:.1f} times the multiply-adds width leads with 80.0 ± 1.0 %, which cannot be told apart from "
        "depth."
    )


def test_a_fit_is_a_growth_of_its_candidates_that_no_test_image_is_used_for(service: Service) -> None:
    search = service.search(POINTS)
    made = service.post("/v1/growths", {"search": search.id, "fit": {"step": 0.25}})
    assert made["spec"]["members"][:3] == ["B0", "B1", "1.2:1.1:1.15"]
    assert made["spec"]["scored_on"] == "validation"
    assert made["trials"] == len(made["spec"]["members"]) > 4
    assert made["fitted"] is None
    problem = service.post("/v1/growths", {"search": search.id, "fit": {}, "scored_on": "test"}, status=422)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/scored_on"]
    problem = service.post("/v1/growths", {"search": search.id, "fit": {"step": 0.9, "tolerance": 0.01}}, status=422)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/fit"]


def test_a_growth_may_take_the_factors_that_another_has_fitted(service: Service) -> None:
    search = service.search(POINTS)
    fit = service.growth(search, ("B0", "1.2:1.1:1.15", "1:1:1.4"), scored_on="validation", fit=Fit(step=0.25))
    wanted: dict[str, Any] = {"search": search.id, "coefficients": fit.id}
    assert "running" in service.post("/v1/growths", wanted, status=422)["detail"]
    service.store.claims.release(fit.id, OWNER, "finished")
    shown = service.get(f"/v1/growths/{fit.id}")
    made = service.post("/v1/growths", wanted)
    assert made["spec"]["scaling"] == shown["fitted"]["scaling"]
    assert [made["spec"]["scaling"][name] for name in ("alpha", "beta", "gamma")] == [1.0, 1.0, 1.4]
    assert made["spec"]["fitted_by"] == fit.id
    for wrong, words in (
        ({"coefficients": service.growth(search).id}, "has fitted no coefficients"),
        ({"coefficients": search.id}, "cannot be taken"),
        ({"coefficients": fit.id, "scaling": {}}, "coefficients and scaling both give factors"),
    ):
        problem = service.post("/v1/growths", {"search": search.id} | wrong, status=422)
        assert words in problem["detail"]
        assert [fault["pointer"] for fault in problem["errors"]] == ["/coefficients"]


def test_members_are_compared_by_sizes_and_factors_that_double_nothing_are_said_so(service: Service) -> None:
    search = service.search(POINTS)
    made = service.post("/v1/growths", {"search": search.id, "compare": [2, 4.5]})
    sizes = [f"{way}mult_adds~{times}x" for times in ("2", "4.5") for way in ("depth:", "width:", "resolution:", "")]
    assert made["spec"]["members"] == ["B0", *sizes]
    assert (made["spec"]["scored_on"], made["hint"]) == ("validation", None)
    assert {row["way"] for row in made["family"]} == {"compound", "depth", "width", "resolution"}
    far = service.post("/v1/growths", {"search": search.id, "scaling": {"alpha": 2, "beta": 1, "gamma": 1.5}})
    assert far["hint"].startswith("α·β²·γ² is 4.50: each member has so many times the multiply-adds")


def test_members_whose_strides_do_not_divide_their_images_are_named() -> None:
    spec = GrowthSpec(dataset="x", space="mbconv", architecture=B0, members=("B0", "B1"), scored_on="validation")
    said = hint(dataclasses.replace(spec, scaling=CompoundScaling()), 0)
    assert said == (
        f"B1 sees {member(B0, 'B1', CompoundScaling()).images.resolution} pixels, where 64 would be even, as the "
        "strides are 32: what is left over is computed on padding"
    )
    assert hint(spec, 0) is None  # as published
    assert hint(dataclasses.replace(spec, scaling=CompoundScaling(alpha=2.0, beta=1.0, gamma=1.0)), 0) is None
