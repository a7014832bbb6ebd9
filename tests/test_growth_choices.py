"""Growths that choose: candidates of a fit that are measured or skipped, and members that are dominated or tested."""

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from api.views.growth import family
from nas.families import Known, dominated
from nas.measurements import Latency, Measurement
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.counts import counts
from nas.networks.fit import MOST_TIMED, Fit
from nas.networks.members import factors
from nas.noise import Estimate
from nas.plans.growth import GrowthPlan
from nas.records import Job, Trial
from nas.specs import GrowthSpec
from tests.service import OWNER, Service

STAGE = Stage(op="mbconv", kernel=3, stride=1, expand=3, channels=16, repeats=2)
B0 = Architecture(
    images=Images(resolution=28, channels=1, classes=10),
    stem=16,
    stem_stride=2,
    stages=(STAGE, dataclasses.replace(STAGE, stride=2, channels=32)),
    head=0,
)
SPEC = GrowthSpec(dataset="x", space="mbconv", architecture=B0, scored_on="validation")

Landscape = Callable[[Job], Measurement]


def measured(job: Job, accuracy: float = 0.5, latency_ms: float | None = None) -> Measurement:
    """With a latency that is in proportion to the multiply-adds."""
    counted = counts(job.architecture)
    milliseconds = counted.mult_adds / 1e6 if latency_ms is None else latency_ms
    latency = Latency(
        device="cpu",
        median_ms=milliseconds,
        p95_ms=milliseconds,
        minimum_ms=milliseconds,
        spread=0.0,
        runs=9,
        fingerprint={},
    )
    score = None if job.recipe is None else accuracy
    return Measurement(
        params=counted.params,
        mult_adds=counted.mult_adds,
        latencies={"cpu": latency},
        accuracy=None if job.final else score,
        test_accuracy=score if job.final else None,
        accuracy_error=0.001,
    )


def trial(job: Job, measurement: Measurement) -> Trial:
    return Trial(run="g", number=job.number, state="done", job=job, measurement=measurement, started_at=0.0)


def grown(spec: GrowthSpec, come: Landscape, past: Sequence[Trial] = ()) -> tuple[GrowthPlan, list[Trial]]:
    """A plan that has been told all of its trials, one after the other, from the `past` on."""
    plan, trials = GrowthPlan("g", spec), list(past)
    for each in past:
        plan.tell(each.job, each.measurement)
    while job := plan.ask(len(trials)):
        trials.append(trial(job, come(job)))
        plan.tell(job, trials[-1].measurement)
    return plan, trials


def test_what_takes_twice_the_latency_is_found_by_measuring() -> None:
    fit = Fit(cost="latency_ms", step=0.25, tolerance=0.2)
    spec = dataclasses.replace(SPEC, fit=fit, members=("B0", "B1", *fit.candidates(B0)))
    plan, trials = grown(spec, measured)
    timed = [each for each in trials if each.job.recipe is None]
    assert [each.job.member for each in timed] == ["B0", *fit.candidates(B0)]
    assert len(trials) <= spec.trials
    whole, published = counts(B0).mult_adds, "1.2:1.1:1.15"
    times = {each.job.member: counts(each.job.architecture).mult_adds / whole for each in timed[1:]}
    near = {name for name, each in times.items() if abs(each / 2 - 1) <= 0.2 or name == published}
    assert {each.job.member for each in trials if each.job.recipe} == {"B0", "B1", *near}
    assert 2 < len(near) < len(times)
    rows = {row.member: row for row in family(spec, trials)}
    for name, each in times.items():
        row = rows[name or ""]
        assert row.latency_times == pytest.approx(each)
        assert (row.skipped, row.state) == (
            (None, "done") if name in near else (f"{each:.2f} times the latency", "skipped")
        )
    assert plan.exhausted is None


def test_few_of_a_fine_grid_are_measured_and_those_first_that_should_cost_twice_as_much() -> None:
    names = list(Fit(cost="latency_ms", step=0.05).candidates(B0))
    assert len(names) == MOST_TIMED + 1
    nearest = set(Fit(cost="mult_adds", step=0.05, tolerance=0.03).candidates(B0))
    assert nearest <= set(names)


@pytest.mark.parametrize(
    ("latency_ms", "words"), [(5.0, "the nearest have 1.00, 1.00, 1.00 times"), (None, "none was")]
)
def test_a_grid_without_twice_the_latency_leaves_the_published_factors(latency_ms: float | None, words: str) -> None:
    fit = Fit(cost="latency_ms", step=0.5)
    spec = dataclasses.replace(SPEC, fit=fit, members=("B0", *fit.candidates(B0)))
    plan = GrowthPlan("g", spec)
    number = 0
    while (job := plan.ask(number)) and job.recipe is None:
        plan.tell(job, measured(job, latency_ms=latency_ms) if latency_ms else None)
        number += 1
    assert number == (1 + len(fit.candidates(B0)) if latency_ms else 1)
    assert job
    assert {job.member, (plan.ask(number + 1) or job).member} == {"B0", "1.2:1.1:1.15"}
    assert words in (plan.exhausted or "")


def wide(job: Job) -> Measurement:
    """Width is worth most: what is wide is right."""
    own = factors(job.member or "")
    return measured(job, 0.5 + (0.4 * (own.beta - 1) - 0.1 * (own.gamma - 1) if own else 0.0))


