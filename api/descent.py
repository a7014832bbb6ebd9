"""What is checked of a search's parent: that it is there, that its weights are, and that the images suit it."""

from collections.abc import Callable
from typing import TypeAlias

from nas import kinship, parents
from nas.networks.architecture import Images
from nas.parents import UnknownParent, file, model
from nas.records import Model
from nas.roots import Outside, Roots
from nas.store import NotFound

Models: TypeAlias = Callable[[str], Model]  # by id; raises NotFound


def parent(name: str, roots: Roots, models: Models, *, remote_workers: bool) -> str:
    """The name by which the workers know it: a model's and a file's is the SHA-256 of the checkpoint, of which the
    artifact folder then has a copy. Raises ValueError where it is not there."""
    stored = _kept(name, roots, models)
    known = parents.described(stored)
    if known.missing and not remote_workers:
        raise ValueError(known.missing)
    return stored


def fits(name: str, stored: str, images: Images) -> None:
    """Raise ValueError where the images are too small for the parent of that name."""
    try:
        kinship.fitted(parents.described(stored).architecture, images)
    except ValueError as error:
        raise ValueError(f"parent {name!r} does not fit the images: {error}") from error


def known(name: str, roots: Roots, models: Models) -> str:
    """The name by which it is found on this machine. Raises UnknownParent, and Outside for a file in none of the
    `roots`."""
    try:
        if name.startswith(model.PREFIX):
            row = models(name.removeprefix(model.PREFIX))
            if row.removed:
                raise UnknownParent(f"parent {name!r}: its weights were removed ({row.removed}), train it again")
            return row.sha256
        return file.PREFIX + roots.resolved(name.removeprefix(file.PREFIX)) if file.has(name) else name
    except NotFound as error:
        raise UnknownParent(f"parent {name!r}: {error}") from error
    except Outside:
        raise Outside(name.removeprefix(file.PREFIX)) from None
    except OSError as error:
        raise UnknownParent(f"parent {name!r} cannot be read: {error.strerror}") from error


def _kept(name: str, roots: Roots, models: Models) -> str:
    real = known(name, roots, models)
    if not file.has(real):
        return real
    try:
        parents.described(real)
        return file.imported(real, roots.open)
    except Outside:
        raise Outside(name.removeprefix(file.PREFIX)) from None
    except OSError as error:
        raise UnknownParent(f"parent {name!r} cannot be read or kept: {error.strerror}") from error
