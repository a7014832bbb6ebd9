"""Where the service meets the outside: the names that it has, the proxies that it believes, and who has to sign in."""

import ipaddress
import re
from dataclasses import dataclass

from nas.refusal import Refusal
from nas.tokens import LOOPBACK

HARMLESS = ("GET", "HEAD", "OPTIONS")  # methods that change nothing
ANYWHERE = ("", "0.0.0.0", "::")  # addresses that stand for all of a machine's


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many connections there may be at once, and of those how many of one client. This machine's own are a
    browser, workers and agents together: they may have most, and leave some to others."""

    connections: int = 2000
    of_one: int = 100
    of_this_machine: int = 1500

    @classmethod
    def within(cls, connections: int) -> "Limits":
        """As usual, or fewer where the system allows no more."""
        most = min(connections, cls.connections)
        return cls(connections=most, of_one=min(cls.of_one, most // 2), of_this_machine=3 * most // 4)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """How a service is reached. `bound` is the address that it listens at; `hosts` are further names that it has,
    `proxies` the addresses or networks whose forwarded headers it believes, and `prefix` the path that it lives under.
    Without `login` whoever reaches it may do everything, which only a loopback address may allow. `agent_secret` is
    taken as a token of scope "agent", and `limits` are those of clients."""

    login: bool = True
    bound: str = "127.0.0.1"
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    prefix: str = ""
    agent_secret: str | None = None
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not self.login and self.bound not in LOOPBACK:
            raise Refusal(
                f"a service at {self.bound or '0.0.0.0'} without login would be anybody's: leave out --no-login, or "
                "listen at 127.0.0.1"
            )
        for proxy in self.proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise Refusal(
                    f"proxy {proxy!r} is no address or network: give one like 10.0.0.2 or 10.0.0.0/24"
                ) from error
        if self.prefix and not re.fullmatch(r"(/[\w.~-]+)+", self.prefix):
            raise Refusal(f"prefix {self.prefix!r} is no path: give one like /nas")

    def answers_to(self, host: str) -> bool:
        """Whether a Host header names this service. A page that an attacker's name was rebound to this address sends
        that name, so names have to be known; numeric addresses cannot be rebound."""
        name = hostname(host)
        if name in LOOPBACK or name == self.bound.lower() or name in map(str.lower, self.hosts):
            return True
        return self.bound in ANYWHERE and _is_address(name)

    def believes(self, peer: str) -> bool:
        """Whether a peer is a proxy of ours."""
        if not self.proxies or not _is_address(peer):
            return False
        address = ipaddress.ip_address(peer)
        return any(address in ipaddress.ip_network(proxy) for proxy in self.proxies)

    def most_of(self, peer: str) -> int:
        """How many connections a client may have, or requests at once. A proxy of ours stands for many clients."""
        if self.believes(peer):
            return self.limits.connections
        ours = _is_address(peer) and _address(peer).is_loopback
        return self.limits.of_this_machine if ours else self.limits.of_one

    def client(self, peer: str) -> str:
        """What a client at that address is counted as. Of IPv6 whoever has one address has a network of them."""
        if _is_address(peer) and (address := _address(peer)).version == 6:
            return str(ipaddress.ip_network((int(address), 64), strict=False))
        return peer


def hostname(host: str) -> str:
    """The name in a Host header, without its port."""
    match = re.fullmatch(r"\[([^\]]*)\](?::\d*)?|([^:]*)(?::\d*)?", host)
    return ((match[1] or match[2] or "") if match else host).lower().removesuffix(".")


def _address(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """That address; an IPv4 one also where it is written as one of IPv6."""
    address = ipaddress.ip_address(peer)
    return getattr(address, "ipv4_mapped", None) or address


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
