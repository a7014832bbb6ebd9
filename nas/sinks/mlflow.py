"""MLflow: an experiment in a tracking store or at a tracking server, of which each trial is a run."""

from typing import Any

from nas.sinks import figures, settings

PACKAGES = ("mlflow",)
EXTRA = "mlflow"
WHERE = "sqlite:///mlflow.db"
ENDS = {"done": "FINISHED", "refused": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}


def write(run: dict[str, Any], trials: list[dict[str, Any]], where: str) -> str:
    """A new experiment at the tracking URI `where`: sqlite:///mlflow.db, say, or a server's address."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
    from mlflow.exceptions import MlflowException

    name = f"{run['name'] or run['kind']} {run['id']}"
    try:
        client = MlflowClient(tracking_uri=where)
        experiment = client.create_experiment(name, tags={"nas.run": run["id"], "nas.kind": run["kind"]})
        for trial in trials:
            begun, ended = (int(1000 * trial[moment]) for moment in ("started_at", "ended_at"))
            tags = {"nas.trial": str(trial["number"]), "nas.state": trial["state"]}
            own = client.create_run(experiment, begun, tags, run_name=f"trial {trial['number']}").info.run_id
            client.log_batch(
                own,
                metrics=[Metric(_plain(key), value, ended, 0) for key, value in figures(trial).items()],
                params=[Param(_plain(key), str(value)) for key, value in settings(trial).items()],
            )
            client.set_terminated(own, ENDS[trial["state"]], ended)
    except MlflowException as error:
        raise OSError(f"{where} does not take it: {error.message}") from error
    return f"{len(trials)} trials are in experiment {name!r}: mlflow ui --backend-store-uri {where}"


def _plain(name: str) -> str:
    """As MLflow takes names: a device's options have signs that it does not."""
    return "".join(sign if sign.isalnum() or sign in "_-./ " else "-" for sign in name)
