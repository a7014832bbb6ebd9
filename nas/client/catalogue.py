"""What a search can be made of."""

from urllib.parse import quote

from nas.datasets import absolute
from nas.service import Json, Service


class Catalogue(Service):
    """What a client asks of spaces, searchers, datasets and the like."""

    def spaces(self) -> list[Json]:
        return self._list("/v1/spaces", "spaces")

    def space(self, name: str, resolution: int, channels: int, classes: int, parent: str | None = None) -> Json:
        """A space's knobs for such images, around the parent if one is named."""
        asked: Json = {"resolution": resolution, "channels": channels, "classes": classes}
        if parent is not None:
            asked["parent"] = parent
        return self._json("GET", f"/v1/spaces/{quote(name, safe='')}", parameters=asked)

    def searchers(self) -> list[Json]:
        return self._list("/v1/searchers", "searchers")

    def boards(self) -> list[Json]:
        return self._list("/v1/boards", "boards")

    def devices(self) -> list[Json]:
        return self._list("/v1/devices", "devices")

    def datasets(self) -> list[Json]:
        return self._list("/v1/datasets", "datasets")

    def dataset(self, name: str) -> Json:
        return self._json("GET", f"/v1/datasets/{quote(absolute(name))}")

    def look(self, name: str) -> Json:
        """What is seen of a dataset before anything is spent on it, and fields of a search's request that fit it."""
        return self._json("GET", f"/v1/looks/{quote(absolute(name))}")

    def published(self) -> list[Json]:
        return self._list("/v1/published", "published")

    def parents(self) -> list[Json]:
        """Trained networks that a search can begin with, besides models and files."""
        return self._list("/v1/parents", "parents")

    def all_parents(self) -> Json:
        """These, how the others are named, and what is wrong with those that are not to be had."""
        return self._json("GET", "/v1/parents")

    def recipes(self) -> dict[str, Json]:
        recipes: dict[str, Json] = self._json("GET", "/v1/recipes")["recipes"]
        return recipes

    def health(self) -> Json:
        return self._json("GET", "/v1/health")
