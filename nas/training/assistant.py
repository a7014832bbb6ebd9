"""A process that trains with another: `python -m nas.training.assistant RANK FOLDER < job.json`

It is started by the process that leads, meets it in that folder, and ends with it.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import TextIO

import torch

from nas import datasets, home, logs
from nas.codec import decode
from nas.measurements import Measurement
from nas.networks.counts import counts
from nas.records import Job
from nas.training import folds
from nas.training.device import alone, training_device
from nas.training.folds import Work
from nas.training.parts import prepared
from nas.training.resume import Resume, Unfinished
from nas.training.team import complaint, joined, meeting, ready


def assist(job: Job, rank: int, folder: Path) -> None:
    """Take every step of the job's trainings, from where the leader is, with this rank's part of each batch."""
    assert job.dataset is not None, "only trainings have assistants"
    device = training_device()
    if device.type == "cuda":
        torch.cuda.set_device(rank)
    images = datasets.load(job.dataset, job.read_at, home.folder("datasets"))
    with alone(device):
        recipe, divided = prepared(job, images)
        resume = Resume(job, images.info)
        counted = counts(job.architecture)
        costed = Measurement(params=counted.params, mult_adds=counted.mult_adds)
        # Nothing of it is written before all have met.
        stand = resume.load() or Unfinished(costed=costed, learning_rate=recipe.learning_rate)
        store = meeting(folder, job.processes)
        store.set(ready(rank), "")
        team = joined(store, rank, job.processes, device)
        work = Work(
            job=job, recipe=recipe, images=images, device=device, resume=resume, report=lambda _: None, team=team
        )
        folds.assisted(work, divided, stand)


def _end_with(leader: TextIO) -> None:
    """What it writes ends when it does, before the work is done."""
    leader.read()
    os._exit(1)


def main() -> int:
    logs.begin()
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    job = decode(Job, json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
    try:
        with logs.about(run=job.run, trial=job.number):
            assist(job, rank, folder)
    except Exception as error:  # whatever it is, the leader is to say so
        complaint(folder, rank).write_text(f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
