"""What the command line prints of one run, and of what a search would take."""

import re

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.cli import numbers
from api.cli.families import growth, scaling
from api.cli.tables import MEMORY, Json, fidelity, latencies, objective
from nas.codec import decode
from nas.objective import COST_WORDS, METRIC_WORDS
from nas.worth import Worth

BY_ARITHMETIC = "by arithmetic, of a core of a processor, as nothing like it was trained here yet"


def forecast(answer: Json, *, shared: bool) -> str:
    """What a search would take, in a sentence, and what each training is worth, in another; with `shared` weights one
    training is for all candidates."""
    each = f"{'The supernet' if shared else 'Each candidate'} has {decode(Worth, answer['worth'])}"
    if answer["seconds"] is None:
        return f"{each}\nNo forecast: {answer['reason']}"
    whole, compute = (
        f"{numbers.duration(answer[name])} ({' to '.join(map(numbers.duration, answer[f'{name}_range']))})"
        for name in ("seconds", "compute_seconds")
    )
    error = f", each {100 * answer['error']:.1f} % off on average" if answer["error"] is not None else ""
    trials = "1 trial" if answer["trials"] == 1 else f"{answer['trials']} trials"
    elsewhere = f" on {answer['dataset']}, as nothing was trained on these images yet" if answer["dataset"] else ""
    money = "" if answer["price"] is None else f" ({answer['price']:,.2f} {answer['currency']})"
    baselines = "".join(
        f"\nBaseline {name} takes {numbers.duration(seconds)} of it"
        for name, seconds in answer["baseline_seconds"].items()
    )
    known = f"by {_trainings(answer['trainings'])} on {answer['trained_on']}" if answer["trainings"] else BY_ARITHMETIC
    take = "takes" if answer["trials"] == 1 else "take"
    return (
        f"{each}\nForecast: {trials} of about {numbers.duration(answer['trial_seconds'])} {take} {whole}, and "
        f"{compute} of compute{money}, {known}{elsewhere}{error}{baselines}"
        + (f"\nBudget: {answer['remark']}" if answer["remark"] else "")
    )


def _trainings(count: int) -> str:
    return "1 training" if count == 1 else f"{count} trainings"


def pending(view: Json) -> bool:
    """Whether more is wished of a run than that it goes on, and has not come about."""
    return view["ended_at"] is None and view["wish"] != "run" and (view["wish"], view["state"]) != ("pause", "paused")


def run(view: Json) -> RenderableType:
    """A run of any kind, whole."""
    spec, counts = view["spec"], view["counts"]
    over = sum(count for name, count in counts.items() if name != "running")
    most = "at most " if view["state"] == "finished" and over < view["trials"] else ""
    split = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    wish = f" (wish: {view['wish']})" if pending(view) else ""
    if view.get("saved_seconds"):
        split += f"; about {numbers.duration(view['saved_seconds'])} of training saved"
    facts = {
        "Name": view["name"] or "–",
        "State": view["state"] + wish + (f": {why}" if (why := view["error"] or view["reason"]) else ""),
        "Trials": f"{over} of {most}{view['trials']} ended" + (f" ({split})" if split else ""),
        "Time": spent(view) + left(view),
    }
    if view["submitted_by"]:
        facts["Owner"] = view["submitted_by"]
    if view["kind"] == "benchmark":
        facts |= {"Networks": _measured(spec), "Devices": f"{', '.join(spec['devices'])}, {spec['parallel']} at once"}
    else:
        recipes = [(name, spec[name]) for name in ("recipe", "cheap", "dear") if name in spec]
        on = spec.get("scored_on", "validation")
        epochs = ", ".join(f"{'' if name == 'recipe' else f'{name} '}{_epochs(its, on)}" for name, its in recipes)
        facts |= {
            "Dataset": "\n".join([spec["dataset"], *remarks(spec)]),
            "Space": f"{spec['space']}, measured on {', '.join(spec['devices'])}",
            "Training": f"{epochs}, {spec['parallel']} at once",
        }
        if spec.get("parent"):
            facts["Parent"] = _called(spec["parent"])
        if spec.get("learn_from"):
            facts["Learns from"] = ", ".join(spec["learn_from"])
        if spec.get("worth"):
            facts["Worth"] = str(decode(Worth, spec["worth"]))
    if knobs := spec.get("knobs"):
        facts["Knobs"] = ", ".join(f"{knob} {' or '.join(map(str, choices))}" for knob, choices in knobs.items())
    if limits := _limits(spec.get("limits", {})):
        facts["Limits"] = limits
    if view["kind"] == "growth" and not spec["fit"]:
        facts["Scaling"] = scaling(spec)
    if view["kind"] == "search":
        facts |= {"Searcher": spec["searcher"], "Objective": objective(spec["objective"])}
        if view["expected_gain"] is not None:
            ends = f", ends below {spec['least_gain']:g}" if spec["least_gain"] else ""
            facts["Gain"] = f"{view['expected_gain']:.2g} expected of the last network proposed{ends}"
        best = view["best"]
        facts["Best"] = f"trial {best['number']}: {', '.join(_facts(best, spec))}" if best else "–"
        if spec["fidelity"]:
            facts["Training"] += f", {rungs(spec['fidelity'])}"
        if spec.get("weights") == "shared":
            finals = f", the best {spec['finals']} trained on" if spec["finals"] else ""
            facts["Training"] += f", weights of one supernet for all{finals}"
    lines = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        lines.add_row(Text(name, style="dim"), Text(value))
    parts: list[RenderableType] = [Text(f"{view['kind'].capitalize()} {view['id']}", style="bold")]
    if view.get("verdict"):
        parts.append(Text(view["verdict"]))
    parts.append(lines)
    if view["kind"] == "growth":
        parts += [Text(), growth(view)]
    elif view["kind"] == "benchmark":
        parts += [Text(), latencies(view["networks"])]
    elif view["kind"] == "proxy":
        parts += [Text(), fidelity(view)]
    return Group(*parts)


