"""What is sent to an agent, and how it travels."""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from nas.agents import http, measuring, parcel
from nas.agents.parcel import BadParcel, Graph, Parcel
from nas.devices import remote
from nas.metering import DeviceError
from tests.agents import small
from tests.networks import IMAGES, mbconv


class TestParcels:
    def test_a_parcel_comes_back(self) -> None:
        draw = np.random.default_rng(0)
        sent = Parcel(
            network=Graph(b"\0one", draw.standard_normal((2, 3, 4, 4), np.float32)),
            yardstick=tuple(Graph(name, draw.standard_normal((1, 3, 4, 4), np.float32)) for name in (b"two", b"three")),
            threads=3,
        )
        found = parcel.unpacked(parcel.packed(sent))
        assert found.threads == 3
        for one, other in zip((found.network, *found.yardstick), (sent.network, *sent.yardstick), strict=True):
            assert one.onnx == other.onnx
            assert np.array_equal(one.images, other.images)

    def test_what_is_too_large_is_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parcel, "MOST_BYTES", 1000)
        with pytest.raises(DeviceError, match=r"the network and its images have [\d,]+ bytes: 1,000 are sent"):
            remote.at("pi4").latency(mbconv(8, 1), IMAGES)

    def test_anything_else_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = small()
        pickled, partial = io.BytesIO(), io.BytesIO()
        np.savez(pickled, network=np.array([print], dtype=object), images=np.zeros(1))
        np.savez(partial, network=np.zeros(1))
        for data in (b"", b"what?", whole[:-100], pickled.getvalue(), partial.getvalue()):
            with pytest.raises(BadParcel, match="what was sent is no parcel"):
                parcel.unpacked(data)
            assert "no parcel" in measuring.measured(data)["error"]

    def test_what_unfolds_to_more_is_refused_before_it_does(self) -> None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("network.npy", "w") as member:
            for _ in range(129):
                member.write(bytes(2**20))
        assert len(file.getvalue()) < 2**20
        with pytest.raises(BadParcel, match=r"it has more than 134,217,728 bytes"):
            parcel.unpacked(file.getvalue())


@pytest.mark.parametrize(
    ("status", "body", "length", "error", "words"),
    [
        (404, b"<html>", 6, http.NotTaken, "answers 404 Not Found"),
        (422, b'{"detail": "no"}', 16, http.NotTaken, "^no$"),
        (503, b'{"detail": "later"}', 19, OSError, "^later$"),
        (200, b"x" * 11, 11, OSError, "answers with more than 10 bytes"),
        (200, b"x", 5, OSError, "broke off its answer with 4 bytes left"),
    ],
)
def test_what_goes_wrong_between_agent_and_service_is_told_apart(
    status: int, body: bytes, length: int, error: type[Exception], words: str
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor() as pool:
        pool.submit(server.handle_request)
        with pytest.raises(error, match=words):
            http.ask("GET", f"http://127.0.0.1:{server.server_port}/", most_bytes=10)
