"""Where networks are trained: on the GPU that this process sees, otherwise on one thread of the CPU; and what fits
there."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nas.networks.counts import Counts

# Of each value that a convolution writes, two to five are kept for the way back, as normalisations and activations keep
# theirs; a captured graph has memory of its own, and there may be two beside what was found layer by layer.
ACTIVATION_BYTES = 12 * 4
PARAMETER_BYTES = 5 * 4  # itself, its gradient, two of the optimizer and the average
LIBRARY_BYTES = 1 << 30  # in which convolutions are computed


def training_device() -> torch.device:
    """The first visible GPU, or the CPU. Which device latency is measured on is another matter."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def training_bytes(counted: Counts, batch: int) -> int:
    """What training the network with these counts takes of its device's memory, rather too much than too little: images
    that are in the host's memory instead cost time only where a network is small, and then this is small too."""
    return counted.activations * batch * ACTIVATION_BYTES + counted.params * PARAMETER_BYTES + LIBRARY_BYTES


def free_bytes(device: torch.device) -> int | None:
    """Memory of `device` that is left, with what torch holds of it and does not use; None where it is the host's."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


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
