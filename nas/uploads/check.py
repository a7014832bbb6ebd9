"""Whether an archive is a folder of images: found out in a process of its own, with bounds on memory and time.

A few bytes of an archive may unpack to any number of them. Nothing of it is kept but its listing.
"""

import io
import resource
import signal
import subprocess
import sys
from pathlib import Path

from nas import datasets, home, settings
from nas.datasets import DatasetError
from nas.refusal import Refusal, shortened

MOST_MEMORY_BYTES = 2 << 30  # of addresses; a listing of a million images takes a quarter
MOST_IMAGES = 2_000_000
LEAST_SECONDS = 60  # of processor time
SLOWEST_BYTES_PER_SECOND = 4_000_000  # of the archive, as it is compressed; bzip2 reads three times as many
LONGEST = 900  # characters of a reason


def check(name: str, path: Path) -> None:
    """Raise Refusal unless the archive at `path`, that of images `name`, can be used as a dataset."""
    seconds = LEAST_SECONDS + path.stat().st_size // SLOWEST_BYTES_PER_SECOND
    ran = subprocess.run(
        [sys.executable, "-m", __name__, str(path), str(seconds), str(home.folder("datasets"))],
        env=settings.environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if ran.returncode == 0:
        return
    if ran.returncode == -signal.SIGXCPU:
        reason = f"listing it takes over {seconds} seconds, it unpacks to far more than it should"
    elif ran.returncode == 1:
        reason = ran.stdout.strip().replace(str(path), name)
    else:
        reason = f"the process that lists it ended with code {ran.returncode}: {ran.stderr.strip()[-LONGEST:]}"
    raise Refusal(f"images {name!r} are thrown away, as they cannot be used: {shortened(reason, LONGEST)}")


def main(path: str, seconds: int, cache: Path) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(errors="backslashreplace")  # names in archives need not be text
    try:
        info = datasets.describe(f"folder:{path}", cache)
    except DatasetError as error:
        print(error)
        return 1
    except MemoryError:
        print(f"listing it takes more than {MOST_MEMORY_BYTES:,} bytes of memory")
        return 1
    if info.train_images + info.test_images > MOST_IMAGES:
        print(f"{info.train_images + info.test_images:,} images are too many: {MOST_IMAGES:,} are the most")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
