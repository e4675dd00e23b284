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

from sattrans.errors import OutputExists, RasterError
from sattrans.raster.cog.chunks import Pieces, decode_blocks, encode_blocks
from sattrans.raster.cog.layout import Level, block_sizes, blocks_of, is_whole, needs_big, write_block, write_head
from sattrans.raster.cog.options import Creation
from sattrans.raster.cog.overviews import BLOCK, PANEL, Overviews, Piece, Pyramid, halve, pieces_of
from sattrans.raster.georeference import Georeference
from sattrans.raster.open import open_raster
from sattrans.raster.palette import RGB
from sattrans.raster.tile_formats import encode
from sattrans.raster.window import Window
from sattrans.utils.atomic import naming, part_of, remove, sync
from sattrans.utils.console import log
from sattrans.utils.lock import check_unlocked, lock
from sattrans.utils.manifest import as_json, check_same_options, read_manifest, write_manifest

__all__ = [
    "BLOCK",
    "PANEL",
    "Layout",
    "RowWriter",
    "begun_with",
    "check_begun",
    "check_whole",
    "is_finished",
    "options_of",
    "row_writer",
]

VERSION = 3

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
    overviews: Overviews | None = None

    @property
    def rows(self) -> list[Window]:
        """The rows of blocks, from the top."""
        return [Window(top, 0, min(BLOCK, self.height - top), self.width) for top in range(0, self.height, BLOCK)]

    @property
    def pieces(self) -> list[Window]:
        """What is written at a time: whole blocks, one high and up to `PANEL` px wide, row by row from the top left."""
        return pieces_of(self.height, self.width)

    @property
    def bands(self) -> int:
        """All bands, the alpha band included."""
        return self.count + self.alpha


MOST_DECODED = 5
"""Decoded pieces that are kept for who reads what was written."""


