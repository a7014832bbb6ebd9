"""Boards: what a network may be made to fit on."""

from dataclasses import dataclass

from fastapi import APIRouter

from api.problems import documented
from nas.boards import BOARDS, Board

router = APIRouter(tags=["catalogue"])


@dataclass(frozen=True, kw_only=True)
class Sized(Board):
    """A board, and what of it a network in int8 has."""

    peak_memory: int
    """The bytes of values that a network may hold at once."""
    model_bytes: int
    """The bytes that its weights and biases may take."""


@dataclass(frozen=True, kw_only=True)
class Boards:
    """Boards that networks can be made to fit on."""

    boards: tuple[Sized, ...]
    """The boards, by name."""


@router.get("/boards", summary="Boards with a microcontroller", responses=documented())
def boards() -> Boards:
    """What `limits.board` of a search may name: a quarter of either memory is left to the program."""
    return Boards(
        boards=tuple(
            Sized(**vars(board), peak_memory=board.for_values, model_bytes=board.for_weights) for board in BOARDS
        )
    )
