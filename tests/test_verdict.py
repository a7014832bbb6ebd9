"""What a run has come to, in words, as the service tells it."""

from dataclasses import replace
from typing import Any

import pytest

from nas.datasets import DatasetInfo
from nas.measurements import Measurement
from nas.metrics import Confusion, quality
from nas.networks.architecture import Images
from nas.objective import Metric, Objective
from nas.recipes import Recipe
from nas.records import Run
from tests.service import OWNER, Service

ACCURACY = Objective(w_under=0.0, w_over=0.0)


def said(service: Service, run: Run, state: str = "finished") -> str | None:
    if state != "running":
        service.store.claims.release(run.id, OWNER, state)  # type: ignore[arg-type]
    text: str | None = service.get(f"/v1/searches/{run.id}")["verdict"]
    return text and text.replace("\N{NO-BREAK SPACE}", " ")


def test_nothing_is_said_before_a_network_was_trained(service: Service) -> None:
    assert said(service, service.search([], running=2), "running") is None


def test_the_leader_its_ties_and_what_the_last_ones_brought(service: Service) -> None:
    points = [(0.80, 1_000_000), (0.905, 4_000_000), (0.90, 2_000_000), *((0.70, 8_000_000 + n) for n in range(9))]
    run = service.search(points, error=0.01, objective=ACCURACY)
    leads = (
        "trial 1 leads with 90.5 ± 1.0 %. It cannot be told apart from trial 2, which costs 50 % less. "
        "The last 3 networks brought nothing better."
    )
    assert said(service, run, "running") == f"So far: {leads}"
    assert said(service, run) == f"Done: {leads} Next: grow trial 2."


def test_more_trials_are_advised_while_they_bring_something(service: Service) -> None:
    points = [*((0.6, 4_000_000 + number) for number in range(9)), (0.7, 5_000_000), (0.9, 5_000_001), (0.8, 5_000_002)]
    text = said(service, service.search(points, objective=ACCURACY), "stopped")
    assert text is not None
    assert text.startswith("Ended early: trial 10 leads with 90.0 %.")
    assert text.endswith("The last 3 networks raised the best reward by 50 %. Next: more trials, as it still gains.")


@pytest.mark.parametrize(("images", "resolution"), [(360, 64), (360, 28), (60_000, 64)])
def test_few_photographs_want_a_parent(service: Service, images: int, resolution: int) -> None:
    contents = DatasetInfo(
        name="few", classes=("a", "b"), channels=3, resolution=resolution, train_images=images, test_images=9
    )
    text = said(service, service.search([(0.7, 1_000_000)], contents=contents))
    assert text is not None
    few = (images, resolution) == (360, 64)
    assert ("Next: begin with a pretrained parent, as 360 images teach little by themselves." in text) is few
    assert ("Next: grow trial 0." in text) is not few


def test_of_a_few_networks_the_last_ones_say_nothing(service: Service) -> None:
    points = [(0.9, 1_000_000), (0.905, 2_000_000)]
    tie = "It cannot be told apart from trial 0, which costs 50 % less."
    assert said(service, service.search(points, error=0.01, objective=ACCURACY)) == (
        f"Done: trial 1 leads with 90.5 ± 1.0 %. {tie} Next: grow trial 0."
    )
    dear = "Done: trial 0 leads with 90.0 ± 1.0 %. It cannot be told apart from trial 1, and is the cheaper one."
    run = service.search(points, error=0.01, objective=Objective(target=1e6, w_under=-1.0, w_over=-1.0))
    assert said(service, run) == f"{dear} Next: grow trial 0."


def test_what_few_images_tie_with_the_leader_is_not_grown_in_its_place(service: Service) -> None:
    points = [(0.85, 4_000_000), (0.60, 1_000_000)]
    text = said(service, service.search(points, error=0.1, objective=ACCURACY))
    assert text == (
        "Done: trial 0 leads with 85.0 ± 10.0 %. Its lead over trial 1 may be chance: more images would tell. "
        "Next: grow trial 0."
    )
    points.append((0.80, 2_000_000))
    text = said(service, service.search(points, error=0.1, objective=ACCURACY))
    assert text == (
        "Done: trial 0 leads with 85.0 ± 10.0 %. It cannot be told apart from trial 2, which costs 50 % less. "
        "Its lead over trial 1 may be chance: more images would tell. Next: grow trial 2."
    )


def guessing(service: Service, points: list[tuple[float, int]], **changes: Any) -> str:
    """The verdict on networks of these accuracies, ± 5 %, and multiply-adds, where one class has half the images."""
    its = replace(quality([[1, 1], [1, 1]], ("cat", "dog")), majority=0.5)
    text = said(service, service.search(points, error=0.05, qualities=[its] * len(points), **changes))
    assert text is not None
    return text


@pytest.mark.parametrize(("right", "words"), [(0.48, "is no better than"), (0.52, "cannot be told from")])
def test_what_always_answering_the_largest_class_gives_is_no_result(
    service: Service, monkeypatch: pytest.MonkeyPatch, right: float, words: str
) -> None:
    text = guessing(service, [(right, 1)])
    assert f"That {words} chance: to answer the largest class each time gives 50.0 %. Train longer, on more" in text
    assert text.endswith("on more images, or begin with a parent.")
    assert guessing(service, [(0.80, 1)]).endswith("Next: grow trial 0.")
    monkeypatch.setattr("tests.service.GREY", Images(resolution=64, channels=3, classes=2))
    text = guessing(service, [(right, 1)], parent="efficientnet_lite0", resolution=64)
    assert text.endswith("gives 50.0 %. Train longer, or on more images.")


