"""What runs and what came of it, in a database: the one place where API and workers meet."""

from nas.store.dump import Dumped, dump, load, require_empty
from nas.store.errors import Conflict, LostRun, NotFound, StoreError
from nas.store.store import Place, Store

__all__ = [
    "Conflict",
    "Dumped",
    "LostRun",
    "NotFound",
    "Place",
    "Store",
    "StoreError",
    "dump",
    "load",
    "require_empty",
]
