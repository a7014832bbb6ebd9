"""A program of its own, as what sinks need is imported by nothing else."""

import json
import sys

from nas import sinks

if __name__ == "__main__":
    run = json.load(sys.stdin)
    ended = [trial for trial in run.pop("trials") if trial["ended_at"] is not None]
    try:
        print(sinks.load(sys.argv[1]).write(run, sorted(ended, key=lambda trial: int(trial["finished"])), sys.argv[2]))
    except OSError as problem:
        sys.exit(str(problem))
