"""What is proposed for images, by their number, sizes and classes."""

from nas.datasets import ClassImages, DatasetInfo, Look
from nas.proposal import applied, open_to, propose


def seen(*images: int, channels: int = 3, pixels: int = 128, validation: int = 0) -> Look:
    """As many training images of each class."""
    names = tuple(f"class {number}" for number in range(len(images)))
    info = DatasetInfo(
        name="photos",
        classes=names,
        channels=channels,
        resolution=pixels,
        train_images=sum(images),
        test_images=60,
        validation_images=validation * len(images),
    )
    classes = (
        ClassImages(name=name, train_images=number, validation_images=validation, test_images=10)
        for name, number in zip(names, images)
    )
    return Look(info=info, classes=tuple(classes), sides=(pixels, pixels, 2 * pixels))


def fields(look: Look, **more: float | str) -> dict[str, object]:
    return {one.field: one.value for one in propose(look, **more) if one.field}  # type: ignore[arg-type]


def words(look: Look, **more: float | str) -> str:
    return "\n".join(one.reason for one in propose(look, **more))  # type: ignore[arg-type]


def test_a_few_photographs_get_a_parent_and_folds() -> None:
    assert fields(seen(*[60] * 6), parent="lite0") == {
        "/parent": "lite0",
        "/recipe/folds": 5,
        "/hours": 1.0,
        "/trials": 20,
        "/save_weights": True,
    }
    told = words(seen(*[60] * 6), parent="lite0")
    assert "360 training images: 180 steps of 24 for each training" in told
    assert (
        "36 held out: differences under 16 points are noise; in 5 folds all 360 are held out once, and it is 5.2"
        in told
    )


def test_a_parent_that_is_missing_is_named_and_small_images_take_their_place() -> None:
    look = seen(*[60] * 6)
    assert "pip install" in words(look, missing="timm is missing: pip install it")
    assert fields(look)["/resolution"] == 96
    assert "/resolution" not in fields(seen(*[60] * 6, pixels=96))


def test_greys_tiny_and_many_images_get_no_parent() -> None:
    for look in (seen(60, 60, channels=1), seen(60, 60, pixels=28), seen(9_000, 9_000)):
        assert "/parent" not in fields(look, parent="lite0")
        assert "pip" not in words(look, missing="pip install it")


def test_many_images_are_ranked_by_a_part_of_them_and_without_folds() -> None:
    asked = fields(seen(30_000, 30_000))
    assert asked["/recipe/train_images"] == 20_000
    assert "/recipe/folds" not in asked
    assert "6,000 images to score on: differences under 1.3 points are noise" in words(seen(30_000, 30_000))


def test_as_many_are_said_to_score_as_are_held_out_of_each_class() -> None:
    assert "1,098 images to score on" in words(seen(5_495, 5_495))


def test_own_validation_images_score() -> None:
    look = seen(200, 200, validation=100)
    assert "/recipe/folds" not in fields(look)
    assert "200 images to score on" in words(look)


def test_unequal_classes_are_counted_alike() -> None:
    asked = fields(seen(300, 100, 150))
    assert (asked["/objective/metric"], asked["/recipe/class_weights"]) == ("balanced_accuracy", "auto")
    assert "to answer 'class 0' always is right in 54.5 %" in words(seen(300, 100, 150))
    assert "/objective/metric" not in fields(seen(199, 100, 150))


def test_a_class_of_few_images_is_named() -> None:
    assert "'class 1' has 19 training images" in words(seen(30, 19))
    assert "more would be worth most" not in words(seen(30, 20))


def test_trials_fill_an_hour_within_bounds() -> None:
    look = seen(500, 500)
    assert [fields(look, trial_seconds=seconds)["/trials"] for seconds in (10, 120, 3600)] == [60, 30, 10]
    assert fields(look, trial_seconds=10)["/hours"] == 1.0
    assert "30 in 60 minutes" in words(look, trial_seconds=120)
    assert "about 10 minutes of the search here: 10, or what the hour has room for" in words(look, trial_seconds=600)


def test_what_a_request_says_is_kept() -> None:
    request = {"dataset": "photos", "recipe": {"folds": 3, "epochs": 2}}
    whole = applied(propose(seen(300, 100), trial_seconds=120), request)
    assert whole == {
        "dataset": "photos",
        "resolution": 96,
        "recipe": {"folds": 3, "epochs": 2, "class_weights": "auto"},
        "objective": {"metric": "balanced_accuracy"},
        "hours": 1.0,
        "trials": 30,
        "save_weights": True,
    }
    assert request == {"dataset": "photos", "recipe": {"folds": 3, "epochs": 2}}, "and it is not changed"


def test_what_is_said_already_is_not_proposed() -> None:
    proposed = propose(seen(*[60] * 6), parent="lite0")
    left = open_to(proposed, {"dataset": "photos", "parent": None, "recipe": {"folds": 1}, "trials": 1})
    assert {one.field for one in left} == {"", "/hours", "/save_weights"}


def test_what_is_held_out_is_counted_class_by_class() -> None:
    assert "30 held out" in words(seen(*[54] * 6), parent="lite0")  # of each class a tenth, rounded down
