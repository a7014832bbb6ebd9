"""Networks in ONNX, with their normalisations folded into the convolutions, as they would be deployed."""

import io
import warnings
from typing import TYPE_CHECKING

from nas.devices import DeviceError

if TYPE_CHECKING:
    from torch import Tensor, nn


def exported(network: "nn.Module", image: "Tensor") -> bytes:
    """The network in ONNX. Raises DeviceError where ONNX has no words for it."""
    import torch

    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # Its successor takes ten to twenty times as long for the same graph, and a search exports every candidate.
            warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based", DeprecationWarning)
            warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
            torch.onnx.export(network, (image,), file, dynamo=False)  # type: ignore[arg-type]  # this exporter takes a file
    except Exception as error:  # whatever it is, the network cannot be measured here
        raise DeviceError(f"the network cannot be exported to ONNX: {error}") from error
    return file.getvalue()