class RowWriter:
    """Takes the pieces of a raster, in any order and from any thread, and knows which it has."""

    def __init__(
        self, folder: Path, layout: Layout, options: Mapping[str, Any], creation: Creation | None = None
    ) -> None:
        self.layout = layout
        self._pyramid = Pyramid(layout.height, layout.width)
        self._pieces = Pieces(folder)
        self._creation = creation or Creation()
        self.beside: dict[str, Path] = {}
        self.tags = {**layout.tags, OPTIONS_TAG: json.dumps(dict(options))}
        otherwise = layout.overviews or ("nearest" if layout.colormap else "average")
        self._how = self._creation.overviews(otherwise)
        self._profile = self._creation.profile(photo=layout.colormap is None)
        self._turn = Lock()
        self._halves: dict[Piece, NDArray[np.uint8]] = {}
        self._decoded: dict[Piece, NDArray[np.uint8]] = {}
        self._sizes: dict[Piece, list[int]] = {}

    def take_up(self) -> None:
        """Look at what a writer before left: what is damaged, by a machine that lost its power, is not there."""
        overviews = list(self._pyramid.overviews())
        below = {piece: self._pyramid.below(piece) for piece in overviews}
        self._pieces.keep_whole([*self._pyramid.pieces(0), *overviews], below)

    def missing(self) -> list[Window]:
        """Return the pieces not written yet."""
        return [piece.window for piece in self._pyramid.pieces(0) if not self._pieces.has(piece)]

    def write(self, piece: Window, pixels: NDArray[np.uint8]) -> None:
        """Write one piece: `pixels` is (bands, piece height, piece width)."""
        self._write(Piece(0, piece), pixels)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return a part of what was written, (bands, H, W). What was read last is kept: read from the top."""
        pixels = np.empty((self.layout.bands, window.height, window.width), np.uint8)
        for piece in self._pyramid.pieces(0):
            part = piece.window.intersection(window)
            if part is None:
                continue
            decoded = self._decoded.pop(piece, None)
            self._decoded[piece] = self._decode(piece) if decoded is None else decoded
            if len(self._decoded) > MOST_DECODED:
                del self._decoded[next(iter(self._decoded))]
            inside = part.moved(-piece.window.row, -piece.window.col)
            place = part.moved(-window.row, -window.col)
            pixels[:, *place.slices] = self._decoded[piece][:, *inside.slices]
        return pixels

    def _write(self, piece: Piece, pixels: NDArray[np.uint8]) -> None:
        data = encode_blocks(pixels, self._profile)
        self._pieces.put(piece, data)
        self._sizes[piece] = block_sizes(data)
        above = self._pyramid.above(piece)
        if above is None:
            return
        half = self._halve(pixels)
        below = self._pyramid.below(above)
        with self._turn:
            self._halves[piece] = half
            if not all(part in self._halves for part in below):
                if len(self._halves) > MOST_HALVES:
                    del self._halves[next(iter(self._halves))]
                return
            halves = {part: self._halves.pop(part) for part in below}
        self._write(above, self._joined(above, halves))

    def _decode(self, piece: Piece) -> NDArray[np.uint8]:
        return decode_blocks(self._pieces.get(piece), piece.window, self._profile)

    def _halve(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return halve(pixels, self._how, self.layout.nodata, self.layout.alpha)

    def _joined(self, piece: Piece, halves: Mapping[Piece, NDArray[np.uint8]]) -> NDArray[np.uint8]:
        window = piece.window
        pixels = np.empty((self.layout.bands, window.height, window.width), np.uint8)
        for part, half in halves.items():
            top, left = part.window.row // 2 - window.row, part.window.col // 2 - window.col
            pixels[:, top : top + half.shape[1], left : left + half.shape[2]] = half
        return pixels

    def finish(self, output: Path) -> None:
        """Put the cloud-optimised GeoTIFF together, with overviews, and put it in place."""
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
            whole.replace(output)
        except (OSError, RasterioError, CPLE_BaseError) as error:
            whole.unlink(missing_ok=True)
            encoded.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or error
            raise RasterError(
                f"{output} cannot be written ({reason}): is the disk full? Its pieces are kept in {folder}, and "
                "the same command goes on"
            ) from error
        sync(output.parent)

    def _make_overviews(self) -> None:
        """Make those that a writer before, or a full memory, left out."""
        for piece in self._pyramid.overviews():
            if not self._pieces.has(piece):
                below = self._pyramid.below(piece)
                halves = {part: self._halves.pop(part, None) for part in below}
                made = {
                    part: self._halve(self._decode(part)) if half is None else half for part, half in halves.items()
                }
                self._write(piece, self._joined(piece, made))

    def _put_together(self, file: Any) -> None:
        layout = self.layout
        levels = []
        for number, (height, width) in enumerate(self._pyramid.sizes):
            sizes = (self._sizes.get(p) or block_sizes(self._pieces.get(p)) for p in self._pyramid.pieces(number))
            levels.append(Level(height, width, [size for of_piece in sizes for size in of_piece]))
        template = encode(
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
        write_head(file, template, levels, self._creation.big(needs_big(levels)))
        for number in reversed(range(len(levels))):
            for piece in self._pyramid.pieces(number):
                for block in blocks_of(self._pieces.get(piece)):
                    write_block(file, block)

    def _encode_anew(self, whole: Path, encoded: Path) -> None:
        """Let GDAL encode it as the user asked, and read all of it: that the disk was full, it does not say."""
        with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", GDAL_CACHEMAX=64):
            raster_copy(str(whole), str(encoded), driver="COG", **{"BLOCKSIZE": BLOCK, **self._creation.for_gdal})
        with open_raster(encoded) as made:
            for piece in self.layout.pieces:
                made.read(piece)


OPTIONS_TAG = "SATTRANS_OPTIONS"
"""The GeoTIFF tag that holds, as JSON, the options that made it."""


def options_of(output: Path) -> dict[str, Any] | None:
    """Return the options that made an output; None where it is not there, or not ours."""
    try:
        with open_raster(output) as raster:
            return dict(json.loads(raster.tags().get(OPTIONS_TAG, "")))
    except (RasterError, ValueError, TypeError):
        return None


def check_whole(output: Path) -> None:
    """Raise `RasterError` for an output that was cut short; what `is_whole` does not notice is not noticed here."""
    if not is_whole(output):
        raise RasterError(f"{output} is damaged, its end is missing: delete it, or --overwrite, and it is made anew")


def is_finished(
    output: Path, options: Mapping[str, Any], creation: Creation | None = None, words: Mapping[str, str] | None = None
) -> bool:
    """Say whether `output` stands there, made with these options.

    Raises `OutputExists` where it was made with others, or by something else, and `RasterError` where it was cut short.
    `words` are those of `check_same_options`.
    """
    if not output.exists():
        return False
    made_with = options_of(output)
    if made_with is None:
        damaged = "is damaged, or " if output.is_file() and not is_whole(output) else ""
        raise OutputExists(
            f"{output} exists and {damaged}was not made by sattrans: choose another name, or --overwrite"
        )
    check_whole(output)
    check_same_options(output, made_with, (creation or Creation()).added_to(options), words)
    folder, begun = part_of(output), begun_with(output)
    if begun is not None and any(begun.get(name) != value for name, value in made_with.items()):
        log.info("in %s lies, unfinished, what was begun with other options", folder)
    elif folder.exists():  # killed between the last rename and the clean-up
        with lock(folder):
            remove(folder)
    return True


def begun_with(output: Path) -> dict[str, Any] | None:
    """Return the options of what lies unfinished beside an output; None where nothing does."""
    manifest = _manifest_of(output)
    return dict(read_manifest(manifest, "rows", VERSION)["options"]) if manifest.exists() else None


def check_begun(
    output: Path,
    options: Mapping[str, Any],
    overwrite: bool,
    creation: Creation | None = None,
    *,
    words: Mapping[str, str] | None = None,
    aside: Mapping[str, str] | None = None,
) -> None:
    """Raise what `row_writer` would for pieces that a killed run left, or another writes; nothing is made."""
    check_unlocked(part_of(output))
    begun = begun_with(output)
    if begun is not None and not overwrite:
        asked = as_json({**(creation or Creation()).added_to(options), **(aside or {})})
        check_same_options(part_of(output), begun, asked, words)


def _manifest_of(output: Path) -> Path:
    return part_of(output) / "rows.json"


@contextmanager
def row_writer(
    output: Path,
    layout: Layout,
    options: Mapping[str, Any],
    overwrite: bool,
    creation: Creation | None = None,
    *,
    words: Mapping[str, str] | None = None,
    aside: Mapping[str, str] | None = None,
) -> Iterator[RowWriter]:
    """Give a `RowWriter` for `output` and, when the block is left without an error, build the output.

    `options`, and `creation` (the encoding) with them, decide the bytes: pieces that a killed run left are taken up
    where they are the same, and refused (`OutputExists`, in these `words`) where they are not, unless `overwrite`.
    Options `aside` count until the output is finished, which does not tell them. Files in its folder that the writer
    is told to put `beside` go to their places once the output is in its own. One writer at a time (`LockedError`).
    """
    folder = part_of(output)
    options = (creation or Creation()).added_to(options)
    asked = as_json({**options, **(aside or {})})
    with lock(folder):
        begun = begun_with(output)
        if overwrite and begun != asked:
            remove(folder)
            begun = None
        if begun is not None:
            check_same_options(folder, begun, asked, words)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_manifest(_manifest_of(output), "rows", VERSION, {"options": asked})
        writer = RowWriter(folder, layout, options, creation)
        if begun is not None:
            writer.take_up()
        yield writer
        writer.finish(output)
        for name, place in writer.beside.items():
            (folder / name).replace(place)
        remove(folder)
