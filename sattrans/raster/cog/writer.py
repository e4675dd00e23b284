"""A large GeoTIFF, written in chunks of whole blocks, each an atomic file, so that a killed process loses few of them.

A tiled GeoTIFF whose writer is killed opens without an error and reads as zeros, so it does not show what is missing.
Therefore the chunks of the raster and of its overviews are written to `<output>.part/`. When all are complete, their
encoded blocks are assembled, unchanged, into a cloud-optimised GeoTIFF.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
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

MOST_DOWNSAMPLED = 16
"""Number of downsampled chunks (1.6 MB each) kept in memory until their neighbours are there; others are read again."""


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
    def chunks(self) -> list[Window]:
        """The windows that are written at a time: one block high and up to `CHUNK_WIDTH` px wide, row by row."""
        return chunk_windows(self.height, self.width)

    @property
    def bands(self) -> int:
        """The number of bands, including the alpha band."""
        return self.count + self.alpha


MOST_DECODED = 5
"""Number of decoded chunks that are cached for `RowWriter.read`."""


class RowWriter:
    """Writes the chunks of a raster, in any order and from any thread, and keeps track of the missing ones."""

    def __init__(
        self, folder: Path, layout: Layout, options: Mapping[str, Any], creation: CreationOptions | None = None
    ) -> None:
        self.folder, self.layout, self.creation = folder, layout, creation or CreationOptions()
        self._pyramid = Pyramid(layout.height, layout.width)
        self._files = ChunkFiles(folder)
        self.beside: dict[str, Path] = {}
        self.tags = {**layout.tags, OPTIONS_TAG: json.dumps(dict(options))}
        self._how = self.creation.overviews(layout.overviews or default_method(bool(layout.colormap)))
        self._profile = self.creation.profile(photo=layout.colormap is None)
        self._lock = Lock()
        self._downsampled: dict[Chunk, NDArray[np.uint8]] = {}
        self._decoded: dict[Chunk, NDArray[np.uint8]] = {}
        self._sizes: dict[Chunk, list[int]] = {}

    def resume(self) -> None:
        """Check the chunks of an earlier run; chunks damaged, for example by a power failure, are deleted."""
        overviews = list(self._pyramid.overviews())
        below = {chunk: self._pyramid.children(chunk) for chunk in overviews}
        self._files.drop_damaged([*self._pyramid.chunks(0), *overviews], below)

    def missing(self) -> list[Window]:
        """Return the chunks that are not written yet."""
        return [chunk.window for chunk in self._pyramid.chunks(0) if not self._files.has(chunk)]

    def missing_by_parent(self) -> Iterator[list[Window]]:
        """Yield the chunks that are not written yet, in groups that become one chunk of the first overview."""
        by_parent: dict[Chunk | None, list[Window]] = {}
        for chunk in self._pyramid.chunks(0):
            if not self._files.has(chunk):
                by_parent.setdefault(self._pyramid.parent(chunk), []).append(chunk.window)
        yield from by_parent.values()

    def missing_overviews(self) -> Iterator[list[Chunk]]:
        """Yield, level by level, the chunks of overviews that are not written yet when their level has its turn."""
        for level in range(1, len(self._pyramid.sizes)):
            if missing := [chunk for chunk in self._pyramid.chunks(level) if not self._files.has(chunk)]:
                yield missing

    @property
    def written(self) -> dict[Chunk, list[int]]:
        """The chunks that this writer has written or adopted, and the sizes in bytes of their blocks."""
        return dict(self._sizes)

    def adopt(self, written: Mapping[Chunk, Sequence[int]]) -> None:
        """Note what a writer of another process has written."""
        self._sizes.update({chunk: list(sizes) for chunk, sizes in written.items()})

    def write(self, chunk: Window, pixels: NDArray[np.uint8]) -> None:
        """Write one chunk; `pixels` has the shape (bands, height, width)."""
        self._write(Chunk(0, chunk), pixels)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return a window of the written pixels, (bands, H, W). The last chunks are cached, so read row by row."""
        pixels = np.empty((self.layout.bands, window.height, window.width), np.uint8)
        for chunk in self._pyramid.chunks(0):
            part = chunk.window.intersection(window)
            if part is None:
                continue
            decoded = self._decoded.pop(chunk, None)
            self._decoded[chunk] = self._decode(chunk) if decoded is None else decoded
            if len(self._decoded) > MOST_DECODED:
                del self._decoded[next(iter(self._decoded))]
            inside = part.shifted(-chunk.window.row, -chunk.window.col)
            target = part.shifted(-window.row, -window.col)
            pixels[:, *target.slices] = self._decoded[chunk][:, *inside.slices]
        return pixels

    def _write(self, chunk: Chunk, pixels: NDArray[np.uint8]) -> None:
        data = encode_blocks(pixels, self._profile)
        self._files.put(chunk, data)
        self._sizes[chunk] = block_sizes(data)
        parent = self._pyramid.parent(chunk)
        if parent is None:
            return
        small = self._downsample(pixels)
        children = self._pyramid.children(parent)
        with self._lock:
            self._downsampled[chunk] = small
            if not all(part in self._downsampled for part in children):
                if len(self._downsampled) > MOST_DOWNSAMPLED:
                    del self._downsampled[next(iter(self._downsampled))]
                return
            downsampled = {part: self._downsampled.pop(part) for part in children}
        self._write(parent, merge_children(parent, downsampled))

    def _decode(self, chunk: Chunk) -> NDArray[np.uint8]:
        return decode_blocks(self._files.get(chunk), chunk.window, self._profile)

    def _downsample(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return downsample(pixels, self._how, self.layout.nodata, self.layout.alpha)

    def assemble(self, path: Path) -> Path:
        """Assemble the cloud-optimised GeoTIFF, with overviews, in the folder of chunks, and return its path there.

        Raises `RasterError` if it cannot be written; the message names `path`, the final path.
        """
        folder = self._files.folder
        whole, encoded = folder / "cog.tif", folder / "encoded.tif"
        try:
            self._make_overviews()
            with naming(whole), whole.open("wb") as file:
                self._write_cog(file)
                file.flush()
            if self.creation.by_gdal:
                self._encode_again(whole, encoded)
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
        """Make the overviews that are still missing, after an interruption or because memory was limited."""
        for chunk in self._pyramid.overviews():
            if not self._files.has(chunk):
                self.make_overview(chunk)

    def make_overview(self, chunk: Chunk) -> None:
        """Write a chunk of an overview, whose children are written."""
        downsampled = {part: self._downsampled.pop(part, None) for part in self._pyramid.children(chunk)}
        made = {
            part: self._downsample(self._decode(part)) if small is None else small
            for part, small in downsampled.items()
        }
        self._write(chunk, merge_children(chunk, made))

    def _write_cog(self, file: Any) -> None:
        layout = self.layout
        levels = []
        for number, (height, width) in enumerate(self._pyramid.sizes):
            sizes = (self._sizes.get(p) or block_sizes(self._files.get(p)) for p in self._pyramid.chunks(number))
            levels.append(Level(height, width, [size for chunk_sizes in sizes for size in chunk_sizes]))
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
        write_header(file, template, levels, self.creation.big(needs_bigtiff(levels)))
        for number in reversed(range(len(levels))):
            for chunk in self._pyramid.chunks(number):
                for block in blocks_of(self._files.get(chunk)):
                    write_block(file, block)

    def _encode_again(self, whole: Path, encoded: Path) -> None:
        """Encode the file with GDAL as the user requested, then read it, because GDAL does not report a full disk."""
        with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", GDAL_CACHEMAX=64):
            raster_copy(
                str(whole.absolute()),
                str(encoded.absolute()),
                driver="COG",
                **{"BLOCKSIZE": BLOCK, **self.creation.for_gdal},
            )
        with open_raster(encoded) as made:
            for chunk in self.layout.chunks:
                made.read(chunk)


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
