"""What the command line shows of runs, against the real service on a real port."""

import re
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from api.cli import numbers, watch
from nas.measurements import Measurement
from nas.metrics import quality
from nas.networks.scaling import CompoundScaling
from nas.objective import Form, Objective
from nas.plans import plan_for
from nas.recipes import Recipe
from nas.records import RunState, Wish
from nas.specs import Limits, SearchSpec
from nas.specs.growth import ScoredOn
from tests.command_line import climbed, nas, unwrapped
from tests.service import GREY, OWNER, Service, latency


@pytest.mark.parametrize("form", ["product", "front"])
def test_a_search_is_exported_as_a_study_of_optuna(service: Service, tmp_path: Path, form: Form) -> None:
    points = [(0.8, 4_000_000), (0.7, 9_000_000), (0.9, 8_000_000)]
    run = service.search(points, running=1, objective=Objective(form=form))
    file = tmp_path / "study.db"
    ran = nas("export", "optuna", run.id, "--out", str(file), "--json")
    assert (ran.code, ran.json) == (0, {"file": str(file), "study": run.id, "trials": 3}), ran.error
    study = optuna.load_study(study_name=run.id, storage=f"sqlite:///{file}")
    rewards = [Objective().reward(*point) for point in points]
    assert [trial.values for trial in study.trials] == (
        [list(point) for point in points] if form == "front" else [[reward] for reward in rewards]
    )
    choices = [trial.job.choices for trial in service.store.trials(run.id)]
    assert [trial.params for trial in study.trials] == choices[:3]
    assert study.trials[2].user_attrs["mult_adds"] == 8_000_000
    nowhere = tmp_path / "nowhere" / "study.db"
    assert "nowhere is not a folder" in nas("export", "optuna", run.id, "--out", str(nowhere)).error
    assert f"{file} exists: name another file" in nas("export", "optuna", run.id, "--out", str(file)).error


def test_every_device_has_a_column_and_a_front(service: Service, tmp_path: Path) -> None:
    search = service.on_two_devices().id
    for verb in ("pareto", "trials"):
        assert "Latency  on cpu_eager" in nas(verb, search).out
    lines = [line.split() for line in nas("trials", search).out.splitlines()]
    assert [row[5:9] for row in lines[-3:-1]] == [["1.00", "ms", "4.00", "ms"], ["4.00", "ms", "1.00", "ms"]]
    assert "measured on cpu, cpu_eager" in nas("show", search).out
    here, there = nas("pareto", search), nas("pareto", search, "--device", "cpu_eager")
    assert "Pareto front of search" in here.out
    assert "2 of 2 measured networks" in here.out
    assert "1 of 2 measured networks" in there.out
    assert there.out.rstrip().endswith("latency on cpu_eager")
    assert "device 'gpu'" in nas("pareto", search, "--device", "gpu").error
    grown = nas("grow", search, "--device", "cpu_eager", "--device", "cpu:batch=2", "--json").json
    assert grown["spec"]["devices"] == ["cpu_eager", "cpu:batch=2"]
    family = service.growth(service.store.run(search), devices=("cpu", "cpu_eager")).id
    assert "on cpu_eager" in nas("show", family).out
    two = ("--device", "cpu", "--device", "cpu:batch=2")
    asked = nas("search", "--dataset", "fashion_mnist", *two, "--predict-within", "0", "--json").json
    assert asked["spec"]["predict_within"] == 0
    assert asked["spec"]["devices"] == ["cpu", "cpu:batch=2"]
    file = tmp_path / "study.db"
    nas("export", "optuna", search, "--out", str(file))
    study = optuna.load_study(study_name=search, storage=f"sqlite:///{file}")
    names = ("latency_ms", "latency_ms on cpu_eager")
    assert [[trial.user_attrs[name] for name in names] for trial in study.trials] == [[1.0, 4.0], [4.0, 1.0]]


def test_it_says_what_a_latency_is_and_how_well_it_is_known(service: Service) -> None:
    search = service.on_two_devices().id
    family = service.growth(service.store.run(search)).id
    for verb, run in (("pareto", search), ("trials", search), ("show", family)):
        assert "Latency: on the device's machine at its best" in nas(verb, run).out
    assert "±" not in nas("trials", search).out
    busy = service.search([], running=2)
    for number, error_ms in ((0, None), (1, 0.1)):
        measured = Measurement(params=1, mult_adds=1, latencies={"cpu": replace(latency(3.0), error_ms=error_ms)})
        service.end(service.store.trial(busy.id, number).job, measured)
    shown = nas("trials", busy.id).out
    assert re.search(r" 3.00 ms  ", shown)
    assert re.search(r" 3.00 ms ± 3.3%", shown)
    assert shown.rstrip().endswith("at its best ± its standard error")
    service.store.claims.release(busy.id, OWNER, "finished")
    assert "3.00 ms ± 3.3%" in nas("watch", busy.id).out


