"""What a store raises, named by what the caller does next.

StoreError   the database cannot be used: tell the operator; nothing was written
NotFound     there is nothing of that name: correct the name
Conflict     its state does not allow that: look at it again
LostRun      somebody else may have the run by now: stop working on it
"""


class StoreError(RuntimeError):
    """The database cannot be opened, read or written; the message says why and what to do."""


class NotFound(LookupError):
    """No run, trial or model of that name; if there is one of another kind, it is at the address `elsewhere`."""

    def __init__(self, detail: str, *, elsewhere: str | None = None) -> None:
        super().__init__(detail)
        self.elsewhere = elsewhere


class Conflict(RuntimeError):
    """The run or trial is in a state that does not allow what was asked."""


class LostRun(RuntimeError):
    """The run is not claimed by this owner, or the claim has run out."""
