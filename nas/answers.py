"""Which images a network got right, in few bytes: two networks are best compared on the same images, one by one."""

import base64
import functools
import zlib
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a network answered to the images that it was scored on."""

    images: int
    """Images that it was scored on, each once."""
    folds: int = 1
    """Trainings that answered, each to the images that it alone had held out."""
    right: str
    """Which of the images it got right: a bit for each, the first the lowest of the first byte; compressed by zlib, in
    base64."""

    @functools.cached_property
    def bits(self) -> int:
        """Bit i is image i's: 1 where it was got right."""
        return int.from_bytes(zlib.decompress(base64.b64decode(self.right)), "little")


def packed(bits: bytes) -> str:
    """As `Answers.right` has them."""
    return base64.b64encode(zlib.compress(bits, 9)).decode()
