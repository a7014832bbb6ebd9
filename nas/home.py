"""Where things are kept on this machine: one folder, named by NAS_HOME."""

import os
from pathlib import Path


def home() -> Path:
    """NAS_HOME, else `nas` in the user's data folder; made if it is not there."""
    default = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "nas"
    folder = Path(os.environ.get("NAS_HOME") or default).expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def folder(name: str) -> Path:
    """The folder `name` in the home: "datasets", "artifacts" (finished checkpoints), "resume" (running trainings)."""
    path = home() / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def database_url() -> str:
    """NAS_DATABASE, else a SQLite file in the home."""
    return os.environ.get("NAS_DATABASE") or f"sqlite:///{home() / 'nas.db'}"
