"""The service as a program asks it over HTTP: who signs in how, JSON in both directions, and what is said when it
refuses."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import httpx

from nas import settings
from nas.agents.http import proxy
from nas.refusal import Refusal
from nas.tokens import for_service

PAGE = 1000  # entries that are asked for at once
TIMEOUT_SECONDS = 60

Json: TypeAlias = dict[str, Any]
Report: TypeAlias = Callable[[int], object]


class ServiceError(RuntimeError):
    """The service refused, or could not be reached (`status` None). `faults` has an entry for each wrong value, with
    `pointer`, `value` and `detail`; a run of another kind than was asked for is at the address `elsewhere`."""

    def __init__(
        self,
        detail: str,
        status: int | None = None,
        faults: list[Json] | None = None,
        elsewhere: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail, self.status, self.faults, self.elsewhere = detail, status, faults or [], elsewhere


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file that the service has."""

    name: str
    """What it is to be called."""
    bytes: int
    sha256: str
    address: str


class Service:
    """The service at `url`; NAS_URL, else port 8000 of this machine. Every method raises ServiceError.

    Signs in with `token`, else with NAS_TOKEN, else with what is in the file NAS_TOKEN_FILE; on its own machine with
    the one that `nas serve` keeps there for it.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.url = (url or settings.URL.value).rstrip("/")
        if not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/\S*)?", self.url):
            raise ServiceError(f"{self.url!r} is no address: give one like {settings.URL.default}")
        try:
            token = settings.sendable(token, "token=") if token else for_service(self.url)
        except (OSError, Refusal) as error:
            raise ServiceError(f"the token cannot be read: {error}") from error
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            transport = httpx.HTTPTransport(proxy=proxy(self.url), verify=self.url.startswith("https:"))
        except (ValueError, OSError, ImportError, httpx.InvalidURL) as error:
            variables = ", ".join(setting.name for setting in settings.PROXIES)
            raise ServiceError(
                f"{self.url} cannot be asked as the environment says ({error}): look at {variables} and SSL_CERT_FILE"
            ) from error
        self._http = httpx.Client(base_url=self.url, timeout=TIMEOUT_SECONDS, headers=headers, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def _list(self, address: str | None, name: str, most: int | None = None) -> list[Json]:
        entries: list[Json] = []
        while address and (most is None or len(entries) < most):
            page = self._json("GET", address)
            entries += page[name]
            address = page.get("next")
        return entries[:most]

    def _json(
        self, method: str, address: str, *, body: Any = None, parameters: Json | None = None, **more: Any
    ) -> Json:
        response = self._ask(method, address, body=body, parameters=parameters, **more)
        try:
            answer: Json = response.json()
        except ValueError as error:
            raise ServiceError(f"{self.url} answers, but not as this service: is the address right?") from error
        return answer

    def _ask(
        self, method: str, address: str, *, body: Any = None, parameters: Json | None = None, **more: Any
    ) -> httpx.Response:
        """A parameter that is None is left out."""
        given = {name: value for name, value in (parameters or {}).items() if value is not None}
        try:
            response = self._http.request(method, address, json=body, params=given or None, **more)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        _check(response)
        return response

    def _lines(self, address: str, parameters: Json, silence_seconds: float) -> Iterator[str]:
        """The lines of a stream, as they come; they end where it is refused, breaks off, or is silent for so long."""
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=silence_seconds)
        try:
            with self._http.stream("GET", address, params=parameters, timeout=timeout) as response:
                if not response.is_error:
                    yield from response.iter_lines()
        except httpx.HTTPError:
            return

    def _fetch(self, wanted: Download, part: Path, report: Report | None) -> None:
        """Complete the file `part`, from where it broke off if what is there belongs to the same file."""
        have = part.stat().st_size if part.exists() else 0
        if have >= wanted.bytes:
            have = 0
        tag = f'"{wanted.sha256}"'
        headers = {"Range": f"bytes={have}-", "If-Range": tag} if have else {}
        try:
            with self._http.stream("GET", wanted.address, headers=headers) as response:
                if response.is_error:
                    response.read()
                _check(response)
                done = have if response.status_code == 206 else 0
                with open(part, "ab" if done else "wb") as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                        done += len(chunk)
                        if report:
                            report(done)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> ServiceError:
        if isinstance(error, httpx.TimeoutException):
            return ServiceError(f"{self.url} did not answer within {TIMEOUT_SECONDS} seconds: its log may say why")
        reason = f"no answer from {self.url} ({error})"
        return ServiceError(f"{reason}: is `nas serve` running there? Another address goes into --url or NAS_URL")


def _check(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        problem = response.json()
        detail = problem["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"{response.url} answered {response.status_code} {response.reason_phrase}: is the address right?"
        raise ServiceError(detail, response.status_code) from None
    if response.status_code >= 500 and problem.get("request_id"):
        detail = f"{detail} (request {problem['request_id']})"
    raise ServiceError(detail, response.status_code, problem.get("errors"), problem.get("elsewhere"))


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
