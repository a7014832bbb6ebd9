"""A program of its own, as what sinks need is imported by nothing else."""

import json
import sys

from nas import plugins, sinks
from nas.tracebacks import blamed

if __name__ == "__main__":
    name, where = sys.argv[1:]
    run = json.load(sys.stdin)
    ended = [trial for trial in run.pop("trials") if trial["ended_at"] is not None]
    try:
        print(sinks.load(name).write(run, sorted(ended, key=lambda trial: int(trial["finished"])), where))
    except (OSError, plugins.BrokenPlugin) as problem:
        sys.exit(str(problem))
    except plugins.FAULTS as error:
        sys.exit(f"sink {name!r}: write raises {blamed(error, plugins.file(sinks.__name__, name))}")
