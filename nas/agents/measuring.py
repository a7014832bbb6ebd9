"""The process of an agent in which networks run: an empty folder, an empty environment, so much memory and time.

It answers one parcel after another, so that what it has learnt of the yardstick on this machine is kept.
"""

import base64
import contextlib
import json
import platform
import struct
import subprocess
import sys
import tempfile
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import nas
from nas import settings
from nas.agents import graph, parcel
from nas.agents.parcel import BadParcel, Parcel
from nas.metering import DeviceError, profile
from nas.metering.host import processor
from nas.metering.meter import Yardstick, meter
from nas.metering.onnx import running

if TYPE_CHECKING:
    from numpy import ndarray

LONGEST_SECONDS = 600.0  # for a network; the slowest are measured eight times, on the slowest machines
MOST_MEMORY_BYTES = 4 * 2**30  # of addresses, which are more than what is used of them
LONGEST_ERROR = 900  # characters
_LENGTH = struct.Struct("<Q")
_Key: TypeAlias = tuple[bytes, bytes, tuple[int, ...]]  # a network, its images, their shape


class Measuring:
    """That process, as the agent has it: begun when it is needed, and once more where it ended."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="nas-agent-")

    def answered(self, data: bytes) -> dict[str, Any]:
        """The answer to the errand with this parcel: a latency, or the error why there is none."""
        if self._child is not None and self._child.poll() is not None:
            self._end()
        child = self._child = self._child or self._begin()
        assert child.stdin is not None
        assert child.stdout is not None
        overdue, began = threading.Timer(LONGEST_SECONDS, child.kill), time.monotonic()
        overdue.start()
        try:
            _send(child.stdin, data)
            answer: dict[str, Any] = json.loads(_received(child.stdout))
            return answer
        except (OSError, EOFError):
            code = self._end()
            late = time.monotonic() - began >= LONGEST_SECONDS
            how = "took too long" if late else f"ended the process that runs it (exit code {code})"
            return {"error": f"the network {how}: does it fit the memory of this machine?"}
        finally:
            overdue.cancel()

    def close(self) -> None:
        self._end()
        self._folder.cleanup()

    def _end(self) -> int:
        """End the process; its exit code."""
        child, self._child = self._child, None
        if child is None:
            return 0
        child.kill()
        code = child.wait()
        for stream in (child.stdin, child.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # what it did not receive any more
                stream.close()
        return code

    def _begin(self) -> "subprocess.Popen[bytes]":
        assert nas.__file__
        place = str(Path(nas.__file__).resolve().parent.parent)  # a folder, or the agent's one file
        packages = [path for path in sys.path if path and path != place]
        code = f"import sys; sys.path[:] = {[place, *packages]!r}; from nas.agents.measuring import main; main()"
        return subprocess.Popen(
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder.name,
            env=_environment() | {"HOME": self._folder.name, "TMPDIR": tempfile.gettempdir()},
        )


def _environment() -> dict[str, str]:
    """What libraries need to work as they do here, and no secrets."""
    wanted = ("PATH", "LD_LIBRARY_PATH", "LANG", "OMP_", "OPENBLAS_", "MKL_")
    return {name: value for name, value in settings.environment().items() if name.startswith(wanted)}


def main() -> None:
    """Answer the parcels on standard input, until it ends."""
    _limit()
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a runtime prints is no answer
    try:
        while True:
            _send(answers, json.dumps(measured(_received(sys.stdin.buffer))).encode())
    except EOFError:
        return


def measured(data: bytes) -> dict[str, Any]:
    """The answer to a parcel, as JSON has it."""
    try:
        return _measured(parcel.unpacked(data))
    except Exception as error:  # whatever the runtime raises; the next network may be another matter
        named = isinstance(error, DeviceError | BadParcel)
        return {"error": (str(error) if named else f"{type(error).__name__}: {error}")[:LONGEST_ERROR]}


def _measured(sent: Parcel) -> dict[str, Any]:
    for model in (sent.network, *sent.yardstick):
        graph.check(model.onnx)
    network = running(*sent.network, sent.threads)
    keys = tuple((each.onnx, each.images.tobytes(), each.images.shape) for each in sent.yardstick)
    yardstick, compared = _yardstick(keys, sent.threads)
    logits = _text(network.answer())
    times = meter(network.run, yardstick)
    told = {**vars(times), "shares": profile.shares(*sent.network, sent.threads), "fingerprint": fingerprint()}
    return {
        "latency": {"device": "remote", **told},
        "logits": logits,
        "yardstick_logits": compared,
    }


def _text(logits: "ndarray") -> str:
    return base64.b64encode(logits.astype("<f4").tobytes()).decode()


@lru_cache(maxsize=4)
def _yardstick(networks: tuple[_Key, ...], threads: int) -> tuple[Yardstick, list[str]]:
    """What the networks of many errands are compared with, and its logits."""
    import numpy as np

    ready = [
        running(onnx, np.frombuffer(images, np.float32).reshape(shape), threads) for onnx, images, shape in networks
    ]
    return Yardstick(*(each.run for each in ready)), [_text(each.answer()) for each in ready]


def fingerprint() -> dict[str, str]:
    """What latencies are measured on here."""
    import onnxruntime

    return {
        "processor": processor(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "runtime": f"onnxruntime {onnxruntime.__version__}",
        "python": platform.python_version(),
    }


def _limit() -> None:
    """No more memory than that, where the system can say so."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # Windows has none, macOS none of these
        return


def _send(stream: "BinaryIO | Any", data: bytes) -> None:
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def _received(stream: "BinaryIO | Any") -> bytes:
    """What `_send` sent. Raises EOFError where the other side has ended."""
    data: bytes = b""
    for size in (_LENGTH.size, None):
        size = _LENGTH.unpack(data)[0] if size is None else size
        data = stream.read(size)
        if len(data) < size:
            raise EOFError
    return data
