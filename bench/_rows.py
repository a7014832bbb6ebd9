"""One measured claim, as a line of JSON."""

import json


def row(
    claim: str,
    value: float,
    unit: str,
    *,
    peer: str | None = None,
    peer_value: float | None = None,
    ratio: float | None = None,
    target: str | None = None,
    holds: bool | None = None,
) -> None:
    """Print one row. `ratio` is how many times better than the peer; `target` is in words; None where there is none."""
    fields = (claim, value, unit, peer, peer_value, ratio, target, holds)
    names = ("claim", "value", "unit", "peer", "peer_value", "ratio", "target", "holds")
    rounded = (float(f"{field:.5g}") if isinstance(field, float) else field for field in fields)
    print(json.dumps(dict(zip(names, rounded)), ensure_ascii=False), flush=True)
