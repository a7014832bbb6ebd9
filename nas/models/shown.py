"""What a picture shows to a network of an archive, found out in a process of its own with bounds on memory and time:
nobody knows what a picture that somebody sends makes of its decoder."""

import io
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

from nas import settings
from nas.refusal import Refusal, shortened

MOST_BYTES = 32_000_000  # of a picture
MOST_MEMORY_BYTES = 4 << 30  # of addresses; ONNX Runtime takes a quarter before it does anything
MOST_SECONDS = 60  # of processor time
LONGEST = 300  # characters of a reason


def probabilities(network: Path, picture: bytes) -> dict[str, float]:
    """Of each class, the most probable first, by the network in that ONNX file. Raises Refusal where the picture cannot
    be read."""
    ran = subprocess.run(
        [sys.executable, "-m", __name__, str(network)],
        env=settings.environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"),
        input=picture,
        capture_output=True,
    )
    if ran.returncode == 0:
        answer: dict[str, float] = json.loads(ran.stdout)
        return answer
    if ran.returncode == -signal.SIGXCPU:
        reason = f"it takes over {MOST_SECONDS} seconds"
    else:
        reason = ran.stderr.decode(errors="replace").strip().rpartition("\n")[2] or "its process ended"
    raise Refusal(f"the picture cannot be shown to the network: {shortened(reason, LONGEST)}")


def main(network: str) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from nas.classify import KINDS, Classifier, Stranger, Unusable

    try:
        print(json.dumps(Classifier(network).probabilities(io.BytesIO(sys.stdin.buffer.read()))))
    except MemoryError:
        print(f"it takes more than {MOST_MEMORY_BYTES:,} bytes of memory", file=sys.stderr)
        return 1
    except Unusable as error:
        print(f"{error}{KINDS if isinstance(error, Stranger) else ''}", file=sys.stderr)
        return 1
    except Exception as error:  # whatever is wrong with the network
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
