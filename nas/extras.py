"""Packages that the extras of this one bring: whether they are here, and how to get them where they are not."""

from importlib.util import find_spec


class NotInstalled(ModuleNotFoundError):
    """Packages are missing; the message says which, what for, and the extra that has them."""


def missing(what: str, extra: str, *packages: str) -> str | None:
    """Why `what` is not to be had, None where all `packages` are installed; the `extra` is empty where none
    brings them. None of them is
    imported."""
    absent = [package for package in packages if find_spec(package) is None]
    if not absent:
        return None
    install = f"'nas-service[{extra}]'" if extra else " ".join(absent)
    return f"{what} needs {', '.join(absent)}: pip install {install}"


def require(what: str, extra: str, *packages: str) -> None:
    """Raise NotInstalled unless all `packages` are installed."""
    if reason := missing(what, extra, *packages):
        raise NotInstalled(reason)
