"""Records of agents, which measure on other machines, and of the errands that they are sent on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.measurements import Latency
from nas.refusal import Refusal

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
MOST_FACTS, LONGEST_FACT = 32, 200
LONGEST_ERROR = 1000
MOST_ANSWER_BYTES = 2**25  # as JSON; 4,096 images of 1,000 classes have 22 MB of logits


@dataclass(frozen=True, kw_only=True)
class Introduction:
    """What an agent says of itself."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str
    """Its name; it measures as device remote:NAME."""
    fingerprint: dict[str, str]
    """What it is: processor, runtime and versions."""
    instance: str
    """Hexadecimal digits that tell this process of it from an earlier one."""
    edition: str
    """The edition of its program, which has to be the service's own."""

    def __post_init__(self) -> None:
        check_name(self.name)
        facts = [text for fact in self.fingerprint.items() for text in fact]
        if len(self.fingerprint) > MOST_FACTS or any(len(text) > LONGEST_FACT for text in facts):
            detail = f"fingerprint is longer than {MOST_FACTS} facts of {LONGEST_FACT} characters each"
            raise Refusal(detail, field="fingerprint")
        if not re.fullmatch(r"[0-9a-f]{8,64}", self.instance):
            detail = f"instance {self.instance[:80]!r} is not 8 to 64 hexadecimal digits"
            raise Refusal(detail, field="instance")


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A machine that measures as device "remote:NAME"."""

    LIKE: ClassVar[tuple[type, ...]] = (Introduction,)

    name: str
    fingerprint: dict[str, str]
    registered_at: float
    """When it first registered, in seconds since 1970, UTC."""
    heard_at: float
    """When it was last heard of, in seconds since 1970, UTC."""
    online: bool
    """Whether that was in the last half minute."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of an errand: a latency, with the answers by which it is believed, or an error."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    latency: Latency | None = None
    """The latency."""
    logits: str = ""
    """What the network answered: little-endian float32 in Base64."""
    yardstick_logits: tuple[str, ...] = ()
    """What the networks of the yardstick answered, likewise."""
    error: str | None = None
    """Why there is no latency."""

    def __post_init__(self) -> None:
        if (self.latency is None) == (self.error is None):
            raise Refusal("error and latency are both given or both missing: there is one of them", field="error")
        if self.error is not None and len(self.error) > LONGEST_ERROR:
            detail = f"error has {len(self.error):,} characters: give at most {LONGEST_ERROR:,}"
            raise Refusal(detail, field="error")


@dataclass(frozen=True, kw_only=True)
class Errand:
    """A measurement that an agent was asked for."""

    id: str
    """Sixteen hexadecimal digits."""
    agent: str
    """The agent's name."""
    state: Literal["queued", "measuring", "answered"]
    """Where it is."""
    silent_seconds: float
    """Seconds since the agent was last heard of."""
    answer: Answer | None
    """What came of it."""


def check_name(name: str) -> None:
    """Raise Refusal for a name that no agent may have."""
    if not NAME.fullmatch(name):
        detail = f"name {name[:80]!r} is not up to 40 letters, digits, dots, dashes and underscores"
        raise Refusal(detail, field="name")
