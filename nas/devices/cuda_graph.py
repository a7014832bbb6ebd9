"""Latency on the first visible NVIDIA GPU as one CUDA graph: the kernels of torch, started at once and replayed."""

from typing import TYPE_CHECKING, Any

from nas.devices import cuda
from nas.measurements import Latency
from nas.metering import PLAIN, Options
from nas.metering.runtime import Prepared
from nas.networks.architecture import Images

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.cuda_graph
    from nas.devices import Device

    _satisfied: Device = nas.devices.cuda_graph

TAKES = cuda.TAKES
DTYPES = cuda.DTYPES
WARM_UPS = 3  # before the capture, in a stream of their own, as torch asks


def available() -> str | None:
    """As of device "cuda"."""
    return cuda.available("cuda_graph")


def latency(network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
    """Milliseconds for one batch, channels last. `network` stays as it is. Raises DeviceError."""
    return cuda.on_gpu("cuda_graph", "graph replay", network, images, options, _prepared)


def _prepared(network: "nn.Module", image: "Tensor", options: Options) -> Prepared:
    import torch

    gpu: Any = torch.cuda  # streams and graphs carry no types
    network, image = cuda.on_device(network, image, options)
    aside = gpu.Stream()
    aside.wait_stream(gpu.current_stream())
    with torch.inference_mode(), gpu.stream(aside):
        for _ in range(WARM_UPS):
            network(image)
    gpu.current_stream().wait_stream(aside)
    graph = gpu.CUDAGraph()
    with torch.inference_mode(), gpu.graph(graph):
        logits = network(image)

    def call() -> "Tensor":
        graph.replay()
        answer: Tensor = logits
        return answer

    return cuda.timed(call)