def _epochs(recipe: Json, scored_on: str) -> str:
    """What is scored on test images is trained once, on all others."""
    images, folds = recipe["train_images"], recipe["folds"]
    epochs = f"epochs {recipe['epochs']}" + (f" of {images:,} images" if images else "")
    epochs += f" and {recipe['int8_epochs']} in 8 bits" if recipe["int8_epochs"] else ""
    whole = " of whole groups" if recipe.get("group") else ""
    divided = f"{epochs} in each of {folds} folds{whole}" if folds > 1 else epochs
    once = "once on all images but the test images"
    words = {"test": f"{epochs}, {once}", "both": f"{divided}, then {once}"}.get(scored_on, divided)
    words += f", taught by {_called(recipe['teacher'])}" if recipe["teacher"] else ""
    return words + {"none": "", "auto": ", classes count alike"}.get(str(recipe["class_weights"]), ", classes weighted")


def _called(network: str) -> str:
    """A parent or teacher by its name; a checkpoint by the beginning of its hash."""
    return f"checkpoint {network[:12]}" if re.fullmatch(r"[0-9a-f]{64}", network) else network


def _limits(limits: Json) -> str:
    shown = {
        "params": numbers.short,
        "mult_adds": numbers.short,
        "latency_ms": numbers.milliseconds,
        **dict.fromkeys(MEMORY, numbers.size),
    }
    capped = [f"{show(limits[cost])} {COST_WORDS[cost]}" for cost, show in shown.items() if limits.get(cost)]
    if limits.get("most_drop"):
        capped.append(f"{limits['most_drop']:g} points lost in 8 bits")
    return ", ".join([*capped, *([f"int8 on {limits['board']}"] if limits.get("board") else [])])


def _measured(spec: Json) -> str:
    images = spec["images"]
    shape = f"{images['resolution']}×{images['resolution']}×{images['channels']}, {images['classes']:,} classes"
    if spec["architecture"]:
        return f"{spec['published'] or spec['model'] or 'one of your own'}, for {shape}"
    return f"{spec['networks']} of {spec['space']} for {shape}"


def spent(view: Json) -> str:
    """Time and compute time, each with its budget where there is one."""
    hours, compute_hours = (view["spec"].get(name) for name in ("hours", "compute_hours"))
    worked = numbers.duration(view["seconds"]) + (f" of {numbers.duration(3600 * hours)}" if hours else "")
    if not view["compute_seconds"]:
        return worked
    of = f" of {numbers.duration(3600 * compute_hours)}" if compute_hours else ""
    return f"{worked}, {numbers.duration(view['compute_seconds'])}{of} of compute"


def left(view: Json) -> str:
    """Behind the time that it took, the time that is left, where that can be told."""
    return f", about {numbers.duration(view['remaining_seconds'])} left" if view["remaining_seconds"] else ""


def rungs(fidelity: Json) -> str:
    name = {"halving": "successive halving", "hyperband": "Hyperband"}[fidelity["kind"]]
    return (
        f"{name} over {fidelity['rungs']} rungs, each with 1/{fidelity['eta']} of the {fidelity['scaled']} of the next"
        + (" and weights that go on" if fidelity["inherit"] else "")
    )


def _balanced(quality: Json) -> str:
    """With what it is to be held against."""
    balanced = numbers.percent(quality["balanced_accuracy"], quality["balanced_accuracy_error"])
    worst = f"{numbers.percent(quality['worst_recall'])} of the worst class, {quality['worst_class']}"
    loss = "" if quality["log_loss"] is None else f"; log loss {quality['log_loss']:.3f}"
    return f"{balanced} ({worst}; the largest class alone gives {numbers.percent(quality['majority'])}{loss})"


def _facts(best: Json, spec: Json) -> tuple[str, ...]:
    device, metric = spec["devices"][0], spec["objective"]["metric"]
    value = f"{METRIC_WORDS[metric]} {numbers.percent(best['value'], best['value_error'])}"
    trained = f" on average of {best['trainings']} trainings" if best["trainings"] > 1 else ""
    quality = best["quality"]
    told = metric == "accuracy" or (metric == "balanced_accuracy" and quality)  # by what follows
    return (
        *(() if told else (value,)),
        ("" if metric == "accuracy" else "accuracy ")
        + numbers.percent(best["accuracy"], best["accuracy_error"])
        + trained,
        *((f"balanced {_balanced(quality)}",) if quality else ()),
        f"{numbers.short(best['mult_adds'])} multiply-adds",
        f"{numbers.short(best['params'])} parameters",
        numbers.milliseconds(best["latencies_ms"].get(device)),
        f"reward {numbers.reward(best['reward'])}",
    )


def remarks(spec: Json) -> list[str]:
    """What was to be known of its images when it was submitted."""
    return [remark["text"] for remark in (spec.get("contents") or {}).get("remarks", ())]
