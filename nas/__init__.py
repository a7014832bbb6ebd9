"""Networks that a search found: `nas.load("models/b2.zip")`. All else is in the modules."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from nas.models.network import Network


def load(what: "str | Path", device: str = "cpu") -> "Network":
    """The network in a folder, an archive (zip, tar) or a checkpoint, at an address of a service, or of a run of the
    service at NAS_URL: "RUN@best". On `device`, such as "cuda".

    Raises BadCheckpoint and BadArchive, which are ValueErrors, OSError, ServiceError where a service is asked, and
    NotInstalled, which names the extra that has what is missing.
    """
    from nas import extras

    extras.require("nas.load", "workers", "torch", "numpy")
    from nas.models.network import load as loaded

    return loaded(what, device)
