"""The pieces of a large raster and of its overviews: where they lie, and which make which."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sattrans.grid import Window

BLOCK = 512
"""Side of a block, and height of a piece, in pixels."""

PANEL = 8 * BLOCK
"""Width of a piece, in pixels: what is held in memory grows no wider than that."""


def pieces_of(height: int, width: int) -> list[Window]:
    """Return what is written at a time: whole blocks, one high and up to `PANEL` px wide, row by row."""
    return [
        Window(top, left, min(BLOCK, height - top), min(PANEL, width - left))
        for top in range(0, height, BLOCK)
        for left in range(0, width, PANEL)
    ]


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A piece of a level: 0 is the raster itself, each further one half the size of the one before."""

    level: int
    window: Window

    @property
    def name(self) -> str:
        """The name of its file."""
        what = f"overview-{self.level}" if self.level else "piece"
        return f"{what}-{self.window.row:08d}-{self.window.col:08d}.tif"


@dataclass(frozen=True)
class Pyramid:
    """A raster of this size and its overviews, down to one that fits into a block."""

    height: int
    width: int

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each level. Those of an overview are rounded up."""
        sizes = [(self.height, self.width)]
        while max(sizes[-1]) > BLOCK:
            height, width = sizes[-1]
            sizes.append((-(-height // 2), -(-width // 2)))
        return sizes

    def pieces(self, level: int) -> list[Piece]:
        """Return the pieces of a level, row by row."""
        return [Piece(level, window) for window in pieces_of(*self.sizes[level])]

    def overviews(self) -> Iterator[Piece]:
        """Yield the pieces of all overviews, those first that others are made from."""
        for level in range(1, len(self.sizes)):
            yield from self.pieces(level)

    def _at(self, level: int, row: int, col: int) -> Piece:
        """Return the piece whose top left is there."""
        height, width = self.sizes[level]
        return Piece(level, Window(row, col, min(BLOCK, height - row), min(PANEL, width - col)))

    def above(self, piece: Piece) -> Piece | None:
        """Return the piece of an overview that this one is a part of; None for that of the last one."""
        if piece.level + 1 == len(self.sizes):
            return None
        window = piece.window
        return self._at(piece.level + 1, window.row // 2 // BLOCK * BLOCK, window.col // 2 // PANEL * PANEL)

    def below(self, piece: Piece) -> list[Piece]:
        """Return the two or four pieces, fewer at an edge, that an overview's piece is made from."""
        height, width = self.sizes[piece.level - 1]
        top, left = 2 * piece.window.row, 2 * piece.window.col
        return [
            self._at(piece.level - 1, row, col)
            for row in range(top, min(top + 2 * BLOCK, height), BLOCK)
            for col in range(left, min(left + 2 * PANEL, width), PANEL)
        ]
