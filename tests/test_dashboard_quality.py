"""A trial's page says what its answers are worth class by class, and on how many images that was found."""

import dataclasses
import re
import shutil
from collections.abc import Callable

from playwright.sync_api import Route, expect

from nas import home
from nas.answers import Answers, packed
from nas.measurements import Measurement
from nas.metrics import certain, quality
from nas.models.manifest import FileScore
from nas.specs import SearchSpec
from nas.worth import settled, worth
from tests.browser import View
from tests.pictures import pictures
from tests.test_files import fill

NOISE = certain(
    quality([[1000, 0], [10, 0]], ("plain", "rare")),
    [0.0, 1.0] * 505,
    [0.99] * 1010,
    [True] * 1000 + [False] * 10,
)


def test_the_share_of_the_largest_class_stands_beside_the_accuracy(look: Callable[..., View]) -> None:
    for width, scheme in ((1280, "light"), (360, "dark")):
        view = look(width, scheme)
        info = dataclasses.replace(pictures().info, train_images=500)
        spec = SearchSpec(name="Noise", dataset="fashion_mnist", searcher="random", trials=1)
        recipe = settled(spec.recipe, info)
        spec = dataclasses.replace(spec, recipe=recipe, worth=worth(recipe, info))
        measured = Measurement(
            params=61_706,
            mult_adds=416_520,
            accuracy=NOISE.majority,
            accuracy_error=0.004,
            answers=Answers(images=1010, folds=5, right=packed(b"")),
            quality=NOISE,
            steps=600,
            train_seconds=26.0,
        )
        page = view.search(view.service.past.other("search", spec, [measured]))
        card = page.locator(".trial")
        for name, value in (
            ("Validation accuracy", "99.01 ± 0.40 %"),
            ("Found on", "1,010 held-out images, 5 folds"),
            ("Largest class alone", "99.01 %"),
            ("Balanced accuracy", "50.00 ± 4.68 %"),
            ("Worst class", "rare, 0.00 ± 9.35 %"),
            ("Log loss", "0.500 ± 0.016"),
            ("Calibration error", "0.01 %"),
            ("Trained in", "26 s, 600 steps"),
        ):
            row = card.locator(".figures > div").filter(has=page.get_by_text(name, exact=True))
            expect(row.locator("dd")).to_have_text(value)
        expect(card.get_by_title("the mean of the classes' recalls: 50.00 % by guessing")).to_be_visible()
        expect(page.locator(".heading")).to_contain_text("50 epochs a trial in each of 5 folds")
        expect(page.locator(".heading")).to_contain_text("accuracy on 500 images, ±2.23 points at most")
        expect(page.locator(".log")).to_contain_text("each candidate has 5 trainings of 600 steps")
        card.get_by_text("Class by class").click()
        rows = card.get_by_role("region", name="Class by class").locator("tbody tr")
        expect(rows).to_have_text([re.compile("plain100.0 %10000"), re.compile("rare0.0 %100")])
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_model_that_was_judged_in_8_bits_says_so_with_what_its_checkpoint_has(look: Callable[..., View]) -> None:
    view = look()

    def judged(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        for model in answer.get("models", [answer]):
            rounding = {"float32": 0.675, "int8": 0.725, "per_channel": False}
            model |= {"test_accuracy": 0.725, "rounding": rounding, "seen": True}
        route.fulfill(response=response, json=answer)

    view.page.route(re.compile(r"/v1/models(\?|/[^/]+$|$)"), judged)
    page = view.open("#/models")
    row = page.get_by_role("table", name="models").locator("tbody tr").first
    expect(row).to_contain_text("in 8 bits; float32 67.50 %; images seen before")
    row.get_by_role("button", name="Use it").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Its accuracy of 72.50 % is in 8 bits; float32 67.50 %, as its checkpoint is.")


def test_files_whose_accuracy_was_not_checked_say_why(look: Callable[..., View]) -> None:
    view = look()
    (model, *_) = view.service.store.models(view.service.runs["family"].id)
    why = "the images of folder:/f have changed since it was trained"
    score = FileScore(accuracy=None, promised=0.9, images=256, part="any", unchecked=why, alike=1.0)
    shutil.rmtree(home.folder("archives") / model.sha256, ignore_errors=True)
    fill(model.sha256, score=score)
    page = view.open("#/models")
    page.locator(f"tr[data-key='{model.id}']").get_by_role("button", name="Use it").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"compared with what it was exported from: {why}.")
    expect(dialog.get_by_role("listitem").filter(has_text="model.onnx")).to_contain_text("accuracy not checked")
    expect(dialog.get_by_role("button", name="Try again what is missing")).to_be_visible()
