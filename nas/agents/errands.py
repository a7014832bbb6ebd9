"""Records of agents, which measure on other machines, and of the errands that they are sent on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.records import Latency
from nas.refusal import Refusal

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
MOST_FACTS, LONGEST_FACT = 32, 200
LONGEST_ERROR = 1000
MOST_ANSWER_BYTES = 2**25  # as JSON; 4,096 images of 1,000 classes have 22 MB of logits


@dataclass(frozen=True, kw_only=True)
class Introduction:
    """What an agent says of itself: `fingerprint` is its processor, runtime and versions, `instance` tells this process
    of it from an earlier one, and `edition` is of its program, which has to be the service's own."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: str
    fingerprint: dict[str, str]
    instance: str
    edition: str

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
    """A machine that measures as device "remote:NAME"; `online` where it was heard of in the last half minute. Times
    are seconds since 1970, UTC."""

    name: str
    fingerprint: dict[str, str]
    registered_at: float
    heard_at: float
    online: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of an errand: the latency and, as little-endian float32 in Base64, what the network and the yardstick
    answered; or else the error."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    latency: Latency | None = None
    logits: str = ""
    yardstick_logits: str = ""
    error: str | None = None

    def __post_init__(self) -> None:
        if (self.latency is None) == (self.error is None):
            raise Refusal("error and latency are both given or both missing: there is one of them", field="error")
        if self.error is not None and len(self.error) > LONGEST_ERROR:
            detail = f"error has {len(self.error):,} characters: give at most {LONGEST_ERROR:,}"
            raise Refusal(detail, field="error")


@dataclass(frozen=True, kw_only=True)
class Errand:
    """A measurement that an agent was asked for; `silent_seconds` is how long nothing was heard of the agent."""

    id: str
    agent: str
    state: Literal["queued", "measuring", "answered"]
    silent_seconds: float
    answer: Answer | None


def check_name(name: str) -> None:
    """Raise Refusal for a name that no agent may have."""
    if not NAME.fullmatch(name):
        detail = f"name {name[:80]!r} is not up to 40 letters, digits, dots, dashes and underscores"
        raise Refusal(detail, field="name")
