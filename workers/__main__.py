"""`python -m workers`: a coordinator and its Ray pool."""

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading

from nas import home, logs, settings
from nas.refusal import Refusal
from nas.roots import Roots
from nas.store import Store, StoreError
from workers import head

log = logging.getLogger("workers")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m workers", description="Claim runs and drive them, until SIGINT or SIGTERM."
    )
    parser.add_argument("--database", metavar="URL", help="NAS_DATABASE, else a SQLite file in NAS_HOME")
    parser.add_argument("--ray-address", metavar="ADDRESS", help="a Ray cluster to join; RAY_ADDRESS, else none")
    parser.add_argument("--once", action="store_true", help="leave when there is no run to be claimed")
    parser.add_argument("--until-eof", action="store_true", help="leave when standard input ends, as a child does")
    options = parser.parse_args()
    try:
        logs.begin()
    except Refusal as error:
        print(f"workers: {error}", file=sys.stderr)
        return 1
    sys.stdout = sys.stderr = logs.relay("ray")  # which prints what its processes say
    # A proposal is arithmetic on small matrices: beside trainers, threads that share it mostly wait for each other.
    settings.prepare(settings.THREADS)  # which counts from when numpy and torch are imported
    leave = threading.Event()
    _ours()
    _watch_signals(leave)
    if options.until_eof:
        threading.Thread(target=_until_eof, args=(leave,), daemon=True).start()
    try:
        settings.check()
        roots = Roots.named(settings.IMAGES.folders)
        store = Store(options.database or home.database_url())
    except (Refusal, StoreError, OSError) as error:
        log.error("%s", error)
        return 1
    # Imported late: a wrong database is told at once, not after the seconds that torch and Ray take.
    from workers.coordinator import coordinate
    from workers.pool import RayPool

    if leave.is_set():  # meanwhile; Ray need not be started for that
        return 0
    address, started = options.ray_address or settings.RAY_ADDRESS.value, threading.Event()

    def died() -> head.Loss | None:
        return None if leave.is_set() else head.ended()  # Ray ends them, too, when it is asked to leave

    threading.Thread(target=head.watch, args=(died, started), name="start", daemon=True).start()
    try:
        pool = RayPool(address, roots)
    except SystemExit:  # Ray's own answer to a signal while it starts
        return 0
    except Exception as error:  # Ray's own is often no other kind
        log.error("Ray cannot be %s: %s", f"joined at {address}" if address else "started", error)
        return 1
    finally:
        started.set()
    threading.Thread(target=head.watch, args=(pool.lost, leave), name="head", daemon=True).start()
    with contextlib.closing(store), contextlib.closing(pool):
        _ours()  # again, as Ray has put a handler of its own in place
        coordinate(store, pool, leave, once=options.once)
        leave.set()
    return 0


def _ours() -> None:
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)  # _watch_signals does the rest


def _watch_signals(leave: threading.Event) -> None:
    """Set `leave` at a signal, whoever handles it: while Ray starts its own handler raises, and that may get lost."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)

    def watch() -> None:
        while os.read(reading, 1)[0] not in SIGNALS:
            pass
        leave.set()

    threading.Thread(target=watch, name="signals", daemon=True).start()


def _until_eof(leave: threading.Event) -> None:
    while os.read(0, 4096):  # not through sys.stdin, whose lock a thread must not hold when the interpreter ends
        pass
    leave.set()


if __name__ == "__main__":
    try:
        code = main()
    except Exception:
        log.exception("nobody expected this")
        code = 1
    logging.shutdown()
    os._exit(code)  # all is closed; a thread that loads a dataset is not waited for
