"""Unfinished trainings on disk: one file a job, written after every epoch, gone when the job is done.

What a file holds counts only for the very job it was written for; anything else in its place is left alone with a
warning and the training begins anew.
"""

import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor

from nas import home
from nas.codec import decode, encode
from nas.datasets import DatasetInfo
from nas.measurements import Measurement
from nas.metering.earlier import with_errors
from nas.records import Job
from nas.training.accuracy import Answered
from nas.training.train import State

FORMAT = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """A training that has ended: what it said of the images that it had held out, where weights are averaged also the
    class that it took each for without that; and its weights, if they are to be saved. Where it is judged in 8 bits it
    is those that answered, with scales `per_channel` or not; `single` is what it said before."""

    answered: Answered
    single: Answered | None = None
    per_channel: bool = False
    unaveraged: Tensor | None = None
    weights: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """Where a job's evaluation stands: the costs that were measured before training, the `folds` whose trainings have
    ended, and the training under way, None where it has yet to begin.

    `learning_rate` is the one in force, which is not the recipe's after a divergence.
    """

    costed: Measurement
    learning_rate: float
    train_seconds: float = 0.0
    folds: tuple[Fold, ...] = ()
    state: State | None = None
    inherited: float | None = None
    """The share of its weights that the network began with from a parent, once one has begun."""
    losses: tuple[float, ...] = ()
    """The mean loss of each epoch so far, of the folds in turn."""


class Resume:
    """The file of one job on the images of one dataset."""

    def __init__(self, job: Job, info: DatasetInfo) -> None:
        self.path = home.folder("resume") / f"{quote(job.run, safe='')}-{job.number}.pt"
        self._job = json.dumps([FORMAT, encode(job), encode(info)], sort_keys=True)

    def load(self) -> Unfinished | None:
        """What was saved last for this job, or None."""
        try:
            data = torch.load(self.path, map_location="cpu", weights_only=True)
            if not isinstance(data, Mapping) or data.get("job") != self._job:
                log.warning("%s belongs to another training and is not used", self.path)
                return None
            state = State(
                epoch=data["epoch"],
                network=data["network"],
                optimizer=data["optimizer"],
                average=data["average"],
            )
            costed = json.loads(data["costed"])
            costed["latencies"] = with_errors(costed["latencies"])  # it may be of an earlier version
            return Unfinished(
                costed=decode(Measurement, costed),
                learning_rate=data["learning_rate"],
                train_seconds=data["train_seconds"],
                folds=tuple(map(_fold, data["folds"])),
                state=state,
                losses=tuple(data.get("losses", ())),
            )
        except FileNotFoundError:
            return None
        except Exception as error:  # torch.load raises all sorts of things at a damaged file
            log.warning("%s is damaged (%s) and is not used", self.path, str(error).partition("\n")[0])
            return None

    def save(self, unfinished: Unfinished) -> None:
        """Keep `unfinished`, in the middle of a training, or what was saved before where that is not possible: a
        training goes on without."""
        assert unfinished.state is not None
        file = io.BytesIO()
        data: dict[str, Any] = {
            "job": self._job,
            "costed": json.dumps(encode(unfinished.costed)),
            "learning_rate": unfinished.learning_rate,
            "train_seconds": unfinished.train_seconds,
            "losses": list(unfinished.losses),
            "folds": [
                vars(fold) | {"answered": vars(fold.answered), "single": fold.single and vars(fold.single)}
                for fold in unfinished.folds
            ],
            "epoch": unfinished.state.epoch,
            "network": unfinished.state.network,
            "optimizer": unfinished.state.optimizer,
            "average": unfinished.state.average,
        }
        torch.save(data, file)
        try:
            home.write(self.path, file.getvalue())
        except OSError as error:
            log.warning("this training cannot be resumed if it is interrupted: %s", error)

    def remove(self) -> None:
        """Forget the job, and what processes killed while they wrote left beside its file."""
        for path in [self.path, *self.path.parent.glob(f".{self.path.name}.*")]:
            path.unlink(missing_ok=True)


def _fold(kept: dict[str, Any]) -> Fold:
    single = kept.get("single")
    return Fold(**kept | {"answered": Answered(**kept["answered"]), "single": single and Answered(**single)})
