"""Where networks are trained: on the GPU that this process sees, otherwise on one thread of the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def training_device() -> torch.device:
    """The first visible GPU, or the CPU. Which device latency is measured on is another matter."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def alone(device: torch.device) -> Iterator[None]:
    """One thread, since whoever starts evaluations starts one for each core, and random numbers that nobody else's
    depend on."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_num_threads(threads)
