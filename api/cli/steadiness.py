"""`nas devices --check`: what this host is worth for latency, without a service."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from api.cli import terminal
from nas import extras

BARS = "▁▂▃▄▅▆▇█"
MOST = 2.5  # times as long as at best, which is a whole bar

Json = dict[str, Any]


def check(as_json: bool) -> int:
    """In a process of its own, as it needs torch and this one does not. 1 where nothing can be measured."""
    try:
        extras.require("devices --check", "workers", "torch", "onnxruntime")
    except extras.NotInstalled as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1
    ran = subprocess.run([sys.executable, "-m", "nas.steadiness"], stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        return 1
    report = json.loads(ran.stdout)
    if as_json:
        terminal.print_json(report)
    else:
        terminal.console().print(shown(report))
    return 0


def shown(report: Json) -> Group:
    """What a latency is worth here, the phases as a line of bars, and what may help."""
    moments = report["moments"]
    slower = f"{report['slow']:.0%} of the time everything took more than 1.1 times as long as at best"
    verdict = f"A latency is known to ± {report['error']:.1%} here, after {report['seconds']:.2f} s."
    return Group(
        Text(verdict, style="green" if report["error"] <= 0.01 else "yellow"),
        Text(f"{bars(moments)}  two seconds, up to {max(moments):.2f} times as long; {slower}"),
        *(Text(f"- {line}") for line in report["advice"]),
    )


def bars(moments: Sequence[float]) -> str:
    """A bar for each moment, by how many times as long as at best it took."""
    heights = [(len(BARS) - 1) * (min(each, MOST) - 1) / (MOST - 1) for each in moments]
    return "".join(BARS[max(0, round(height))] for height in heights)
