"""A large GeoTIFF written in pieces of whole blocks, each an atomic file, so that a kill loses few at most.

A tiled GeoTIFF that is killed while it is written opens cleanly and reads zeros: it cannot tell what it has.
So the pieces, and those of the overviews, stand in `<output>.part/` until all are there. Then their blocks, as they
are, are put together to a cloud-optimised GeoTIFF.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.shutil import copy as raster_copy

from sattrans.errors import RasterError
from sattrans.raster.cog.chunks import ChunkFiles, decode_blocks, encode_blocks
from sattrans.raster.cog.layout import Level, block_sizes, blocks_of, needs_bigtiff, write_block, write_header
from sattrans.raster.cog.options import CreationOptions
from sattrans.raster.cog.output import OPTIONS_TAG, GeoTiffOutput
from sattrans.raster.cog.overviews import (
    BLOCK,
    CHUNK_WIDTH,
    Chunk,
    OverviewMethod,
    Pyramid,
    chunk_windows,
    default_method,
    downsample,
    merge_children,
)
from sattrans.raster.georeference import Georeference
from sattrans.raster.geotiff import encode_geotiff
from sattrans.raster.open import open_raster
from sattrans.raster.palette import RGB
from sattrans.raster.window import Window
from sattrans.utils.atomic import naming, sync
from sattrans.utils.output import RESUME

__all__ = [
    "BLOCK",
    "CHUNK_WIDTH",
    "Layout",
    "RowWriter",
    "row_writer",
]

MOST_HALVES = 16
"""Halves of pieces, of 1.6 MB each, that wait for their neighbours in memory; of more, some are read at the end."""


@dataclass(frozen=True)
class Layout:
    """What a large raster is: its size, bands (1 or 3, and one more for `alpha`), place and tags.

    `overviews` says how they are made; None takes the nearest pixel with a colour table, else the mean.
    """

    height: int
    width: int
    count: int
    georeference: Georeference
    alpha: bool = False
    colormap: Mapping[int, RGB] | None = None
    nodata: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    overviews: OverviewMethod | None = None

    @property
    def rows(self) -> list[Window]:
        """The rows of blocks, from the top."""
        return [Window(top, 0, min(BLOCK, self.height - top), self.width) for top in range(0, self.height, BLOCK)]

    @property
    def pieces(self) -> list[Window]:
        """What is written at a time: whole blocks, one high and up to `CHUNK_WIDTH` px wide, row by row."""
        return chunk_windows(self.height, self.width)

    @property
    def bands(self) -> int:
        """All bands, the alpha band included."""
        return self.count + self.alpha


MOST_DECODED = 5
"""Decoded pieces that are kept for who reads what was written."""


class RowWriter:
    """Takes the pieces of a raster, in any order and from any thread, and knows which it has."""

    def __init__(
        self, folder: Path, layout: Layout, options: Mapping[str, Any], creation: CreationOptions | None = None
    ) -> None:
        self.layout = layout
        self._pyramid = Pyramid(layout.height, layout.width)
        self._pieces = ChunkFiles(folder)
        self._creation = creation or CreationOptions()
        self.beside: dict[str, Path] = {}
        self.tags = {**layout.tags, OPTIONS_TAG: json.dumps(dict(options))}
        self._how = self._creation.overviews(layout.overviews or default_method(bool(layout.colormap)))
        self._profile = self._creation.profile(photo=layout.colormap is None)
        self._turn = Lock()
        self._halves: dict[Chunk, NDArray[np.uint8]] = {}
        self._decoded: dict[Chunk, NDArray[np.uint8]] = {}
        self._sizes: dict[Chunk, list[int]] = {}

    def resume(self) -> None:
        """Check the chunks of an earlier run; one that is damaged, by a loss of power, is deleted."""
        overviews = list(self._pyramid.overviews())
        below = {piece: self._pyramid.children(piece) for piece in overviews}
        self._pieces.drop_damaged([*self._pyramid.chunks(0), *overviews], below)

    def missing(self) -> list[Window]:
        """Return the pieces not written yet."""
        return [piece.window for piece in self._pyramid.chunks(0) if not self._pieces.has(piece)]

    def write(self, piece: Window, pixels: NDArray[np.uint8]) -> None:
        """Write one piece: `pixels` is (bands, piece height, piece width)."""
        self._write(Chunk(0, piece), pixels)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return a part of what was written, (bands, H, W). What was read last is kept: read from the top."""
        pixels = np.empty((self.layout.bands, window.height, window.width), np.uint8)
        for piece in self._pyramid.chunks(0):
            part = piece.window.intersection(window)
            if part is None:
                continue
            decoded = self._decoded.pop(piece, None)
            self._decoded[piece] = self._decode(piece) if decoded is None else decoded
            if len(self._decoded) > MOST_DECODED:
                del self._decoded[next(iter(self._decoded))]
            inside = part.shifted(-piece.window.row, -piece.window.col)
            place = part.shifted(-window.row, -window.col)
            pixels[:, *place.slices] = self._decoded[piece][:, *inside.slices]
        return pixels

    def _write(self, piece: Chunk, pixels: NDArray[np.uint8]) -> None:
        data = encode_blocks(pixels, self._profile)
        self._pieces.put(piece, data)
        self._sizes[piece] = block_sizes(data)
        above = self._pyramid.parent(piece)
        if above is None:
            return
        half = self._halve(pixels)
        below = self._pyramid.children(above)
        with self._turn:
            self._halves[piece] = half
            if not all(part in self._halves for part in below):
                if len(self._halves) > MOST_HALVES:
                    del self._halves[next(iter(self._halves))]
                return
            halves = {part: self._halves.pop(part) for part in below}
        self._write(above, merge_children(above, halves))

    def _decode(self, piece: Chunk) -> NDArray[np.uint8]:
        return decode_blocks(self._pieces.get(piece), piece.window, self._profile)

    def _halve(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return downsample(pixels, self._how, self.layout.nodata, self.layout.alpha)

    def assemble(self, path: Path) -> Path:
        """Assemble the cloud-optimised GeoTIFF, with overviews, in the folder of chunks, and return its path there.

        Raises `RasterError` if it cannot be written; `path`, where it is meant to go, is for the message.
        """
        folder = self._pieces.folder
        whole, encoded = folder / "cog.tif", folder / "encoded.tif"
        try:
            self._make_overviews()
            with naming(whole), whole.open("wb") as file:
                self._put_together(file)
                file.flush()
            if self._creation.by_gdal:
                self._encode_anew(whole, encoded)
                encoded.replace(whole)
            sync(whole)
        except (OSError, RasterioError, CPLE_BaseError) as error:
            whole.unlink(missing_ok=True)
            encoded.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or error
            raise RasterError(
                f"cannot write {path} ({reason}); is the disk full? Its chunks are kept in {folder}; {RESUME}"
            ) from error
        return whole

    def _make_overviews(self) -> None:
        """Make those that a writer before, or a full memory, left out."""
        for piece in self._pyramid.overviews():
            if not self._pieces.has(piece):
                below = self._pyramid.children(piece)
                halves = {part: self._halves.pop(part, None) for part in below}
                made = {
                    part: self._halve(self._decode(part)) if half is None else half for part, half in halves.items()
                }
                self._write(piece, merge_children(piece, made))

    def _put_together(self, file: Any) -> None:
        layout = self.layout
        levels = []
        for number, (height, width) in enumerate(self._pyramid.sizes):
            sizes = (self._sizes.get(p) or block_sizes(self._pieces.get(p)) for p in self._pyramid.chunks(number))
            levels.append(Level(height, width, [size for of_piece in sizes for size in of_piece]))
        template = encode_geotiff(
            (layout.bands, layout.height, layout.width),
            layout.colormap,
            self.tags,
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            crs=layout.georeference.rasterio_crs,
            transform=layout.georeference.affine if layout.georeference.known else None,
            nodata=layout.nodata,
            photometric="RGB" if layout.count == 3 else "MINISBLACK",
            **({"ALPHA": "YES"} if layout.alpha else {}),
            SPARSE_OK="TRUE",
            **self._profile,
        )
        write_header(file, template, levels, self._creation.big(needs_bigtiff(levels)))
        for number in reversed(range(len(levels))):
            for piece in self._pyramid.chunks(number):
                for block in blocks_of(self._pieces.get(piece)):
                    write_block(file, block)

    def _encode_anew(self, whole: Path, encoded: Path) -> None:
        """Let GDAL encode it as the user asked, and read all of it: that the disk was full, it does not say."""
        with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", GDAL_CACHEMAX=64):
            raster_copy(str(whole), str(encoded), driver="COG", **{"BLOCKSIZE": BLOCK, **self._creation.for_gdal})
        with open_raster(encoded) as made:
            for piece in self.layout.pieces:
                made.read(piece)


@contextmanager
def row_writer(output: GeoTiffOutput, layout: Layout) -> Iterator[RowWriter]:
    """Yield a `RowWriter` for an output; the GeoTIFF is built if the block ends without an error.

    Chunks that a killed run left are kept if its options were the same. See `Output.claim` for what is refused.
    """
    with output.claim() as resumed:
        writer = RowWriter(output.unfinished, layout, output.options, output.creation)
        if resumed:
            writer.resume()
        yield writer
        output.finish(writer.assemble(output.path), writer.beside)
