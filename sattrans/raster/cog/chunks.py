"""Encoded pieces of a large raster as files, each with a checksum: one that did not reach the disk whole is noticed."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from sattrans.errors import RasterError
from sattrans.raster.cog.overviews import BLOCK, Piece
from sattrans.raster.open import quiet
from sattrans.raster.tile_formats import encode
from sattrans.raster.window import Window
from sattrans.utils.atomic import put

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


STRIP = 16
"""Rows whose differences are taken at a time: they stay in the processor's cache."""


def encode_blocks(pixels: NDArray[np.uint8], profile: Mapping[str, Any]) -> bytes:
    """Return a GeoTIFF whose blocks are those of one of `pixels` (bands, H, W), encoded as `profile` says.

    It is told as one band, and its predictor applied already: so GDAL takes three quarters of the time.
    """
    bands, height, width = pixels.shape
    blocks = np.zeros((-(-height // BLOCK) * BLOCK, -(-width // BLOCK), BLOCK * bands), np.uint8)
    by_pixel = blocks.reshape(len(blocks), -1, bands)
    for number, band in enumerate(pixels):
        by_pixel[:height, :width, number] = band
    if _predicted(profile):
        for top in range(0, height, STRIP):
            rows = blocks[top : top + STRIP]
            rows[..., bands:] -= rows[..., :-bands].copy()
    plain = {name: value for name, value in profile.items() if name != "predictor"}
    return encode(blocks.reshape(1, len(blocks), -1), tiled=True, blockxsize=BLOCK * bands, blockysize=BLOCK, **plain)


def decode_blocks(data: bytes | memoryview, window: Window, profile: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return the pixels (bands, H, W) of what was encoded, of a piece in this window."""
    try:
        with MemoryFile(bytes(data)) as memory:
            with quiet():
                src = memory.open()
            with src:
                blocks = src.read()
    except RasterioError as error:
        raise RasterError(f"a piece cannot be read ({error})") from error
    rows, across = blocks.shape[1], -(-window.width // BLOCK)
    by_pixel = blocks.reshape(rows, across, BLOCK, -1)
    if _predicted(profile):
        by_pixel.cumsum(axis=2, dtype=np.uint8, out=by_pixel)
    whole = by_pixel.reshape(rows, across * BLOCK, -1)[: window.height, : window.width]
    return np.ascontiguousarray(whole.transpose(2, 0, 1))


def _predicted(profile: Mapping[str, Any]) -> bool:
    """Say whether pixels are kept as differences from those before them in their block's row."""
    return bool(profile.get("predictor", 1) == 2)
