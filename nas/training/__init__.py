"""Training: a network, images and a recipe in; trained weights out. Needs torch and numpy, nothing else."""


class TrainingFailed(RuntimeError):
    """This network was not trained by this recipe here; the message says why and what to change."""


# Training on a CPU frees and takes the same megabytes every step. Left alone, glibc gives them back to the kernel each
# time and faults them in again; with these in the environment before a process starts it keeps them, and a network of
# depthwise convolutions trains 1.7 times as fast. They cost up to 256 MB of address space and slack per process.
ALLOCATOR = {
    "MALLOC_TOP_PAD_": str(256 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
}
