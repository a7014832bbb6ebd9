"""TensorBoard: a folder of event files. Each trial is a line of its table of hyperparameters; the run has curves over
the trials in the order in which they ended. Needs neither torch nor TensorFlow."""

import math
from pathlib import Path
from typing import Any

from nas.home import written
from nas.sinks import figures, settings

PACKAGES = ("tensorboard",)
EXTRA = "tensorboard"
WHERE = "tensorboard"


def write(run: dict[str, Any], trials: list[dict[str, Any]], where: str) -> str:
    """Into a new folder of the run's in the folder `where`."""
    folder = Path(where) / run["id"]
    if folder.exists():
        raise FileExistsError(f"{folder} exists: delete it, or name another folder")
    best = -math.inf
    with written(Path(where)), _Events(folder) as curves:
        for trial in trials:
            known = figures(trial)
            best = max(best, known.get("reward", best))
            curve = known | ({"best reward": best} if best > -math.inf else {})
            curves.scalars(curve, trial["ended_at"], step=trial["finished"])
            with _Events(folder / f"trial-{trial['number']}") as events:
                events.session(settings(trial), trial)
                events.scalars(known, trial["ended_at"])
    return f"{len(trials)} trials are in {folder}: tensorboard --logdir {where}"


class _Events:
    """A file of events in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder))

    def __enter__(self) -> "_Events":
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def scalars(self, values: dict[str, float], at: float, step: int = 0) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(
            Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()]), at, step
        )

    def session(self, chosen: dict[str, Any], trial: dict[str, Any]) -> None:
        """That a trial began with these choices, and how it ended."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import api_pb2, metadata, summary_v2
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        status = api_pb2.STATUS_SUCCESS if trial["state"] == "done" else api_pb2.STATUS_FAILURE
        end = SessionEndInfo(status=status, end_time_secs=trial["ended_at"])
        value = Summary.Value(
            tag=metadata.SESSION_END_INFO_TAG,
            metadata=metadata.create_summary_metadata(HParamsPluginData(session_end_info=end)),
            tensor=metadata.NULL_TENSOR,
        )
        start = trial["started_at"]
        self._add(summary_v2.hparams_pb(chosen, trial_id=f"trial {trial['number']}", start_time_secs=start), start)
        self._add(Summary(value=[value]), trial["ended_at"])

    def _add(self, summary: Any, at: float, step: int = 0) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=at, step=step, summary=summary))
