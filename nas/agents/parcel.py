"""What an agent is sent: networks in ONNX, the images to run them on, and how many threads to take.

On its way it is a NumPy archive of plain arrays: nothing in it is ever executed but the networks, by ONNX Runtime.
"""

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy import ndarray

MOST_BYTES = 2**27  # some 33 million parameters


class BadParcel(ValueError):
    """Bytes that are no parcel; the message says what is wrong with them."""


class Graph(NamedTuple):
    """A network in ONNX, and the images that it is run on."""

    onnx: bytes
    images: "ndarray"


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """The network to be measured and those of the yardstick to compare it with, each with a batch of images (float32,
    NCHW)."""

    network: Graph
    yardstick: tuple[Graph, ...]
    threads: int


def packed(parcel: Parcel) -> bytes:
    """Raises BadParcel for one that is too large."""
    import numpy as np

    file = io.BytesIO()
    arrays = {"threads": np.array(parcel.threads)}
    for number, graph in enumerate((parcel.network, *parcel.yardstick)):
        arrays |= {f"network_{number}": np.frombuffer(graph.onnx, np.uint8), f"images_{number}": graph.images}
    np.savez(file, **arrays)  # type: ignore[arg-type]  # its overload takes a flag by keyword as well
    data = file.getvalue()
    if len(data) > MOST_BYTES:
        raise BadParcel(f"the network and its images have {len(data):,} bytes: {MOST_BYTES:,} are sent at most")
    return data


def unpacked(data: bytes) -> Parcel:
    """The parcel that `packed` gave `data` for. Raises BadParcel."""
    import numpy as np

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(file.file_size for file in archive.infolist()) > MOST_BYTES:  # once they are decompressed
                raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            network, *yardstick = (
                Graph(arrays[f"network_{number}"].tobytes(), arrays[f"images_{number}"])
                for number in range(len(arrays.files) // 2)
            )
            if not yardstick:
                raise ValueError("it has no yardstick")
            return Parcel(network=network, yardstick=tuple(yardstick), threads=int(arrays["threads"]))
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise BadParcel(f"what was sent is no parcel: {error}") from error
