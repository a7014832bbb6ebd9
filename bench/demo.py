"""The main job, end to end, on real images: `python -m bench.demo`.

Serves, searches, shows the Pareto front, grows B0 into B1–B3, downloads, reloads and scores again. It does what a user
would do, by the command line that a user has; its last line is one line of JSON about the best B0.
"""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nas import settings

STATE = Path("state/demo")
LOG = STATE / "serve.log"
DOWNLOADS = Path("downloads")
# Plain convolutions only: depthwise ones and gates train several times slower on a CPU, and this is to end in minutes.
# The weight is hard: the most accurate candidate within the target, whatever it costs up to there.
KNOBS = [f"stage{stage}.{choice}" for stage in (1, 2, 3) for choice in ("op=conv", "se_ratio=0")]
SEARCH = (
    "--name", "demo", "--dataset", "fashion_mnist", *(word for knob in KNOBS for word in ("--knob", knob)),
    "--trials", "8", "--parallel", "2", "--recipe", "proxy",
    "--cost", "latency_ms", "--target", "0.2", "--w", "0,-1",
    "--limit-params", "300000", "--limit-mult-adds", "4500000",
)  # fmt: skip
GROWTH = ("--name", "demo family", "--members", "B0,B1,B2,B3", "--recipe", "dense", "--parallel", "2")


def main() -> int:
    started = time.monotonic()
    STATE.mkdir(parents=True, exist_ok=True)
    try:
        with service(free_port()) as url:
            summary = main_job(url)
    except KeyboardInterrupt:
        say(f"Interrupted: the service is stopped, finished trials are kept in {STATE}")
        return 130
    except subprocess.CalledProcessError as error:
        words = " ".join(error.cmd[3:])
        say(f"`nas {words}` ended with exit code {error.returncode}; what the service said is in {LOG}")
        return 1
    say(f"The service is stopped. To look at it again: NAS_HOME={STATE} .venv/bin/nas serve")
    print(json.dumps(summary | {"seconds": round(time.monotonic() - started, 1)}))
    return 0


def main_job(url: str) -> dict[str, Any]:
    say("Searching: eight candidates of at most 300,000 parameters, ranked on held-out training images")
    search = nas_json(url, "search", *SEARCH)
    nas(url, "watch", search["id"])
    nas(url, "pareto", search["id"])
    say("Growing the best one into B1, B2 and B3, all trained whole and tested once")
    growth = nas_json(url, "grow", search["id"], *GROWTH)
    nas(url, "watch", growth["id"])
    say("Downloading the checkpoints; each is reloaded and scored again on the test images")
    folder = DOWNLOADS / growth["id"]
    files = [Path(path) for path in nas_json(url, "download", growth["id"], "--to", str(folder))["files"]]
    nas(url, "score", *map(str, files))
    search, growth = nas_json(url, "show", search["id"]), nas_json(url, "show", growth["id"])
    best = next(member for member in growth["family"] if member["member"] == "B0")
    checkpoint = next(file for file in files if "B0" in file.name)
    say(f"The dashboard is at {url} while the service runs")
    return {
        "test_accuracy": best["test_accuracy"],
        "params": best["params"],
        "mult_adds": best["mult_adds"],
        "latency_ms": best["latencies_ms"]["cpu"],
        "trials": search["counts"]["done"],
        "members": len(files),
        "checkpoint": str(checkpoint),
    }


@contextlib.contextmanager
def service(port: int) -> Iterator[str]:
    """`nas serve` in a session of its own, so that Ctrl-C reaches it through us only, once and in order."""
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "api.cli", "serve", "--no-login", "--port", str(port)]
    with open(LOG, "wb") as log:  # beside the progress bars, not between them
        process = subprocess.Popen(command, env=environment(url), start_new_session=True, stdout=log, stderr=log)
    try:
        wait_for(url, process)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise subprocess.CalledProcessError(process.returncode, [*process.args[:4]])  # type: ignore[index]
        if nas(url, "health", "--json", quiet=True) == 0:
            return
    raise TimeoutError(f"no answer from {url}")


def nas(url: str, *arguments: str, quiet: bool = False) -> int:
    command = [sys.executable, "-m", "api.cli", *arguments]
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, env=environment(url), check=not quiet, stdout=output, stderr=output).returncode


def nas_json(url: str, *arguments: str) -> Any:
    command = [sys.executable, "-m", "api.cli", *arguments, "--json"]
    ran = subprocess.run(command, env=environment(url), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ran.stdout)


def environment(url: str) -> dict[str, str]:
    return settings.environment(NAS_HOME=str(STATE.resolve()), NAS_URL=url)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def say(text: str) -> None:
    print(f"\n{'─' * min(100, shutil.get_terminal_size().columns)}\n{text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
