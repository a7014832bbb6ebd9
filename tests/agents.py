"""An agent as the service knows it, and a parcel for it."""

from api import agent_program
from nas.agents import parcel
from nas.agents.errands import Introduction
from nas.agents.parcel import Graph, Parcel
from nas.metering import runtime
from nas.metering.onnx import exported
from tests.networks import IMAGES, mbconv


def small() -> bytes:
    """The parcel of a small network."""
    made, images = runtime.exercised(mbconv(8, 1), IMAGES)
    network = Graph(exported(made, images), images.numpy())
    return parcel.packed(Parcel(network=network, yardstick=(network,), threads=1))


PI = Introduction(name="pi4", fingerprint={"processor": "Pi"}, instance="a" * 16, edition=agent_program.edition())
