"""Training: a network, images and a recipe in; trained weights out. Needs torch and numpy, nothing else."""


class TrainingFailed(RuntimeError):
    """This network was not trained by this recipe here; the message says why and what to change."""