def test_a_guess_that_leads_by_its_cost_is_not_what_to_grow(service: Service) -> None:
    text = guessing(service, [(0.52, 1_000), (0.80, 9_000_000)])
    assert text.startswith("Done: trial 0 leads with 52.0 ± 5.0 %. That cannot be told from chance: ")
    assert text.endswith(
        "Trial 1 is better, with 80.0 ± 5.0 %, but costs too much for the objective: grow trial 1, or weigh cost less."
    )


def test_by_another_metric_nobody_has_to_beat_the_largest_class(service: Service) -> None:
    balanced = Objective(w_under=0.0, w_over=0.0, metric="balanced_accuracy")
    points = [(0.52, 4_000_000), (0.52, 2_000_000)]
    best, cheaper = ([[30, 20], [10, 40]], [[29, 21], [10, 40]])
    qualities = [replace(quality(answers, ("cat", "dog")), majority=0.9) for answers in (best, cheaper)]
    text = said(service, service.search(points, error=0.05, qualities=qualities, objective=balanced))
    assert text is not None
    assert "It cannot be told apart from trial 1, which costs 50 % less." in text
    assert text.endswith("Next: grow trial 1.")


@pytest.mark.parametrize(
    ("metric", "answers", "words"),
    [
        (
            "balanced_accuracy",
            [[20, 0], [2, 0]],
            "That is no better than chance: to answer one class each time gives 50",
        ),
        (
            "balanced_accuracy",
            [[18, 2], [1, 1]],
            "That cannot be told from chance: to answer one class each time gives",
        ),
        ("macro_f1", [[20, 0], [2, 0]], "Its balanced accuracy, 50.0 ± 10.0 %, is no better than chance: to answer"),
    ],
)
def test_by_another_metric_a_guess_is_one_too(service: Service, metric: Metric, answers: Confusion, words: str) -> None:
    """The mean of the recalls tells, however often the largest class is right."""
    qualities = [quality(answers, ("cat", "dog"))]
    run = service.search([(0.91, 1_000_000)], error=0.05, qualities=qualities, objective=Objective(metric=metric))
    text = said(service, run)
    assert text is not None
    assert words in text
    assert "Next: grow" not in text


def test_a_search_that_trained_nothing_says_why(service: Service) -> None:
    run = service.search([], running=3)
    refused = Measurement(params=9, mult_adds=1, refused="params 9 over the limit of 2")
    for number in (0, 1):
        service.store.claims.end(OWNER, number, run.id, "refused", refused)
    service.store.claims.end(OWNER, 2, run.id, "failed", error="no images")
    text = said(service, run)
    assert text is not None
    assert "2 of 3 networks were refused, the last for params 9 over the limit of 2. Raise the limits" in text
    run = service.search([], running=1)
    service.store.claims.end(OWNER, 0, run.id, "failed", error="no images")
    assert said(service, run) == "Nothing came of it: 1 of 1 trials failed, the last with: no images"


def test_members_of_a_family_that_are_not_worth_what_they_cost(service: Service) -> None:
    search = service.search([(0.9, 4_000_000)])
    tested = (0.93, 0.90, 0.935, 0.90)  # the largest is trained first
    run = service.growth(search, ("B0", "B1", "B2", "B3"), tested=tested)
    shown = service.get(f"/v1/growths/{run.id}")
    assert shown["verdict"] is not None
    sizes = {row["member"]: row["mult_adds"] for row in shown["family"]}
    text = shown["verdict"].replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "B1 leads with 93.5 ± 0.2 %. "
        f"B2 is no better than B1 and costs {sizes['B2'] / sizes['B1']:.1f} times as much: leave it out. "
        f"B3 cannot be told apart from B1 and costs {sizes['B3'] / sizes['B1']:.1f} times as much."
    )
    assert service.get(f"/v1/growths/{service.growth(search, ('B0', 'B1'), ended=1).id}")["verdict"] is None


def test_a_family_that_is_far_worse_than_the_trial_it_is_from(service: Service) -> None:
    search = service.search([(0.83, 4_000_000)], recipe=Recipe(epochs=30))

    def verdict(accuracy: float, of: Run = search, epochs: int = 5) -> str:
        recipe = Recipe(epochs=epochs)
        return words(service.growth(of, ("B0", "B1"), tested=(0.9, accuracy), recipe=recipe).id)

    def words(run: str) -> str:
        return str(service.get(f"/v1/growths/{run}")["verdict"]).replace("\N{NO-BREAK SPACE}", " ")

    assert verdict(0.15).startswith("B0 came to 15.0 ± 0.2 %, far below the 83.0 % of its trial: train it for as long")
    assert verdict(0.77).startswith("B0 came to 77.0")
    assert verdict(0.78).startswith("B1 leads")
    assert "far below the 83.0 % of its trial. B1 leads" in verdict(0.15, epochs=30), "it was trained for as long"
    few = service.search([(0.83, 4_000_000)], error=0.11)
    assert verdict(0.62, few).startswith("B1 leads"), "which few images may have told of the trial"
    assert "far below the 83.0 ± 11.0 % of its trial" in verdict(0.5, few)
    run = service.growth(search, ("B0", "B1"), tested=(0.9, 0.15))
    service.store.claims.release(search.id, OWNER, "finished")
    service.store.removals.delete_run(search.id)
    assert words(run.id).startswith("B1 leads")
