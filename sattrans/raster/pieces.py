"""Encoded pieces of a large raster as files, each with a checksum: one that did not reach the disk whole is noticed."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from sattrans.errors import RasterError
from sattrans.files import put
from sattrans.raster.pyramid import Piece
from sattrans.raster.quiet import quiet

SEAL = struct.Struct("<8sI")
MARK = b"sattrans"


class Pieces:
    """The pieces in a folder. Nobody waits until they are on the disk: their checksums say whether they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, piece: Piece) -> Path:
        """Where a piece lies."""
        return self.folder / piece.name

    def has(self, piece: Piece) -> bool:
        """Say whether it is there."""
        return self.path(piece).exists()

    def put(self, piece: Piece, data: bytes) -> None:
        """Write a piece, a small GeoTIFF, whole or not at all."""
        put(self.path(piece), data + SEAL.pack(MARK, zlib.crc32(data)))

    def get(self, piece: Piece) -> memoryview:
        """Return a piece. Raises `RasterError` where it is damaged, or not there."""
        try:
            whole = memoryview(self.path(piece).read_bytes())
        except FileNotFoundError:
            raise RasterError(f"{self.path(piece)} is missing") from None
        data, seal = whole[: -SEAL.size], whole[-SEAL.size :]
        if len(seal) < SEAL.size or SEAL.unpack(seal) != (MARK, zlib.crc32(data)):
            raise RasterError(f"{self.path(piece)} is damaged")
        return data

    def keep_whole(self, pieces: list[Piece], parts: dict[Piece, list[Piece]]) -> None:
        """Remove what is damaged, and what was made from something that is not there; `parts` come first."""
        for piece in pieces:
            if not self.has(piece):
                continue
            try:
                self.get(piece)
                whole = all(self.has(part) for part in parts.get(piece, []))
            except RasterError:
                whole = False
            if not whole:
                self.path(piece).unlink(missing_ok=True)


def decode(data: bytes | memoryview) -> NDArray[np.uint8]:
    """Return the pixels (bands, H, W) of a small GeoTIFF of ours."""
    try:
        with MemoryFile(bytes(data)) as memory:
            with quiet():
                src = memory.open()
            with src:
                pixels: NDArray[np.uint8] = src.read()
    except RasterioError as error:
        raise RasterError(f"a piece cannot be read ({error})") from error
    return pixels
