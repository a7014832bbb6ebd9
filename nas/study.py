"""`python -m nas.study FILE < search.json`: the trials of a search as a study that Optuna's tools open.

The JSON has the search's `id`, its `objective`, and its `trials` as the service shows them. The study is named after
the search; a front has the values accuracy, or what its metric is, and cost, or both costs, anything else the reward.
What was trained on a lower rung than others is pruned in Optuna's words, with its accuracy, or what the metric is, as
the intermediate value of that rung.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, TrialState, create_trial
except ImportError as error:
    raise ImportError("exporting a study needs Optuna: pip install 'nas-service[searchers]'") from error

from nas.home import written

Json = dict[str, Any]


def write(search: Json, path: Path) -> int:
    """Make the SQLite file at `path`, which must not exist; gives how many trials it holds. Left out are trials
    that are running, that only measured a latency again, and baselines, which are no point of the space."""
    if path.exists():
        raise FileExistsError(f"{path} exists: name another file")
    with written(path):
        path.touch()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    aim = search["objective"]
    costs = [cost for cost in (aim["cost"], aim.get("also")) if cost] if aim["form"] == "front" else []
    trials = [
        trial
        for trial in search["trials"]
        if trial["ended_at"] and trial["job"]["choices"] and trial["job"].get("measures") is None
    ]
    distributions = _distributions([trial["job"]["choices"] for trial in trials])
    study = optuna.create_study(
        storage=f"sqlite:///{path}",
        study_name=search["id"],
        directions=[StudyDirection.MAXIMIZE, *(StudyDirection.MINIMIZE for _ in costs)],
    )
    metric = aim.get("metric", "accuracy")
    study.set_metric_names([metric, *costs] if costs else ["reward"])
    highest = max((trial["job"]["rung"] or 0 for trial in trials if trial["reward"] is not None), default=0)
    study.add_trials([_trial(trial, distributions, costs, highest, metric) for trial in trials])
    return len(trials)


def _distributions(rows: list[Json]) -> dict[str, BaseDistribution]:
    """Each knob with the choices that were tried."""
    tried: dict[str, dict[Any, None]] = {}
    for row in rows:
        for knob, choice in row.items():
            tried.setdefault(knob, {})[choice] = None
    return {knob: CategoricalDistribution(sorted(choices)) for knob, choices in tried.items()}


def _trial(
    trial: Json, distributions: dict[str, BaseDistribution], costs: list[str], highest: int, metric: str
) -> FrozenTrial:
    measured = trial["measurement"] or {}
    latencies_ms = {device: latency["median_ms"] for device, latency in measured.get("latencies", {}).items()}
    first, *others = trial["job"]["devices"]
    known: Json = {
        "accuracy": measured.get("accuracy"),
        metric: measured.get("accuracy") if metric == "accuracy" else (measured.get("quality") or {}).get(metric),
        "params": measured.get("params"),
        **{name: measured.get(name) for name in ("mult_adds", "peak_memory", "model_bytes")},
        "latency_ms": latencies_ms.get(first),
    }
    has_reward = trial["reward"] is not None
    rung = trial["job"]["rung"] or 0
    done = has_reward and rung == highest
    record = create_trial(
        state=TrialState.COMPLETE if done else TrialState.PRUNED if has_reward else TrialState.FAIL,
        params=trial["job"]["choices"],
        distributions={knob: distributions[knob] for knob in trial["job"]["choices"]},
        values=None if not done else [known[name] for name in (metric, *costs)] if costs else [trial["reward"]],
        intermediate_values={rung: known[metric]} if has_reward and trial["job"]["rung"] is not None else None,
        user_attrs={
            "trial": trial["number"],
            **known,
            **{f"latency_ms on {device}": latencies_ms[device] for device in others if device in latencies_ms},
        },
    )
    record.datetime_start = datetime.fromtimestamp(trial["started_at"])
    record.datetime_complete = datetime.fromtimestamp(trial["ended_at"])
    return record


if __name__ == "__main__":
    try:
        print(write(json.load(sys.stdin), Path(sys.argv[1])))
    except OSError as problem:
        sys.exit(str(problem))
