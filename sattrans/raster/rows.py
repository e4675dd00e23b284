"""A large GeoTIFF written in pieces of whole blocks, each an atomic file, so that a kill loses few at most.

A tiled GeoTIFF that is killed while it is written opens cleanly and reads zeros: it cannot tell what it has.
So the pieces stand in `<output>.part/` until all are there; then the cloud-optimised GeoTIFF is built from them.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.shutil import copy as raster_copy

from sattrans.errors import OutputExists, RasterError
from sattrans.files import (
    as_json,
    check_same_options,
    lock,
    part_of,
    read_manifest,
    remove,
    sync,
    write_bytes,
    write_manifest,
)
from sattrans.grid import Window
from sattrans.palette import RGB
from sattrans.raster.gate import open_raster
from sattrans.raster.georeference import Georeference
from sattrans.raster.write import encode

BLOCK = 512
"""Side of a block, and height of a piece, in pixels."""

PANEL = 16 * BLOCK
"""Width of a piece, in pixels: what is held in memory grows no wider than that."""

VERSION = 1


@dataclass(frozen=True)
class Layout:
    """What a large raster is: its size, bands (1 or 3, and one more for `alpha`), place and tags."""

    height: int
    width: int
    count: int
    georeference: Georeference
    alpha: bool = False
    colormap: Mapping[int, RGB] | None = None
    nodata: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[Window]:
        """The rows of blocks, from the top."""
        return [Window(top, 0, min(BLOCK, self.height - top), self.width) for top in range(0, self.height, BLOCK)]

    @property
    def pieces(self) -> list[Window]:
        """What is written at a time: whole blocks, one high and up to `PANEL` px wide, row by row from the top left."""
        return [
            Window(row.row, left, row.height, min(PANEL, self.width - left))
            for row in self.rows
            for left in range(0, self.width, PANEL)
        ]

    @property
    def bands(self) -> int:
        """All bands, the alpha band included."""
        return self.count + self.alpha


class RowWriter:
    """Takes the pieces of a raster, in any order and from any thread, and knows which it has."""

    def __init__(self, folder: Path, layout: Layout, options: Mapping[str, Any]) -> None:
        self.folder = folder
        self.layout = layout
        self.tags = {**layout.tags, OPTIONS_TAG: json.dumps(dict(options))}

    def _path(self, piece: Window) -> Path:
        return self.folder / f"piece-{piece.row:08d}-{piece.col:08d}.tif"

    def missing(self) -> list[Window]:
        """Return the pieces not written yet."""
        return [piece for piece in self.layout.pieces if not self._path(piece).exists()]

    def write(self, piece: Window, pixels: NDArray[np.uint8]) -> None:
        """Write one piece: `pixels` is (bands, piece height, piece width)."""
        predictor = 1 if self.layout.colormap else 2
        data = encode(pixels, tiled=True, blockxsize=BLOCK, blockysize=BLOCK, predictor=predictor, BIGTIFF="IF_SAFER")
        write_bytes(self._path(piece), data)

    def finish(self, output: Path) -> None:
        """Build the cloud-optimised GeoTIFF from the pieces, with overviews, and put it in place.

        A colour table, nodata and tags are set on the way; a class map's overviews are by nearest neighbour.
        """
        sync(self.folder)
        vrt = self.folder / "pieces.vrt"
        vrt.write_text(self._vrt(), encoding="utf-8")
        resampling = "NEAREST" if self.layout.colormap else "AVERAGE"
        whole = self.folder / "cog.tif"
        try:
            with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", GDAL_CACHEMAX=256):
                raster_copy(
                    str(vrt),
                    str(whole),
                    driver="COG",
                    COMPRESS="ZSTD",
                    LEVEL="1",
                    PREDICTOR="NO" if self.layout.colormap else "YES",
                    BLOCKSIZE=str(BLOCK),
                    OVERVIEW_RESAMPLING=resampling,
                    BIGTIFF="IF_SAFER",
                )
            self._verify(whole)
        except (RasterioError, CPLE_BaseError, RasterError) as error:
            whole.unlink(missing_ok=True)
            raise RasterError(
                f"{output} cannot be written ({error}): is the disk full? Its pieces are kept in {self.folder}, and "
                "the same command goes on"
            ) from error
        sync(whole)
        whole.replace(output)
        sync(output.parent)

    def _verify(self, whole: Path) -> None:
        """Read all of it back: that the disk was full when GDAL closed it, nobody says."""
        with open_raster(whole) as made:
            for piece in self.layout.pieces:
                with open_raster(self._path(piece)) as part:
                    if not np.array_equal(made.read(piece), part.read()):
                        raise RasterError(f"{whole}: rows {piece.row} to {piece.bottom} are not what they should be")

    def _vrt(self) -> str:
        """Return a GDAL VRT that joins the pieces (format: https://gdal.org/en/stable/drivers/raster/vrt.html)."""
        layout = self.layout
        place = layout.georeference
        lines = [f'<VRTDataset rasterXSize="{layout.width}" rasterYSize="{layout.height}">']
        if place.crs:
            lines.append(f"<SRS>{escape(place.crs)}</SRS>")
        if place.known:
            lines.append(f"<GeoTransform>{', '.join(map(repr, place.affine.to_gdal()))}</GeoTransform>")
        lines.append("<Metadata>")
        lines += [f"<MDI key={quoteattr(key)}>{escape(value)}</MDI>" for key, value in self.tags.items()]
        lines.append("</Metadata>")
        meanings = {1: ["Palette" if layout.colormap else "Gray"], 3: ["Red", "Green", "Blue"]}[layout.count]
        for band, meaning in enumerate([*meanings, *(["Alpha"] if layout.alpha else [])], 1):
            lines.append(f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{meaning}</ColorInterp>')
            if layout.nodata is not None:
                lines.append(f"<NoDataValue>{layout.nodata:g}</NoDataValue>")
            if layout.colormap:
                table = layout.colormap
                entries = (table.get(value, (0, 0, 0)) for value in range(max(table) + 1))
                lines.append("<ColorTable>")
                lines += ['<Entry c1="{}" c2="{}" c3="{}" c4="255"/>'.format(*entry) for entry in entries]
                lines.append("</ColorTable>")
            for piece in layout.pieces:
                size = f'xSize="{piece.width}" ySize="{piece.height}"'
                lines.append(
                    f'<SimpleSource><SourceFilename relativeToVRT="1">{self._path(piece).name}</SourceFilename>'
                    f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" {size}/>'
                    f'<DstRect xOff="{piece.col}" yOff="{piece.row}" {size}/></SimpleSource>'
                )
            lines.append("</VRTRasterBand>")
        lines.append("</VRTDataset>")
        return "\n".join(lines)


OPTIONS_TAG = "SATTRANS_OPTIONS"
"""The GeoTIFF tag that holds, as JSON, the options that made it."""


def _options_of(output: Path) -> dict[str, Any] | None:
    try:
        with open_raster(output) as raster:
            return dict(json.loads(raster.tags().get(OPTIONS_TAG, "")))
    except (RasterError, ValueError, TypeError):
        return None


def is_ours(output: Path) -> bool:
    """Say whether a raster stands there that sattrans made."""
    return output.exists() and _options_of(output) is not None


def is_finished(output: Path, options: Mapping[str, Any]) -> bool:
    """Say whether `output` stands there, made with these options.

    Raises `OutputExists` where it was made with others, or by something else.
    """
    if not output.exists():
        return False
    made_with = _options_of(output)
    if made_with is None:
        raise OutputExists(f"{output} exists and was not made by sattrans: choose another name, or --overwrite")
    check_same_options(output, made_with, options)
    folder = part_of(output)
    if folder.exists():  # killed between the last rename and the clean-up
        with lock(folder):
            remove(folder)
    return True


@contextmanager
def row_writer(output: Path, layout: Layout, options: Mapping[str, Any], overwrite: bool) -> Iterator[RowWriter]:
    """Give a `RowWriter` for `output` and, when the block is left without an error, build the output.

    `options` decide the bytes: pieces that a killed run left are taken up where they are the same, and
    refused (`OutputExists`) where they are not, unless `overwrite`. One writer at a time (`LockedError`).
    """
    folder = part_of(output)
    asked = as_json(options)
    with lock(folder):
        manifest = folder / "rows.json"
        begun = read_manifest(manifest, "rows", VERSION)["options"] if manifest.exists() else None
        if overwrite and begun != asked:
            remove(folder)
            begun = None
        if begun is not None:
            check_same_options(folder, begun, asked)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_manifest(manifest, "rows", VERSION, {"options": asked})
        writer = RowWriter(folder, layout, options)
        yield writer
        writer.finish(output)
        remove(folder)
