"""What runs and what came of it, in a database: the one place where API and workers meet."""

from nas.store.errors import Conflict, LostRun, NotFound, StoreError
from nas.store.store import Store

__all__ = ["Conflict", "LostRun", "NotFound", "Store", "StoreError"]