def test_a_familys_accuracies_have_errors_and_ties(service: Service, search: str) -> None:
    run = service.growth(service.store.run(search), tested=(0.94, 0.95, 0.941, 0.949), seeds=2)
    shown = nas("show", run.id).out
    assert shown.count("94.50 ± 0.49 %") == 2  # 0.64 points of both seeds, and 0.2 of the images
    assert "mean of 2 seeds ± its standard error; tied: B0 = B1" in shown


def test_a_family_that_is_compared_says_what_it_is_scored_on(service: Service) -> None:
    search = service.search([(0.9, 1000)])
    run = service.growth(search, tested=(0.94, 0.95), scored_on="validation")
    shown = nas("show", run.id).out
    assert "scored on the images that the search ranked its candidates on" in " ".join(shown.split())
    assert shown.count("90.00 ± 0.20 %") == 2
    assert "Test" not in shown
    first, again = (nas("grow", search.id, "--members", "B0") for _ in range(2))
    assert "test images" not in first.out
    assert "looked at 2 times" in again.out
    compared = nas("grow", search.id, "--members", "B0", "--scored-on", "validation", "--json").json
    assert compared["spec"]["scored_on"] == "validation"


@pytest.mark.parametrize("name", ["latency_ms<=0.0001", "width:latency_ms<=0.0001"])  # of a family, or compared
def test_a_growth_that_found_nothing_says_so_of_itself_and_of_its_member(service: Service, name: str) -> None:
    run = service.growth(service.search([(0.9, 1000)]), (name,), ended=0)
    assert "queued" in nas("show", run.id).out
    service.store.claims.release(run.id, OWNER, "finished", reason="no network was within it")
    shown = unwrapped(nas("show", run.id).out)
    assert "State finished: no network was within it" in shown
    assert "queued" not in shown
    assert "skipped" in shown
    assert "no measured network is within it" in shown


@pytest.mark.parametrize(
    ("scored_on", "words"),
    [
        ("test", "epochs 4, once on all images but the test images, 2 at once"),
        ("validation", "epochs 4 in each of 5 folds, 2 at once"),
        ("both", "epochs 4 in each of 5 folds, then once on all images but the test images, 2 at once"),
    ],
)
def test_show_says_how_often_members_are_trained(service: Service, scored_on: ScoredOn, words: str) -> None:
    search = service.search([(0.9, 1000)])
    run = service.growth(search, ended=0, scored_on=scored_on, recipe=Recipe(epochs=4, folds=5))
    assert words in unwrapped(nas("show", run.id).out)


def test_show_says_what_is_spent_of_what(service: Service) -> None:
    run = service.search([(0.9, 1000)], running=1, trials=9, hours=1.5, compute_hours=3)
    service.store.claims.end(OWNER, 1, run.id, "failed", error="no", compute_seconds=7200)
    service.store.claims.release(run.id, OWNER, "finished", reason="its 3 compute hours are spent")
    shown = nas("show", run.id)
    assert "State   finished: its 3 compute hours are spent" in re.sub(" {2,}", "   ", shown.out)
    assert re.search(r"\b\d+ s of 90 min, 2 h 00 of 3 h 00 of compute", shown.out)


def test_show_reads_a_run_of_either_kind(search: str, growth: str) -> None:
    assert nas("show", search, "--json").json["best"]["number"] == 1
    assert "trial 1: 90.00 %, 4.00 M multiply-adds, 400 k parameters" in nas("show", search).out
    assert "91.00 %" in nas("show", growth).out
    for member in ("B0", "B1"):
        assert re.search(rf"done +91.00 %.* {member}\n", nas("trials", growth).out)


def test_a_run_of_another_kind_is_shown_by_a_command(growth: str) -> None:
    for verb in ("knobs", "pareto", "grow"):
        assert nas(verb, growth).error.endswith(f"run {growth} is a growth: nas show {growth} shows it\n")


