"""Which build of the service this is."""

import functools
import subprocess
from importlib import metadata
from pathlib import Path

from nas import settings

CHECKOUT = Path(__file__).parent.parent


@functools.cache
def version() -> str:
    """The package's version with the commit behind it, such as "0.1.0+289fde7", or "0.1.0+289fde7.dirty" where files of
    the checkout differ from it.

    NAS_BUILD names the commit where there is no checkout, as in an image; without either the version stands alone.
    """
    number, commit = metadata.version("nas-service"), settings.BUILD.value or _commit()
    return f"{number}+{commit}" if commit else number


def _commit() -> str:
    """What this checkout has checked out; nothing where this is none, or git does not say."""
    if not (CHECKOUT / ".git").exists():  # git would find a repository that merely lies around an installed package
        return ""
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty=.dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
