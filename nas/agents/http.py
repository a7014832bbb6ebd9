"""Requests to the service with nothing but the standard library."""

import http.client
import ipaddress
import json
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_SECONDS = 30.0
LATER = (408, 429)  # what is refused because of the moment, and may be tried again


class NotTaken(RuntimeError):
    """The service refuses the request; the message is its own, `status` as in HTTP."""

    def __init__(self, detail: str, status: int) -> None:
        super().__init__(detail)
        self.status = status


def ask(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    most_bytes: int = 2**26,
) -> bytes:
    """What the service answers. Raises NotTaken, and OSError where it is away, in trouble or says more than that."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    address = proxy(url)
    proxies = {"http": address, "https": address} if address else {}
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler(proxies)).open(
            request, timeout=TIMEOUT_SECONDS
        ) as response:
            data: bytes = response.read(most_bytes + 1)
            left: int | None = response.length  # of the answer's announced length; None: it was not announced
    except urllib.error.HTTPError as error:
        with error:
            detail = _detail(error)
        if error.code >= 500 or error.code in LATER:
            raise OSError(detail) from error
        raise NotTaken(detail, error.code) from error
    except http.client.HTTPException as error:
        raise OSError(f"{url} broke off its answer: {error!r}") from error
    if len(data) > most_bytes:
        raise OSError(f"{url} answers with more than {most_bytes:,} bytes")
    if left:
        raise OSError(f"{url} broke off its answer with {left:,} bytes left")
    return data


def proxy(url: str) -> str | None:
    """The proxy that the environment names for `url`; this machine itself is asked without any."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if host == "localhost" or _loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    address = proxies.get(parts.scheme) or proxies.get("all")
    return address if not address or "://" in address else f"http://{address}"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(2**20))["detail"])
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return f"{error.url} answers {error.code} {error.reason}"
