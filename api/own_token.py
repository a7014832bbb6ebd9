"""The token that this machine's own user has: a database keeps digests alone, so that the token itself is in a file."""

import contextlib
import getpass
from typing import TYPE_CHECKING

from nas import home, tokens
from nas.refusal import Refusal

if TYPE_CHECKING:
    from nas.store import Store


def is_known(store: "Store") -> bool:
    """Whether there is one on this machine that the database knows."""
    with contextlib.suppress(OSError, Refusal):
        return store.tokens.find(tokens.from_file(home.token_file()) or "") is not None
    return False


def made(store: "Store") -> str:
    """A new one, an admin's, which is kept on this machine from now on."""
    _, text = store.tokens.create(getpass.getuser(), "admin")
    tokens.to_file(home.token_file(), text)
    return text
