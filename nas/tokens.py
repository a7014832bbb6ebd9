"""Tokens: who may use a service, and for what.

A token is "nas_ID_SECRET". The ID is public and finds it; of the secret only a SHA-256 is kept, which is enough for one
that is drawn from 256 bits and no password.
"""

import hashlib
import hmac
import os
import re
import secrets
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args
from urllib.parse import urlsplit

from nas import home, settings
from nas.refusal import Refusal, one_line, positive

Scope = Literal["agent", "read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# What else each one allows. An agent's machine sees networks that it is to measure, and nothing more.
COVERS: dict[Scope, frozenset[Scope]] = {
    "agent": frozenset({"agent"}),
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write", "agent"}),
    "admin": frozenset(SCOPES),
}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
LONGEST_OWNER = 80  # characters
MOST_DAYS = 36_500
_FORM = re.compile(r"nas_([0-9a-f]{12})_([\w-]{43})")


@dataclass(frozen=True, kw_only=True)
class Token:
    """What is known of a token, whose secret is told once, when it is made."""

    id: str
    """Twelve hexadecimal digits, by which it is found."""
    owner: str
    """Whose it is."""
    scope: Scope
    """What it is for. "agent": to measure for others; "read": to look; "write": to submit and change runs as well;
    "admin": to make and revoke tokens as well."""
    created_at: float
    """When it was made, in seconds since 1970, UTC."""
    expires_at: float | None = None
    """When it ends, in seconds since 1970, UTC. Null: never."""
    session: str | None = None
    """The id of the token whose owner signed in with it, where this one is a browser's."""

    def allows(self, scope: Scope) -> bool:
        return scope in COVERS[self.scope]


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """A token that is wanted."""

    LIKE: ClassVar[tuple[type, ...]] = (Token,)

    owner: str
    """Whose it is to be: a name of up to 80 characters."""
    scope: Scope = "write"
    days: float | None = None
    """Days after which it ends. Null: it does not."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "owner", owner_name(self.owner))
        positive(self, "days", most=MOST_DAYS)


def owner_name(name: str) -> str:
    """An owner's name as it is kept, which is one for all ways to spell its accents in Unicode. Raises Refusal where it
    may be none."""
    name = unicodedata.normalize("NFC", name)
    if not (name.strip() and len(name) <= LONGEST_OWNER and one_line(name)):
        detail = f"owner {name[:LONGEST_OWNER]!r} is not a name of 1 to {LONGEST_OWNER} characters"
        raise Refusal(detail, field="owner")
    return name


def drawn() -> tuple[str, str, str]:
    """A new token: its id, the whole of it, and the digest to keep."""
    name, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return name, f"nas_{name}_{secret}", digest(secret)


def parts(token: str) -> tuple[str, str] | None:
    """The id and the secret of a token; None for text that is none."""
    match = _FORM.fullmatch(token)
    return (match[1], match[2]) if match else None


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def same(secret: str, kept: str) -> bool:
    """Whether `kept` is the digest of `secret`, found in a time that tells nothing of either."""
    return hmac.compare_digest(digest(secret), kept)


def for_service(url: str) -> str | None:
    """The token that this user has for the service at `url`: NAS_TOKEN, else what is in NAS_TOKEN_FILE, else what
    `nas serve` keeps on this machine, for a service on it and for no other. Raises Refusal and PermissionError as
    `from_file` does, and FileNotFoundError where NAS_TOKEN_FILE names no token."""
    if given := settings.sendable(settings.TOKEN.value, settings.TOKEN.name):
        return given
    if named := settings.TOKEN_FILE.value:
        if token := from_file(Path(named)):
            return token
        detail = f"there is none in {named}, which {settings.TOKEN_FILE.name} names: name another file, or unset it"
        raise FileNotFoundError(detail)
    return from_file(home.token_file()) if urlsplit(url).hostname in LOOPBACK else None


def from_file(path: Path) -> str | None:
    """The token in a file that its owner alone may read; None where there is no file. Raises PermissionError for one
    that others may read as well, Refusal for what no request can carry."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1000)
    except FileNotFoundError:
        return None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise PermissionError(f"{path} can be read by others than its owner: chmod 600 {path}")
    return settings.sendable(text, str(path))


def to_file(path: Path, token: str) -> None:
    """Keep a token where its owner alone may read it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)  # one that was there before may have had another mode
        file.write(f"{token}\n")
