"""Georeference kept beside a raster: GDAL's `.aux.xml` and ESRI world files, read without GDAL.

GDAL would also follow an overview or mask file that is a VRT in disguise, so it is told to look at nothing
beside the file it opens, and these two formats, which hold nothing but numbers and a CRS, are read here.

Formats: https://gdal.org/en/stable/drivers/raster/pam.html and
https://gdal.org/en/stable/drivers/raster/wld.html
"""

import math
from pathlib import Path
from xml.etree import ElementTree

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from sattrans.errors import RasterError

MOST_BYTES = 4 << 20
"""A sidecar is a page of text; a larger file is something else."""


def read_aux_xml(path: Path) -> tuple[CRS | None, Affine | None]:
    """Return the CRS and transform in `<path>.aux.xml`; None for what is not there.

    Raises `RasterError` where the file is there and is not a plain PAM document.
    """
    beside = path.with_name(path.name + ".aux.xml")
    if not beside.is_file():
        return None, None
    if beside.stat().st_size > MOST_BYTES:
        raise RasterError(f"{beside} has over {MOST_BYTES >> 20} MiB: that is no GDAL side file")
    try:
        root = ElementTree.fromstring(beside.read_bytes(), ElementTree.XMLParser(target=_NoDoctype()))  # noqa: S314
        wkt, numbers = root.findtext("SRS"), root.findtext("GeoTransform")
        # from_wkt: anything more general would also take a path or an address, and read it.
        crs = CRS.from_wkt(wkt.strip()) if wkt and wkt.strip() else None
        transform = Affine.from_gdal(*_numbers(numbers.split(","))) if numbers else None
    except (ElementTree.ParseError, CRSError, ValueError) as error:
        raise RasterError(f"{beside} is damaged ({error}): mend or remove it") from error
    return crs, transform


class _NoDoctype(ElementTree.TreeBuilder):
    """Builds a document without a type declaration, and so without entities, in whatever encoding it comes."""

    def doctype(self, *_: str | None) -> None:
        """Refuse the declaration."""
        raise ValueError("it declares a document type, which no GDAL side file does")


def read_world_file(path: Path) -> Affine | None:
    """Return the transform in the world file of `path` (`.tfw`, `.tifw`, `.wld`, `.TFW` and the like), or None."""
    suffix = path.suffix.lstrip(".").lower()
    names = [f".{suffix[0]}{suffix[-1]}w", f".{suffix}w", ".wld"] if suffix else [".wld"]
    names += [name.upper() for name in names]
    beside = next((found for name in names if (found := path.with_suffix(name)).is_file()), None)
    if beside is None:
        return None
    try:
        # Column by column, and the origin at the centre of the first pixel.
        with beside.open(encoding="ascii") as file:
            a, d, b, e, c, f = _numbers(file.read(MOST_BYTES).split()[:6])
    except (ValueError, UnicodeDecodeError) as error:
        raise RasterError(f"{beside} is no world file (six numbers, one a line): mend or remove it") from error
    return Affine(a, b, c, d, e, f) @ Affine.translation(-0.5, -0.5)


def _numbers(texts: list[str]) -> list[float]:
    numbers = [float(text) for text in texts]
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{len(numbers)} numbers instead of six, or one that is not finite")
    return numbers
