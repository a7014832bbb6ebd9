"""Processes that train one network together: each takes its part of every batch, and all take the same steps.

The gradients of all parts are added up before a step, as torch's DistributedDataParallel adds them, but after the way
back and not in the middle of it: so a batch may go through the memory in parts and by captured graphs as it does in one
process, and a process that runs out of memory keeps no other waiting for half a gradient.
"""

import datetime
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from nas import settings
from nas.codec import encode
from nas.records import Job
from nas.training import TrainingFailed

PATIENCE = datetime.timedelta(days=1)  # what dies is noticed at once; this is for what scores many images meanwhile
POLL_SECONDS = 0.05
APART = 0x9E3779B1  # between the seeds of two processes; a processor's generator has the last 32 bits of one alone


class Team:
    """This process among those that train together. The first one, of `rank` 0, leads: it alone measures, keeps what
    was trained and tells of it. Alone, it has all of each batch."""

    def __init__(self, rank: int = 0, size: int = 1, group: Any = None) -> None:
        self.rank, self.size, self._group = rank, size, group

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def part(self, batch: Tensor) -> Tensor:
        """Of a batch what this process has, within one image as much as others."""
        return batch.tensor_split(self.size)[self.rank]

    def seed(self, seed: int) -> int:
        """For what is drawn for its part alone."""
        return seed + self.rank * APART

    def meet(self) -> None:
        """Wait until all are here."""
        if self._group:
            self._group.barrier().wait()

    def share(self, network: nn.Module, loss: Tensor, images: int) -> Tensor:
        """Turn the gradients of a mean over these images, and their mean loss, into those over the images of all."""
        if not self._group:
            return loss
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        parts = torch.cat([*(gradient.flatten() for gradient in gradients), loss.reshape(1)]) * images
        total = self._sum(torch.cat([parts, parts.new_tensor([images])]))
        *means, loss = torch.split(total[:-1] / total[-1], [*(gradient.numel() for gradient in gradients), 1])
        for gradient, mean in zip(gradients, means):
            gradient.copy_(mean.view(gradient.shape))
        return loss[0]

    def agree(self, network: nn.Module) -> None:
        """Let running statistics, of which each process has those of its own parts, be their mean."""
        buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
        if not self._group or not buffers:
            return
        means = self._sum(torch.cat([buffer.flatten() for buffer in buffers])) / self.size
        for buffer, mean in zip(buffers, torch.split(means, [buffer.numel() for buffer in buffers])):
            buffer.copy_(mean.view(buffer.shape))

    def _sum(self, values: Tensor) -> Tensor:
        self._group.allreduce([values]).wait()
        return values


ALONE = Team()


def joined(store: Any, rank: int, size: int, device: torch.device) -> Team:
    """The team, once all of its processes, on this machine, have come to the `store`: they speak through NCCL where
    they train on GPUs, otherwise through Gloo."""
    if device.type == "cuda":
        kind: Any = distributed.ProcessGroupNCCL
        options = kind.Options()
    else:
        kind = distributed.ProcessGroupGloo
        options = kind._Options()
        options._devices = [kind.create_device(hostname="127.0.0.1")]  # which nobody else reaches
    options._timeout = PATIENCE
    return Team(rank, size, kind(store, rank, size, options))


@contextmanager
def gathered(job: Job, device: torch.device) -> Iterator[Team]:
    """The team of the job, led by this process; the others are started here, and end with it. Raises TrainingFailed
    where one of them cannot begin, or dies."""
    if job.processes == 1:
        yield ALONE
        return
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        others = [stack.enter_context(_started(job, rank, folder)) for rank in range(1, job.processes)]
        try:
            store = meeting(folder, job.processes)
            while not all(store.check([ready(rank)]) for rank in range(1, job.processes)):
                if any(other.poll() is not None for other in others):
                    raise RuntimeError("it could not begin")
                time.sleep(POLL_SECONDS)
            yield joined(store, 0, job.processes, device)
        except RuntimeError as error:  # a team breaks up where one of it dies
            if (reason := _reason(others, folder)) is None:
                raise
            raise TrainingFailed(f"of {job.processes} processes that train together {reason}") from error


def meeting(folder: Path, size: int) -> Any:
    """Where the processes of a team find each other."""
    return distributed.FileStore(str(folder / "meeting"), size)  # type: ignore[attr-defined]


def ready(rank: int) -> str:
    """What a process leaves at the meeting when it has all that it trains on."""
    return f"ready {rank}"


def complaint(folder: Path, rank: int) -> Path:
    """Where a process says why it ended."""
    return folder / f"complaint-{rank}"


@contextmanager
def _started(job: Job, rank: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "nas.training.assistant", str(rank), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, text=True, env=settings.environment(OMP_NUM_THREADS="1")
    ) as other:
        assert other.stdin is not None
        try:
            # It reads until there is no more, which is when this process is gone, however it went.
            other.stdin.write(json.dumps(encode(job)) + "\n")
            other.stdin.flush()
            yield other
        finally:
            other.kill()


def _reason(others: Sequence[subprocess.Popen[str]], folder: Path) -> str | None:
    """Which of the others has ended before its work was done, and why; None where none has."""
    for rank, other in enumerate(others, 1):
        try:
            status = other.wait(1)  # it may just be ending
        except subprocess.TimeoutExpired:
            continue
        if status == 0:
            continue
        said = complaint(folder, rank)
        return f"number {rank} has ended: {said.read_text() if said.exists() else f'exit status {status}'}"
    return None
