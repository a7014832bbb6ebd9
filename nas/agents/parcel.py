"""What an agent is sent: two networks in ONNX, the images to run them on, and how many threads to take.

On its way it is a NumPy archive of plain arrays: nothing in it is ever executed but the networks, by ONNX Runtime.
"""

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import ndarray

MOST_BYTES = 2**27  # some 33 million parameters


class BadParcel(ValueError):
    """Bytes that are no parcel; the message says what is wrong with them."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """The network to be measured and the yardstick to compare it with, each with a batch of images (float32, NCHW)."""

    network: bytes
    images: "ndarray"
    yardstick: bytes
    yardstick_images: "ndarray"
    threads: int


def packed(parcel: Parcel) -> bytes:
    """Raises BadParcel for one that is too large."""
    import numpy as np

    file = io.BytesIO()
    np.savez(
        file,
        network=np.frombuffer(parcel.network, np.uint8),
        images=parcel.images,
        yardstick=np.frombuffer(parcel.yardstick, np.uint8),
        yardstick_images=parcel.yardstick_images,
        threads=np.array(parcel.threads),
    )
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
            return Parcel(
                network=arrays["network"].tobytes(),
                images=arrays["images"],
                yardstick=arrays["yardstick"].tobytes(),
                yardstick_images=arrays["yardstick_images"],
                threads=int(arrays["threads"]),
            )
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise BadParcel(f"what was sent is no parcel: {error}") from error
