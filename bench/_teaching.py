"""What a teacher is worth: a small network learns from a larger one's answers, besides the labels."""

import sys
from dataclasses import replace

from bench._family import B0
from bench._rows import row
from nas.datasets import ImageSet
from nas.evaluate import evaluate
from nas.measurements import Measurement
from nas.models import checkpoint
from nas.networks.architecture import Architecture
from nas.networks.members import member
from nas.recipes import Recipe
from nas.records import Job
from nas.worth import settled


def teaching(images: ImageSet, recipe: Recipe, name: str) -> None:
    """The member of that name teaches B0. All are scored on held-out training images."""
    teacher = _trained(images, recipe, member(B0, name), 0)
    alone = _trained(images, recipe, B0, 1)
    taught = _trained(images, replace(recipe, teacher=f"file:{checkpoint.artifact(str(teacher.weights))}"), B0, 2)
    row(
        f"accuracy of B0, {alone.params:,} parameters, taught by {name}, {teacher.params:,} parameters, which comes to "
        f"{teacher.accuracy:.4f}; in {taught.train_seconds:.0f} s",
        taught.accuracy or 0.0,
        "of 1",
        peer=f"by labels alone, in {alone.train_seconds:.0f} s",
        peer_value=alone.accuracy,
    )


def _trained(images: ImageSet, recipe: Recipe, architecture: Architecture, number: int) -> Measurement:
    job = Job(
        run="bench-teaching",
        number=number,
        space="mbconv",
        architecture=architecture,
        dataset=images.info.name,
        devices=("cpu",),
        recipe=settled(recipe, images.info),
        save_weights=True,
    )
    measured = evaluate(job, images=images)
    print(
        f"{measured.params:,} parameters: {measured.accuracy:.4f} in {measured.steps} steps, "
        f"{measured.train_seconds:.0f} s",
        file=sys.stderr,
    )
    return measured