def test_show_tells_what_a_search_was_held_to(service: Service) -> None:
    spec = SearchSpec(
        dataset="fashion_mnist",
        knobs={"stage1.op": ("conv", "mbconv"), "stage1.kernel": (3,)},
        limits=Limits(params=300_000, latency_ms=2, peak_memory=64_000, board="esp32"),
        recipe=Recipe(epochs=2, train_images=20_000),
    )
    shown = unwrapped(nas("show", service.store.add_run("search", spec).id).out)
    assert "Training epochs 2 of 20,000 images, 2 at once" in shown
    assert "Knobs stage1.op conv or mbconv, stage1.kernel 3" in shown
    assert "Limits 300 k parameters, 2.00 ms latency, 64.0 kB peak memory, int8 on esp32" in shown
    in_8_bits = SearchSpec(
        dataset="fashion_mnist",
        objective=Objective(precision="int8"),
        limits=Limits(most_drop=0.5),
        recipe=Recipe(epochs=2, int8_epochs=1, class_weights="auto"),
    )
    shown = unwrapped(nas("show", service.store.add_run("search", in_8_bits).id).out)
    assert "epochs 2 and 1 in 8 bits, classes count alike, 2 at once" in shown
    assert "Limits 0.5 points lost in 8 bits" in shown
    plain = nas("show", service.store.add_run("search", SearchSpec(dataset="fashion_mnist")).id).out
    assert "Knobs" not in plain
    assert "Limits" not in plain


def test_show_tells_how_members_grow(service: Service, search: str, growth: str) -> None:
    assert "Scaling the published family's, B0 to B7" in unwrapped(nas("show", growth).out)
    factors = CompoundScaling(alpha=1.3, beta=1.0, gamma=1.25, dropout=0.02)
    taught = Recipe(epochs=3, teacher="B0")
    grown = service.growth(service.store.run(search), ended=1, scaling=factors, fitted_by="0a1b2c3d4e5f", recipe=taught)
    words = "depth 1.3, width 1, resolution 1.25, dropout +0.02 a step, as growth 0a1b2c3d4e5f fitted them"
    shown = unwrapped(nas("show", grown.id).out)
    assert f"Scaling {words}" in shown
    assert "epochs 3, once on all images but the test images, taught by B0" in shown


def test_trials_show_what_their_search_compares_by(service: Service) -> None:
    answers = quality([[8, 2], [5, 5]], ("cat", "dog"))
    run = service.search([(0.65, 1000)], qualities=[answers], running=1, objective=Objective(metric="worst_recall"))
    shown = nas("trials", run.id).out
    assert re.search(r"Worst class +Accuracy", shown)
    assert re.search(r"done +50.00 % +65.00 % .*\n.*running +– +– ", shown)


def test_trials_that_were_cancelled_came_to_nothing(service: Service) -> None:
    run = service.search([(0.8, 4_000_000)], running=2, trials=20)
    for number in (1, 2):
        service.store.claims.end(OWNER, number, run.id, "cancelled")
    service.store.claims.release(run.id, OWNER, "cancelled")
    assert re.search(rf"{run.id} +search +cancelled +1/20 ", nas("list").out)


def test_every_list_prints_a_table_and_json(service: Service, search: str, growth: str) -> None:
    for verb, arguments, words in (
        ("list", ("--limit", "100"), search),
        ("trials", (search,), "16.0 M"),
        ("events", (search,), "finished"),
        ("models", (growth,), f"{growth}-1"),
        ("datasets", (), "60,000 + 10,000 grey images of 28 pixels"),
        ("spaces", (), "mbconv"),
        ("spaces", ("mbconv", "--dataset", "fashion_mnist"), "stage3.skip"),
        ("searchers", (), "--option population=0"),
        ("devices", (), "cpu"),
        ("recipes", (), "growth"),
        ("health", (), "database ok"),
    ):
        shown = nas(verb, *arguments)
        assert (shown.code, shown.error) == (0, ""), verb
        assert words in shown.out, verb
        assert max(map(len, shown.out.splitlines())) <= 80, verb
        assert nas(verb, *arguments, "--json").json, verb


def test_the_front_is_a_table_with_a_star_at_the_best(search: str) -> None:
    lines = [line.split() for line in nas("pareto", search).out.splitlines()]
    assert lines[1] == ["Trial", "Accuracy", "Mult-adds", "Latency", "Params", "Reward"]
    assert lines[3] == ["0", "80.00", "%", "1.00", "M", "–", "100", "k", "0.8000"]
    assert lines[4] == ["★", "1", "90.00", "%", "4.00", "M", "–", "400", "k", "0.9000"]
    assert lines[5] == ["3", "95.00", "%", "16.0", "M", "–", "1.60", "M", "0.2375"]
    again = nas("pareto", search, "--target", "16e6", "--w", "0,-1").out.splitlines()
    assert again[5].startswith("★")
    assert "target 16.0 M multiply-adds, w = 0 up to it, -1 above" in " ".join(again)
    assert nas("pareto", search, "--w", "-0.5", "--json").json["objective"]["w_over"] == -0.5
    far = "Target 1 is far from all (1.00 M to 16.0 M multiply-adds): --cost names another cost"
    assert far in unwrapped(nas("pareto", search, "--target", "1.0").out)
    for near in (("--target", "1e5"), ("--target", "1", "--w", "-1"), ("--target", "16e7")):
        assert "is far from all" not in unwrapped(nas("pareto", search, *near).out)
    missing = nas("pareto", search, "--cost", "latency_ms")
    assert (missing.code, missing.out) == (1, "")
    assert "target is missing" in missing.error


