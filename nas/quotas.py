"""What an owner may use, what each uses, and what is said where that is too much."""

import shlex
from dataclasses import dataclass
from typing import ClassVar

from nas.refusal import between, bounded
from nas.tokens import owner_name

MOST_TRIALS = 100_000
MOST_HOURS = 1e9
MOST_BYTES = 2**60


class OverQuota(RuntimeError):
    """An owner uses as much as they may; the message names the quota, what is used of it, and the way out."""


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The most that an owner may use."""

    running_trials: int | None = None
    """Trials that run at once; the others wait for their turn. Null: as many as there is room for."""
    compute_hours: float | None = None
    """Hours in all that evaluations may hold processors or GPUs, those of deleted runs included. Null: any."""
    disk_bytes: int | None = None
    """Bytes of the weights that are kept, and of uploaded images. Null: as many as there is room for."""

    def __post_init__(self) -> None:
        bounded(self, MOST_TRIALS, "running_trials")
        between(self, "compute_hours", 0, MOST_HOURS)
        between(self, "disk_bytes", 0, MOST_BYTES)

    @property
    def unlimited(self) -> bool:
        """Whether nothing is refused, and no run held up: trials may wait for their turn all the same."""
        return self.compute_hours is None and self.disk_bytes is None

    @property
    def words(self) -> str:
        """On a line."""
        limits = {"running trials": self.running_trials, "compute hours": self.compute_hours, "bytes": self.disk_bytes}
        return ", ".join(f"{most:,} {what}" for what, most in limits.items() if most is not None) or "whatever there is"


@dataclass(frozen=True, kw_only=True)
class QuotaRequest(Quota):
    """What an owner is to be allowed; what is left out is not limited."""

    LIKE: ClassVar[tuple[type, ...]] = (Quota,)
    __pydantic_config__ = {"extra": "forbid"}

    owner: str
    """Whose it is: the name that tokens were made for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "owner", owner_name(self.owner))
        super().__post_init__()

    @property
    def quota(self) -> Quota:
        return Quota(running_trials=self.running_trials, compute_hours=self.compute_hours, disk_bytes=self.disk_bytes)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an owner uses, and what they may."""

    owner: str | None
    """Whose tokens submitted it. Null: nobody had to sign in."""
    runs: int = 0
    """Runs that are worked on."""
    queued: int = 0
    """Runs that wait for that."""
    running_trials: int = 0
    """Trials that are measured or trained at this moment."""
    waiting_trials: int = 0
    """Trials that have been handed out and wait for a processor, a GPU or the quota."""
    compute_hours: float = 0.0
    """Hours for which the trials that have ended held a processor or a GPU, those of deleted runs included."""
    disk_bytes: int = 0
    """Bytes of the weights that are kept, and of uploaded images."""
    quota: Quota = Quota()
    """What they may use."""

    def exceeded(self, more_bytes: int = 0) -> str | None:
        """Why nothing may be added, or so many bytes may not, in words; None: it may."""
        owner, most = self.owner or "", self.quota
        ask = f"ask an admin for more (nas quota {shlex.quote(owner)}"
        if most.compute_hours is not None and self.compute_hours >= most.compute_hours and not more_bytes:
            spent = f"{owner} has spent {self.compute_hours:,.4g} compute hours of a quota of {most.compute_hours:,g}"
            return f"{spent}: {ask} --compute-hours HOURS)"
        if most.disk_bytes is not None and self.disk_bytes + max(1, more_bytes) > most.disk_bytes:
            more = f", and {more_bytes:,} more are too many" if more_bytes else ""
            held = f"{owner} holds {self.disk_bytes:,} bytes of a quota of {most.disk_bytes:,} of the disk{more}"
            return f"{held}: delete models or images (nas delete MODEL, nas images delete NAME), or {ask} --disk SIZE)"
        return None
