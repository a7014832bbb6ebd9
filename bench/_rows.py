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
    interval: tuple[float, float] | None = None,
    target: str | None = None,
    holds: bool | None = None,
) -> None:
    """Print one row. `ratio` is how many times better than the peer, `interval` where 95 % of such ratios are, left
    out where it is not known; `target` is in words; None where there is none."""
    fields = (claim, value, unit, peer, peer_value, ratio, target, holds)
    names = ("claim", "value", "unit", "peer", "peer_value", "ratio", "target", "holds")
    rounded = (float(f"{field:.5g}") if isinstance(field, float) else field for field in fields)
    line: dict[str, object] = dict(zip(names, rounded))
    if interval is not None:
        line["interval"] = [float(f"{bound:.3g}") for bound in interval]
    print(json.dumps(line, ensure_ascii=False), flush=True)