def test_text_of_users_is_not_markup(service: Service) -> None:
    name = "[red]not red[/red] :smile:"
    run = nas("search", "--dataset", "fashion_mnist", "--name", name, "--json").json["id"]
    assert name in nas("show", run).out


def test_numbers_are_short() -> None:
    assert [numbers.short(value) for value in (None, 999, 999.9, 1234, 99_960, 5_288_548, 1e9)] == [
        "–", "999", "1.00 k", "1.23 k", "100 k", "5.29 M", "1.00 G",
    ]  # fmt: skip
    assert [numbers.duration(value) for value in (None, 0.4, 99, 100, 7260, 1e6)] == [
        "–", "0 s", "99 s", "2 min", "2 h 01", "12 d",
    ]  # fmt: skip
    assert [numbers.milliseconds(value) for value in (1e-9, 0.0412, 1.234, 56.78)] == [
        "1e-09 ms", "0.041 ms", "1.23 ms", "56.8 ms",
    ]  # fmt: skip


def test_low_rungs_are_exported_as_pruned(service: Service, tmp_path: Path) -> None:
    """Else Optuna would take the best of them for the best of the search."""
    run = climbed(service)
    file = tmp_path / "study.db"
    assert nas("export", "optuna", run.id, "--out", str(file)).code == 0
    study = optuna.load_study(study_name=run.id, storage=f"sqlite:///{file}")
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED", "COMPLETE"]
    assert study.best_trial.user_attrs["trial"] == 2
    assert study.trials[0].intermediate_values == {0: 0.99}


def test_whose_doing_it_was_is_shown(service: Service) -> None:
    run = service.store.add_run("search", SearchSpec(dataset="fashion_mnist"), by="Zoë")
    service.store.wish(run.id, "pause", by="bert")
    assert re.search(r"Owner +Zoë", nas("show", run.id).out)
    assert re.search(rf"{run.id}.* Zoë ", nas("list").out)
    assert re.search(r" bert +pause wished for", nas("events", run.id).out)


@pytest.mark.parametrize(
    ("wish", "state"), [("pause", "paused"), ("stop", "stopped"), ("cancel", "cancelled"), ("stop", "finished")]
)
def test_a_wish_is_shown_until_it_has_come_about(service: Service, wish: Wish, state: RunState) -> None:
    run = service.claimed(service.store.add_run("search", SearchSpec(dataset="fashion_mnist")))
    service.store.wish(run.id, wish)
    assert f"running (wish: {wish})" in nas("show", run.id).out
    assert watch.stated(service.get(f"/v1/runs/{run.id}")) == f"search {run.id} running, to {wish}"
    service.store.claims.release(run.id, OWNER, state)
    assert re.search(rf"State +{state} *$", nas("show", run.id).out, re.MULTILINE)
    assert watch.stated(service.get(f"/v1/runs/{run.id}")) == f"search {run.id} {state}"


def test_rungs_and_repetitions_are_shown(service: Service) -> None:
    run = climbed(service)
    shown = nas("trials", run.id).out
    assert "rung 2 after 0" in shown
    assert "scoring" not in shown, "none is running any more"
    front = nas("pareto", run.id).out
    assert "1 of 1 measured networks on rung 2" in front
    assert "successive halving over 2 rungs, each with 1/2 of the epochs" in unwrapped(nas("show", run.id).out)
    points = [(0.90, 1_000_000), (0.94, 4_000_000), (0.88, 4_000_000), (0.91, 1_000_000)]
    run = service.search(points, objective=Objective(w_under=0, w_over=0), confirm=2, trials=4, error=0.004)
    assert "trial 1 again" in nas("trials", run.id).out
    front = nas("pareto", run.id).out
    assert "91.00 ± 2.19 %" in front
    assert "2 times" in front
    assert "tied: 0 = 1" in front
    assert "91.00 ± 2.19 % on average of 2 trainings" in unwrapped(nas("show", run.id).out)


