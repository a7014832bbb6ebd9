"""The main job, end to end, on real images: `python -m bench.demo [--minutes 10]`.

Serves, searches, shows the Pareto front, grows B0 into B1–B3, downloads, reloads and scores again. It does what a user
would do, by the command line that a user has; its last line is one line of JSON about the best B0. Before, it finds out
how fast networks like these are trained here, and does as much as fits into the minutes.
"""

import argparse
import contextlib
import dataclasses
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.training import PLAIN, drawn
from nas import settings
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.blocks import network
from nas.networks.members import member
from nas.recipes import RECIPES
from nas.training.data import Batches, View
from nas.training.device import alone, training_device
from nas.training.train import Epoch, train

STATE = Path("state/demo")
LOG = STATE / "serve.log"
DOWNLOADS = Path("downloads")
# Plain convolutions only: depthwise ones and gates train several times slower on a CPU, and this is to end in minutes.
# The weight is hard: the most accurate candidate within the target, whatever it costs up to there.
KNOBS = [f"stage{stage}.{choice}" for stage in (1, 2, 3) for choice in ("op=conv", "se_ratio=0")]
SEARCH = (
    "--name", "demo", "--dataset", "fashion_mnist", *(word for knob in KNOBS for word in ("--knob", knob)),
    "--parallel", "2", "--recipe", "proxy",
    "--cost", "latency_ms", "--target", "0.2", "--w", "0,-1",
    "--limit-params", "300000", "--limit-mult-adds", "4500000",
)  # fmt: skip
MEMBERS = ("B0", "B1", "B2", "B3")
GROWTH = ("--name", "demo family", "--members", ",".join(MEMBERS), "--recipe", "dense", "--parallel", "2")

TYPICAL = Architecture(  # of what is found
    images=Images(resolution=28, channels=1, classes=10),
    stem=16,
    stem_stride=2,
    stages=tuple(
        Stage(op="conv", kernel=3, stride=stride, expand=1, channels=channels, repeats=repeats)
        for stride, channels, repeats in ((1, 24, 3), (2, 48, 1), (2, 96, 1))
    ),
    head=0,
)
TRIED_IMAGES, TRIED_EPOCHS = 256, 3
OTHER_SECONDS = 45  # to start, to measure latencies, to download and to score again


@dataclass(frozen=True, kw_only=True)
class Work:
    """How many candidates are trained on how many images, and for how many epochs members on how many."""

    candidates: int
    candidate_images: int
    epochs: int
    images: int

    def seconds(self, speeds: Sequence[float]) -> float:
        """What it takes where two trainings at once, of such members, have so many images a second each."""
        searched = self.candidates * RECIPES["proxy"].least_epochs * self.candidate_images / speeds[0] / 2
        grown = [self.epochs * self.images / speed for speed in speeds]
        return OTHER_SECONDS + searched + max(*grown, sum(grown) / 2)


WORKS = (  # from the one that docs/results.md has the figures of down to one that shows how it goes
    Work(candidates=8, candidate_images=20_000, epochs=5, images=60_000),
    Work(candidates=8, candidate_images=10_000, epochs=4, images=60_000),
    Work(candidates=6, candidate_images=10_000, epochs=3, images=60_000),
    Work(candidates=6, candidate_images=5_000, epochs=3, images=30_000),
    Work(candidates=4, candidate_images=5_000, epochs=2, images=20_000),
    Work(candidates=4, candidate_images=2_500, epochs=1, images=10_000),
)


def fitting(minutes: float, speeds: Sequence[float]) -> Work:
    """The most work that fits into `minutes`; the least, where none does."""
    return next((work for work in WORKS if work.seconds(speeds) <= 60 * minutes), WORKS[-1])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="what it may take, 10 by default")
    parser.add_argument("--speeds", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.speeds:
        print(json.dumps(speeds()))
        return 0
    started = time.monotonic()
    STATE.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which would leave the service running
    try:
        say("Finding out how fast this machine trains")
        measured = side_by_side()
        work = fitting(options.minutes, measured)
        first, *_, last = (f"{speed:,.0f}" for speed in measured)
        say(
            f"Two trainings at once go through {first} images a second each with a network like B0, {last} with one "
            f"like B3. In {options.minutes:g} minutes fit {work.candidates} candidates on {work.candidate_images:,} "
            f"images and a family of {work.epochs} epochs on {work.images:,}: about "
            f"{work.seconds(measured) / 60:.0f} minutes"
        )
        with service(free_port()) as url:
            summary = main_job(url, work)
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


def speeds() -> list[float]:
    """Images a second of a training of each member, on one thread."""
    device, (images, labels) = training_device(), drawn(TRIED_IMAGES)
    recipe, found = dataclasses.replace(RECIPES["dense"], epochs=TRIED_EPOCHS), []
    for name in MEMBERS:
        architecture, ends = member(TYPICAL, name), list[Epoch]()
        view = View(architecture.images.resolution, PLAIN, device)
        batches = Batches(images, labels, np.arange(TRIED_IMAGES), recipe, view, device)
        with alone(device):
            built = network(architecture).to(device)
            train(built, batches, recipe, seed=0, device=device, after_epoch=ends.append)
        found.append(max(epoch.images_per_second for epoch in ends[1:]))  # whatever else it does only slows it down
    return found


def side_by_side() -> list[float]:
    """The mean of two processes at once."""
    command = [sys.executable, "-m", "bench.demo", "--speeds"]
    environment = settings.environment(NAS_HOME=str(STATE.resolve()), **settings.EVALUATORS)
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        answers = [process.communicate()[0] for process in processes]
    finally:
        for process in processes:
            process.kill()  # of which one that has ended takes no notice
    for process in processes:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    return [sum(both) / 2 for both in zip(*map(json.loads, answers))]


def main_job(url: str, work: Work) -> dict[str, Any]:
    say(f"Searching: {work.candidates} candidates of at most 300,000 parameters, ranked on held-out training images")
    epochs = RECIPES["proxy"].least_epochs  # of fewer images no more: what is left of accuracy goes for time
    searched = ("--trials", work.candidates, "--train-images", work.candidate_images, "--epochs", epochs)
    search = nas_json(url, "search", *SEARCH, *map(str, searched))
    nas(url, "watch", search["id"])
    nas(url, "pareto", search["id"])
    say("Growing the best one into B1, B2 and B3, each trained anew and tested once")
    grown = ("--epochs", str(work.epochs), "--train-images", str(work.images))
    growth = nas_json(url, "grow", search["id"], *GROWTH, *grown)
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
    """`nas serve` in a session of its own, so that Ctrl-C or SIGTERM reaches it through us only, once and in order."""
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