def test_candidates_of_which_nothing_is_expected_are_skipped_and_the_best_is_not() -> None:
    fit = Fit(step=0.1, least_gain=0.02)
    candidates = fit.candidates(B0)
    spec = dataclasses.replace(SPEC, fit=fit, members=("B0", *candidates), seeds=2, parallel=1)
    plan, trials = grown(spec, wide)
    begun = list(dict.fromkeys(each.job.member for each in trials))
    assert begun[:2] == ["B0", "1.2:1.1:1.15"]
    assert 4 < len(begun) < len(candidates)
    assert all(sum(each.job.member == name for each in trials) == 2 for name in begun)
    best = max(candidates, key=lambda name: wide(dataclasses.replace(trials[0].job, member=name)).accuracy or 0)
    assert best in begun
    left = len(candidates) - len(begun) + 1
    assert (plan.exhausted or "").startswith(
        f"{left} candidates are skipped: none is expected to raise the best score by"
    )
    rows = family(spec, trials, state="finished")
    assert sum(row.skipped == "too little is expected of it" for row in rows) == left
    assert not any(row.skipped for row in family(spec, trials))  # while it may still be trained
    again, rest = grown(spec, wide, trials[:7])
    assert [each.job for each in rest] == [each.job for each in trials]
    assert again.exhausted == plan.exhausted


def test_a_member_that_no_network_is_within_is_skipped_once_the_growth_has_ended() -> None:
    spec = dataclasses.replace(SPEC, members=("latency_ms<=0.0001", "latency_ms<=2x"))
    plan, trials = grown(spec, measured)
    while_it_runs = {row.member: (row.state, row.skipped) for row in family(spec, trials)}
    assert while_it_runs == {"latency_ms<=0.0001": ("queued", None), "latency_ms<=2x": ("done", None)}
    rows = {row.member: row for row in family(spec, trials, state="finished", reason=plan.exhausted)}
    assert {name: (row.state, row.skipped) for name, row in rows.items()} == {
        "latency_ms<=0.0001": ("skipped", "no measured network is within it"),
        "latency_ms<=2x": ("done", None),
    }
    untaught = dataclasses.replace(
        spec, members=("B0", "latency_ms<=2x"), recipe=dataclasses.replace(spec.recipe, teacher="B0")
    )
    why = "B0, which was to teach the others, has failed"
    assert [row.skipped for row in family(untaught, (), state="finished", reason=why)] == [why, why]


def test_no_candidate_is_skipped_unless_that_is_asked_for() -> None:
    fit = Fit(step=0.25)
    spec = dataclasses.replace(SPEC, fit=fit, members=("B0", *fit.candidates(B0)))
    assert {each.job.member for each in grown(spec, wide)[1]} == set(spec.members)


SCORES = {"B0": 0.80, "B1": 0.79, "B2": 0.90, "B3": 0.9005}


def known(member: str, mult_adds: float, value: float, latency_ms: float | None = None) -> Known:
    return Known(
        member=member, mult_adds=mult_adds, latency_ms=latency_ms, value=Estimate(mean=value, error=0.01, seeds=1)
    )


def test_what_costs_more_and_is_no_better_is_dominated() -> None:
    line = [known("c", 3, 0.84), known("a", 1, 0.80), known("b", 2, 0.82)]
    assert dominated(line) == {"b": "a"}  # c is better than what is left of the two
    assert dominated([known("a", 1, 0.8, 2.0), known("b", 2, 0.8, 1.0)]) == {}  # it is faster
    assert dominated([known("a", 1, 0.8, 1.0), known("b", 2, 0.8, 1.0)]) == {"b": "a"}
    assert dominated([known("a", 1, 0.8), known("b", 1, 0.7)]) == {}  # it costs no more


def test_members_are_compared_on_validation_images_and_what_is_worth_its_cost_is_tested() -> None:
    spec = dataclasses.replace(SPEC, scored_on="both", seeds=2)
    plan, trials = grown(spec, lambda job: measured(job, SCORES[job.member or ""] - 0.05 * job.final))
    assert [(each.job.member, each.job.final) for each in trials[:8:2]] == [(f"B{n}", False) for n in (3, 2, 1, 0)]
    assert [(each.job.member, each.job.final, each.job.seed) for each in trials[8:]] == [
        (name, True, seed) for name in ("B0", "B2") for seed in (0, 1)
    ]
    assert plan.exhausted == "B1, B3: no better than smaller members, and not tested"
    rows = {row.member: row for row in family(spec, trials)}
    assert {name: row.dominated_by for name, row in rows.items()} == {"B0": None, "B1": "B0", "B2": None, "B3": "B2"}
    assert (rows["B2"].accuracy, rows["B2"].value) == (0.9, 0.9)
    assert rows["B2"].test_accuracy == pytest.approx(0.85)
    assert (rows["B3"].test_accuracy, rows["B3"].test_error) == (None, None)
    assert len(grown(spec, lambda job: measured(job, 0.5), trials)[1]) == len(trials)


def test_models_of_members_that_are_dominated_go_where_that_is_asked_for(service: Service) -> None:
    from nas import retention

    search = service.search([(0.9, 4_000_000)])
    run = service.growth(search, ("B0", "B1"), tested=(0.90, 0.93), drop_dominated=True)
    service.store.claims.release(run.id, OWNER, "finished")
    retention.drop_dominated(service.store, service.store.run(run.id))
    shown = {row["member"]: row for row in service.get(f"/v1/growths/{run.id}")["family"]}
    assert (shown["B1"]["dominated_by"], shown["B1"]["model"], shown["B1"]["models"]) == ("B0", None, [])
    assert [model.number for model in service.store.models(run.id)] == [1] == [shown["B0"]["number"]]
    assert service.store.model(f"{run.id}-0").removed == "no better than B0, which costs less"