def test_why_trials_came_to_nothing_is_shown_with_tracebacks_and_once_for_all_alike(service: Service) -> None:
    run = service.search([(0.9, 4_000_000)], running=4)
    trace = 'Traceback (most recent call last):\n  File "~/spaces/mine.py", line 3, in build\nKeyError: [bold]9[/bold]'
    for number in (1, 3):
        service.store.claims.end(OWNER, number, run.id, "failed", error="KeyError: 9", traceback=trace)
    service.store.claims.end(OWNER, 2, run.id, "failed", error="its process died 3 times")
    refused = Measurement(params=1, mult_adds=1, refused="params 1 are over 0")
    service.store.claims.end(OWNER, 4, run.id, "refused", refused)
    shown = nas("trials", run.id, "--why").out
    assert [line.rstrip() for line in shown.splitlines()] == [
        "Trials 1, 3 failed: KeyError: 9",
        *(f"  {line}" for line in trace.splitlines()),
        "Trial 2 failed: its process died 3 times",
        "Trial 4 refused: params 1 are over 0",
    ]
    assert [(row["number"], row["traceback"]) for row in nas("trials", run.id, "--why", "--json").json] == [
        (1, trace), (2, None), (3, trace), (4, None),
    ]  # fmt: skip
    assert "Traceback" not in nas("trials", run.id).out
    assert nas("trials", service.search([]).id, "--why").out == "No trial has failed, and none was refused.\n"


def test_a_training_that_diverged_is_shown_with_the_rate_that_did_it(service: Service) -> None:
    run = service.search([], running=2)
    for number, rate in ((0, None), (1, 0.0125)):
        job = service.store.trial(run.id, number).job
        assert job.recipe is not None
        measured = Measurement(params=1, mult_adds=1, accuracy=0.5, learning_rate=rate or job.recipe.learning_rate)
        service.end(job, measured)
    rates = re.findall(r"^ *(\d+) .*at rate (\S+)", nas("trials", run.id).out, re.MULTILINE)
    assert rates == [("1", "0.0125")]


def test_parents_are_listed_named_and_shown_with_what_trials_had_of_them(service: Service) -> None:
    lite = next(line for line in nas("parents").out.splitlines() if "efficientnet_lite0" in line)
    assert {"75.1%", "4.65", "Apache-2.0"} <= set(lite.split())
    assert "unknown parent 'resnet'" in nas("search", "--dataset", "fashion_mnist", "--parent", "resnet").error
    (model, *_) = service.get(f"/v1/models?run={service.growth(service.search([(0.9, 1000)])).id}")["models"]
    asked = nas("search", "--dataset", "fashion_mnist", "--parent", f"model:{model['id']}", "--baseline", "parent")
    assert asked.code == 0, asked.error
    run = service.claimed(service.store.runs(limit=1)[0])
    assert f"Parent checkpoint {model['sha256'][:12]}" in unwrapped(nas("show", run.id).out)
    job = plan_for(run, GREY).ask(0)
    assert job is not None
    service.store.claims.begin(OWNER, job)
    service.end(job, Measurement(params=10, mult_adds=100, accuracy=0.9, inherited=0.876))
    assert "88 % inherited" in unwrapped(nas("trials", run.id).out)


def test_runs_stand_side_by_side(service: Service) -> None:
    one = service.search([(0.8, 1_000_000), (0.9, 4_000_000)], name="one", error=0.01)
    other = service.search([(0.89, 4_000_000)], name="other", error=0.01, trials=7)
    found = nas("compare", one.id, f"{other.id}:0", "--w", "0")
    assert found.code == 0, found.error
    assert f"1  search one ({one.id}), trial 1\n2  search other ({other.id}), trial 0\n" in found.out
    for row in (
        "Accuracy 90.00 % 89.00 %",
        "Tied with 2 1",
        "Networks 2 1",
        "Share of the front 100 % 48 %",
        "trials 20 7",
    ):
        assert row in unwrapped(found.out)
    knobs = [service.store.trial(run.id, number).job.choices for run, number in ((one, 1), (other, 0))]
    apart = [knob for knob in knobs[0] if knobs[0][knob] != knobs[1][knob]]
    assert f"Knobs that differ ({len(knobs[0]) - len(apart)} are alike)" in found.out
    assert all(knob in found.out for knob in apart)
    assert max(map(len, found.out.splitlines())) <= 80
    assert "neither a run nor RUN:TRIAL" in nas("compare", one.id, f"{one.id}:best").error
    assert f"names {one.id} twice: leave it out once" in unwrapped(nas("compare", one.id, one.id).error)
