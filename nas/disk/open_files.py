"""Which files live processes of this machine hold, as far as the system says so."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def held(below: Iterable[Path]) -> frozenset[Path]:
    """The files below those folders that a process has open or mapped, and all folders that they lie in. None where the
    system does not say: there, only its age keeps a file."""
    prefixes = tuple(f"{folder}/" for folder in below)
    found = {path for process in Path("/proc").glob("[0-9]*") for path in _of(process) if path.startswith(prefixes)}
    files = {Path(path) for path in found}
    return frozenset(files | {folder for file in files for folder in file.parents})


def _of(process: Path) -> set[str]:
    paths: set[str] = set()
    with suppress(OSError):  # it has ended, or is another user's
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                paths.add(os.readlink(descriptor))
    with suppress(OSError):
        lines = (process / "maps").read_text(errors="replace").splitlines()
        paths |= {fields[5] for line in lines if len(fields := line.split(maxsplit=5)) == 6}
    return paths
