"""Latency on the first visible NVIDIA GPU in TensorRT, where it is installed: pip install 'nas-service[tensorrt]'."""

import copy
from typing import TYPE_CHECKING, Any

from nas.devices import cuda
from nas.extras import missing
from nas.measurements import Latency
from nas.metering import PLAIN, DeviceError, Options
from nas.metering.onnx import exported
from nas.metering.runtime import Prepared
from nas.networks.architecture import Images

if TYPE_CHECKING:
    from torch import Tensor, nn

    import nas.devices.tensorrt
    from nas.devices import Device

    _satisfied: Device = nas.devices.tensorrt

TAKES = cuda.TAKES
DTYPES = ("float32", "float16")


def available() -> str | None:
    """As of device "cuda", and TensorRT has to be installed. It is not imported."""
    return cuda.available("tensorrt") or missing("device 'tensorrt'", "tensorrt", "tensorrt")


def latency(network: "nn.Module", images: Images, options: Options = PLAIN) -> Latency:
    """Milliseconds for one batch; building takes some seconds before. `network` stays as it is. Raises DeviceError."""
    reason = available()
    if reason:
        raise DeviceError(reason)
    import tensorrt

    return cuda.on_gpu("tensorrt", f"TensorRT {tensorrt.__version__}", network, images, options, _prepared)


def _prepared(network: "nn.Module", image: "Tensor", options: Options) -> Prepared:
    import tensorrt
    import torch

    gpu: Any = torch.cuda  # streams carry no types
    network, image = typed(network, image, options)
    executable = engine(exported(network, image))
    names = [executable.get_tensor_name(number) for number in range(executable.num_io_tensors)]
    names.sort(key=lambda name: executable.get_tensor_mode(name) == tensorrt.TensorIOMode.OUTPUT)
    logits = torch.empty(tuple(executable.get_tensor_shape(names[-1])), dtype=image.dtype, device="cuda")
    tensors = image.to("cuda"), logits
    context = executable.create_execution_context()
    for name, tensor in zip(names, tensors):
        context.set_tensor_address(name, tensor.data_ptr())
    stream = gpu.Stream()  # in the default one TensorRT would wait for the GPU before and after
    stream.wait_stream(gpu.current_stream())

    def call() -> "Tensor":
        if not context.execute_async_v3(stream.cuda_stream):
            raise DeviceError("TensorRT cannot run the network that it has built")
        return tensors[-1]  # the context knows only their addresses, so that they have to live as long as this

    return cuda.timed(call, stream)


def typed(network: "nn.Module", image: "Tensor", options: Options) -> tuple["nn.Module", "Tensor"]:
    """A copy of the network, and the image, in the wanted precision, which TensorRT takes from the graph."""
    import torch

    dtype = getattr(torch, options.dtype)
    return copy.deepcopy(network).to(dtype), image.to(dtype)


def engine(graph: bytes) -> Any:
    """The ONNX graph as TensorRT runs it, in the precision that its tensors have. Raises DeviceError."""
    import tensorrt

    errors: list[str] = []

    class Logger(tensorrt.ILogger):  # type: ignore[misc]  # it carries no types
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (tensorrt.ILogger.Severity.ERROR, tensorrt.ILogger.Severity.INTERNAL_ERROR):
                errors.append(message)

    logger = Logger()
    builder = tensorrt.Builder(logger)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(graph):
        reasons = "; ".join(parser.get_error(number).desc() for number in range(parser.num_errors))
        raise DeviceError(f"TensorRT does not take the network: {reasons}")
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    executable = None if plan is None else tensorrt.Runtime(logger).deserialize_cuda_engine(plan)
    if executable is None:
        raise DeviceError(f"TensorRT cannot build the network: {'; '.join(errors) or 'it does not say why'}")
    return executable
