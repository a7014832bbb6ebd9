"""An agent as the service knows it, and a parcel for it."""

from api import agent_program
from nas.agents import parcel
from nas.agents.errands import Introduction
from nas.agents.parcel import Parcel
from nas.metering import runtime
from nas.metering.onnx import exported
from tests.networks import IMAGES, mbconv


def small() -> bytes:
    """The parcel of a small network."""
    made, images = runtime.exercised(mbconv(8, 1), IMAGES)
    graph = exported(made, images)
    return parcel.packed(
        Parcel(network=graph, images=images.numpy(), yardstick=graph, yardstick_images=images.numpy(), threads=1)
    )


PI = Introduction(name="pi4", fingerprint={"processor": "Pi"}, instance="a" * 16, edition=agent_program.edition())
