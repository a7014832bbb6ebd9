"""Runs in other tools' own forms, read again by these tools; MLflow where it is installed: `make test-timm`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nas import sinks


def trial(number: int, state: str, **measured: Any) -> dict[str, Any]:
    known = {"params": 1000 * (number + 1), "latencies": {"cpu:threads=2": {"median_ms": 1.5}}} | measured
    return {
        "number": number,
        "finished": number + 1,
        "state": state,
        "started_at": 100.0 + number,
        "ended_at": 110.0 + number,
        "reward": measured.get("accuracy"),
        "measurement": None if state == "failed" else known,
        "job": {"choices": {"stage1.kernel": 3 + 2 * number, "stem": "a"}, "member": None, "baseline": None},
    }


TRIALS = [trial(0, "done", accuracy=0.5), trial(1, "refused"), trial(2, "failed"), trial(3, "done", accuracy=0.25)]
RUN = {"id": "0a1b2c3d4e5f", "name": "clothes", "kind": "search"}


def test_tensorboard_shows_curves_and_a_line_for_each_trial(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    words = sinks.load("tensorboard").write(RUN, TRIALS, str(tmp_path))
    assert words == f"4 trials are in {tmp_path / RUN['id']}: tensorboard --logdir {tmp_path}"

    def read(folder: Path) -> Any:
        return EventAccumulator(str(folder)).Reload()

    curves = read(tmp_path / RUN["id"])
    steps = [(event.step, event.wall_time, event.value) for event in curves.Scalars("best reward")]
    assert steps == [(number + 1, 110.0 + number, 0.5) for number in range(4)]
    assert [event.value for event in curves.Scalars("accuracy")] == [0.5, 0.25]
    one = read(tmp_path / RUN["id"] / "trial-3")
    assert one.Scalars("latency_ms/cpu:threads=2")[0].value == 1.5
    begun = one.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"stage1.kernel" in begun
    with pytest.raises(FileExistsError, match="name another folder"):
        sinks.load("tensorboard").write(RUN, TRIALS, str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file cannot be written \(Not a directory\): name another place"):
        sinks.load("tensorboard").write(RUN, TRIALS, str(tmp_path / "file"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, of SQLAlchemy
def test_mlflow_has_an_experiment_with_a_run_for_each_trial(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: make test-timm")
    where = f"sqlite:///{tmp_path}/mlflow.db"
    sinks.load("mlflow").write(RUN, TRIALS, where)
    client = mlflow.MlflowClient(tracking_uri=where)
    experiment = client.get_experiment_by_name("clothes 0a1b2c3d4e5f")
    runs = {run.data.tags["nas.trial"]: run for run in client.search_runs([experiment.experiment_id])}
    assert [runs[str(number)].info.status for number in range(4)] == ["FINISHED", "FINISHED", "FAILED", "FINISHED"]
    assert runs["3"].data.params == {"stage1.kernel": "9", "stem": "a"}
    assert runs["3"].data.metrics["accuracy"] == 0.25
    assert runs["3"].data.metrics["latency_ms/cpu-threads-2"] == 1.5
    assert (runs["3"].info.start_time, runs["3"].info.end_time) == (103_000, 113_000)
    with pytest.raises(OSError, match="does not take it"):
        sinks.load("mlflow").write(RUN, TRIALS, where)


def test_every_sink_says_what_it_needs() -> None:
    assert sinks.names() == ("mlflow", "tensorboard")
    for name in sinks.names():
        assert (name, (name,)) == (sinks.load(name).EXTRA, sinks.load(name).PACKAGES)


def test_what_the_service_shows_is_written(tmp_path: Path) -> None:
    """Of a run as the command line reads it, by the program that it starts."""
    pytest.importorskip("tensorboard")
    running = trial(4, "running") | {"ended_at": None, "finished": None}
    command = [sys.executable, "-m", "nas.sinks", "tensorboard", str(tmp_path)]
    ran = subprocess.run(
        command, input=json.dumps(RUN | {"trials": [running, *TRIALS]}), capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("4 trials are in")
