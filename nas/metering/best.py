"""What the yardstick took at best on this machine, kept from one process to the next: a host that is slow already when
a process begins is found by it."""

import hashlib
import json
import logging
import math
import time
from pathlib import Path

from nas import home

FORGET_SECONDS = 7 * 24 * 3600.0  # since the host was last itself: a machine may be throttled, or moved, for good

log = logging.getLogger(__name__)


def known(fingerprint: dict[str, str]) -> float:
    """Milliseconds; infinite where nothing is known of a yardstick that runs so."""
    path = _path(fingerprint)
    try:
        if time.time() - path.stat().st_mtime > FORGET_SECONDS:
            return math.inf
        best_ms = float(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):  # not there, or damaged
        return math.inf
    return best_ms if best_ms > 0 else math.inf


def keep(fingerprint: dict[str, str], best_ms: float) -> None:
    """To be `known` from now on; a measurement goes on without where it cannot be kept."""
    try:
        home.write(_path(fingerprint), json.dumps(best_ms).encode())
    except OSError as error:
        log.warning("what the yardstick takes at best on this machine cannot be kept: %s", error)


def _path(fingerprint: dict[str, str]) -> Path:
    digest = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]
    return home.folder("yardsticks") / f"{digest}.json"
