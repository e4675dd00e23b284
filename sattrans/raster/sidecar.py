"""Georeference in a file beside a raster: GDAL's `.aux.xml` and ESRI world files, read without GDAL.

GDAL would also open an overview or mask file beside a raster, even a VRT that is named like one. So GDAL is told to
ignore such files, and these two formats, which contain only numbers and a CRS, are read here.

Formats: https://gdal.org/en/stable/drivers/raster/pam.html and
https://gdal.org/en/stable/drivers/raster/wld.html
"""

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from sattrans.errors import RasterError
from sattrans.raster.georeference import names_a_file
from sattrans.raster.side_mask import SUFFIX as MASK_SUFFIX

AUX_SUFFIX = ".aux.xml"

MAX_BYTES = 4 << 20
"""A sidecar is a page of text; a larger file is something else."""


def read_aux_xml(path: Path) -> tuple[CRS | None, Affine | None]:
    """Return the CRS and transform in `<path>.aux.xml`, each None if it is missing.

    Raises `RasterError` if the file exists and is not a plain PAM document.
    """
    sidecar = path.with_name(path.name + AUX_SUFFIX)
    if not sidecar.is_file():
        return None, None
    if sidecar.stat().st_size > MAX_BYTES:
        raise RasterError(f"{sidecar} is over {MAX_BYTES >> 20} MiB, too large for a GDAL sidecar; remove it")
    try:
        root = ElementTree.fromstring(sidecar.read_bytes(), ElementTree.XMLParser(target=_NoDoctype()))  # noqa: S314
        wkt, numbers = root.findtext("SRS"), root.findtext("GeoTransform")
        if wkt and names_a_file(wkt):
            raise ValueError("its CRS needs a grid file")
        # Only from_wkt: a more general function would accept a path or an address, and read it.
        crs = CRS.from_wkt(wkt.strip()) if wkt and wkt.strip() else None
        transform = Affine.from_gdal(*_parse_transform(numbers.split(","))) if numbers else None
    except (ElementTree.ParseError, CRSError, ValueError) as error:
        raise RasterError(f"{sidecar} is damaged ({error}); repair or remove it") from error
    return crs, transform


class _NoDoctype(ElementTree.TreeBuilder):
    """Builds a document without a type declaration, and so without entities, in whatever encoding it has."""

    def doctype(self, *_: str | None) -> None:
        """Refuse the declaration."""
        raise ValueError("it declares a document type, but a GDAL sidecar has none")


def read_world_file(path: Path) -> Affine | None:
    """Return the transform in the world file of `path` (`.tfw`, `.tifw`, `.wld`, `.TFW` and the like), or None."""
    world_file = next((candidate for candidate in _world_files(path) if candidate.is_file()), None)
    if world_file is None:
        return None
    try:
        # Column by column, with the origin at the centre of the first pixel.
        with world_file.open(encoding="ascii") as file:
            a, d, b, e, c, f = _parse_transform(file.read(MAX_BYTES).split()[:6])
    except (ValueError, UnicodeDecodeError) as error:
        raise RasterError(f"{world_file} is not a world file (six numbers, one a line); repair or remove it") from error
    return Affine(a, b, c, d, e, f) @ Affine.translation(-0.5, -0.5)


def _world_files(path: Path) -> list[Path]:
    """Return the paths at which a raster may have its world file, whether they exist or not."""
    suffix = path.suffix.lstrip(".").lower()
    names = [f".{suffix[0]}{suffix[-1]}w", f".{suffix}w", ".wld"] if suffix else [".wld"]
    return [path.with_suffix(name) for name in (*names, *(name.upper() for name in names))]


def side_files(rasters: Iterable[Path]) -> dict[Path, tuple[Path, ...]]:
    """Return, of each raster that has any, the files beside it that are read with it: mask, `.aux.xml`, world file.

    Each folder is listed once. Overviews (`.ovr`) are not read.
    """
    names: dict[Path, frozenset[str]] = {}
    found = {}
    for path in rasters:
        if path.parent not in names:
            exists = path.parent.is_dir()
            names[path.parent] = frozenset(entry.name for entry in os.scandir(path.parent)) if exists else frozenset()
        candidates = [path.with_name(path.name + suffix) for suffix in (MASK_SUFFIX, AUX_SUFFIX)] + _world_files(path)
        beside = tuple(file for file in candidates if file.name in names[path.parent] and file != path)
        if beside:
            found[path] = beside
    return found


def with_side_files(rasters: Sequence[Path]) -> list[Path]:
    """Return rasters and the files beside them that are read with them, each once."""
    return list(dict.fromkeys([*rasters, *(file for beside in side_files(rasters).values() for file in beside)]))


def _parse_transform(texts: list[str]) -> list[float]:
    numbers = [float(text) for text in texts]
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{len(numbers)} numbers instead of six, or one that is not finite")
    return numbers
