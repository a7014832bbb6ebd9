"""Under which names the service answers, what it believes of proxies, and what it takes from pages of other sites."""

from collections.abc import Iterator

import httpx
import pytest

from api.app import create_app
from api.edge import Edge, hostname
from nas.refusal import Refusal
from nas.store import Store
from tests.service import OPEN, serving


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('edge')}/nas.db")
    yield store
    store.close()


@pytest.fixture(scope="module")
def url(store: Store) -> Iterator[str]:
    with serving(create_app(store, OPEN)) as url:
        yield url


def asked(method: str, url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.request(method, url, headers=headers, timeout=60)


class TestHosts:
    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost@x"])
    @pytest.mark.parametrize("path", ["/", "/app.js", "/v1/runs", "/v1/openapi.json"])
    def test_a_name_that_was_rebound_to_this_machine_reads_nothing(self, url: str, host: str, path: str) -> None:
        for method in ("GET", "POST"):
            headers = {"Host": host, "Origin": f"http://{host}"}
            response = asked(method, url + path, headers=headers)
            assert response.status_code == 421, response.text
            assert response.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize(
        ("edge", "known", "strange"),
        [
            (Edge(), ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "localhost."], ["10.0.0.2", "nas"]),
            (Edge(bound="10.0.0.2"), ["10.0.0.2:80"], ["10.0.0.3", "nas.example.com"]),
            (Edge(bound="0.0.0.0"), ["10.0.0.2:80", "[fe80::1]:80"], ["nas.example.com", "10.0.0.2.example"]),
            (Edge(hosts=("NAS.example.com",)), ["nas.example.com:443"], ["example.com", "x.nas.example.com"]),
        ],
    )
    def test_names_are_known_by_what_is_listened_at_and_by_setting(
        self, edge: Edge, known: list[str], strange: list[str]
    ) -> None:
        assert all(map(edge.answers_to, known))
        assert not any(map(edge.answers_to, strange))

    def test_a_host_is_told_from_its_port(self) -> None:
        hosts = ["a.b:1", "a.b", "[::1]:8", "[::1]", "::1", "a:b:c"]
        assert list(map(hostname, hosts)) == ["a.b", "a.b", "::1", "::1", "::1", "a:b:c"]


class TestPages:
    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_of_other_sites_neither_read_nor_write(self, url: str, site: str) -> None:
        for method in ("GET", "POST"):
            response = asked(method, f"{url}/v1/runs", headers={"Sec-Fetch-Site": site})
            assert response.status_code == 403
        assert asked("GET", url, headers={"Sec-Fetch-Site": site}).status_code == 200  # a link to the dashboard

    def test_are_marked_so_that_they_load_nothing_from_elsewhere(self, url: str) -> None:
        for path in ("/", "/v1/runs", "/v1/nothing"):
            headers = asked("GET", url + path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"


class TestProxies:
    TOLD = {"Host": "127.0.0.1:1", "X-Forwarded-Host": "nas.example.com", "X-Forwarded-Proto": "https"}

    def test_one_of_ours_is_believed(self, store: Store) -> None:
        with serving(create_app(store, Edge(login=False, proxies=("127.0.0.0/8",), hosts=("nas.example.com",)))) as url:
            told = self.TOLD | {"Origin": "https://nas.example.com"}
            assert asked("POST", f"{url}/v1/searches", headers=told).status_code != 403
            other = self.TOLD | {"Origin": "https://127.0.0.1:1"}
            assert asked("POST", f"{url}/v1/searches", headers=other).status_code == 403
            stray = self.TOLD | {"X-Forwarded-Host": "evil.example"}
            assert asked("GET", f"{url}/v1/runs", headers=stray).status_code == 421

    def test_nobody_else_is(self, store: Store) -> None:
        with serving(create_app(store, Edge(login=False, proxies=("10.0.0.1",), hosts=("nas.example.com",)))) as url:
            told = self.TOLD | {"Origin": "https://nas.example.com"}
            assert asked("POST", f"{url}/v1/searches", headers=told).status_code == 403
            assert asked("GET", f"{url}/v1/runs", headers=self.TOLD | {"Host": "evil.example"}).status_code == 421

    @pytest.mark.parametrize("stripped", [True, False])
    def test_a_service_lives_under_a_path(self, store: Store, stripped: bool) -> None:
        """Whether the proxy takes the path away or not."""
        with serving(create_app(store, Edge(login=False, prefix="/nas"))) as url:
            before = "" if stripped else "/nas"
            assert asked("GET", f"{url}{before}/v1/runs").status_code == 200
            assert "<title>" in asked("GET", f"{url}{before}/").text
            assert asked("GET", f"{url}{before}/app.js").status_code == 200
            assert asked("GET", f"{url}{before}/v1/openapi.json").json()["servers"] == [{"url": "/nas"}]
            assert asked("GET", f"{url}/nas").headers["location"] == "/nas/"
            assert asked("GET", f"{url}/nasty/v1/runs").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"login": False, "bound": "0.0.0.0"}, "without login would be anybody's"),
        ({"login": False, "bound": "10.0.0.2"}, "without login would be anybody's"),
        ({"proxies": ("nginx",)}, "proxy 'nginx' is no address"),
        ({"prefix": "nas"}, "prefix 'nas' is no path"),
    ],
)
def test_an_edge_that_cannot_be_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        Edge(**wrong)  # type: ignore[arg-type]
