"""Vector files, read with pyogrio: which driver opens a file, its layers, and their features by box or in batches."""

import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from sattrans.data.dataset import VECTOR_SUFFIXES
from sattrans.errors import RasterError, SattransError
from sattrans.maps.geojson import check_geojson
from sattrans.raster.georeference import NOWHERE, lie_on_earth, parse_crs
from sattrans.raster.tile_formats import IMAGE_SUFFIXES
from sattrans.utils.hashing import fingerprint

DRIVER_OF_MAGIC = {b"SQLite format 3\0": "GPKG", b"\0\0\x27\x0a": "ESRI Shapefile", b"fgb\x03fgb": "FlatGeobuf"}
"""First bytes of a file, and the driver that then opens it; GeoJSON is text that starts with a brace."""

OSM_XML = re.compile(rb"\s*(?:<\?xml[^<>]*\?>)?\s*<osm[\s>]")
OSM_PBF = b"OSMHeader"
"""What an extract of OpenStreetMap begins with, as XML or after a few bytes of a PBF."""

OTHER_DATA_SOURCES = re.compile(rb"<(?:OGR|VRT|GDAL|WMS|WFS|kml|gpx)", re.IGNORECASE)
"""What makes GDAL take an XML file for another format, which may name addresses and other files."""

LOOKED_AT = 1 << 16
"""First bytes of an XML file in which no other format may be named; GDAL looks at fewer."""

WHOLE_DRIVERS = ("GeoJSON", "OSM")
"""Drivers of files without an index, which are read once and whole."""

FORMATS = "GeoPackage, GeoJSON, Shapefile, FlatGeobuf, and OpenStreetMap extracts (.osm, .osm.pbf)"
"""The formats of vector maps, for messages."""

PREFIX_OF_DRIVER = {"GeoJSON": "GeoJSON:"}
"""What makes GDAL open a file by this driver alone, where the first bytes do not already decide that: text that begins
with a brace may also be a VRT or a pipeline, which name addresses and other files."""

OTHER_MAP_SUFFIXES = (*(suffix for suffix in VECTOR_SUFFIXES if suffix != ".shp"), *IMAGE_SUFFIXES)
"""Suffixes of maps that are not shapefiles."""

BATCH_FEATURES = 50_000
"""Features that are read at a time if all are read."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

_warnings_lock = threading.Lock()  # warning filters belong to the process


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a vector file.

    Attributes:
        file: The file.
        name: The layer's name.
        driver: The driver that reads the file.
        crs: The CRS as WKT.
        fields: The names of its attributes.
        extent: The box of all features; None if there are none.
    """

    file: Path
    name: str
    driver: str
    crs: str | None
    fields: tuple[str, ...]
    extent: Box | None


@dataclass(frozen=True, slots=True)
class Features:
    """Features of a layer.

    Attributes:
        geometry: The geometry of each feature, None for a feature without one.
        attributes: The values of each attribute that was read, as texts or None.
    """

    geometry: NDArray[np.object_]
    attributes: dict[str, NDArray[np.object_]]


def driver_of(path: Path) -> str | None:
    """Return the driver of a vector file by its first bytes; None for another file."""
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return None
    for magic, driver in DRIVER_OF_MAGIC.items():
        if start.startswith(magic):
            return driver
    start = start.removeprefix(b"\xef\xbb\xbf")
    if OSM_PBF in start[:32] or OSM_XML.match(start):
        return "OSM"
    return "GeoJSON" if start.lstrip().startswith(b"{") else None


def other_format(path: Path) -> str:
    """Return what is wrong with a file that looks like a vector map of a format that is not read, or nothing."""
    try:
        with path.open("rb") as file:
            start = file.read(LOOKED_AT)
    except OSError:
        return ""
    if start.startswith(b"PK\x03\x04"):
        return f"{path} is a zip archive; unpack it, and give a file of it ({FORMATS})"
    if re.search(rb"<(?:\w+:)?(?:kml|gpx|gml|FeatureCollection)\b", start[:4096], re.IGNORECASE):
        return (
            f"{path} is a vector map of another format than {FORMATS}; convert it, such as with ogr2ogr map.gpkg {path}"
        )
    return ""


def vector_files(path: Path) -> list[Path]:
    """Return the files of a vector map: the file itself, or the shapefiles of a folder that contains no other map.

    Empty if `path` is not a vector map.
    """
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if not file.name.startswith(".")]
        other = any(file.suffix.lower() in OTHER_MAP_SUFFIXES for file in files)
        return [] if other else [file for file in files if file.suffix.lower() == ".shp"]
    if path.is_fifo() or path.is_socket():
        return []
    return [path] if driver_of(path) else []


def with_companions(files: Sequence[Path]) -> list[Path]:
    """Return the files of a vector map and those that belong to them: a shapefile consists of several files."""
    parts = [part for file in files if file.suffix.lower() == ".shp" for part in file.parent.glob(f"{file.stem}.*")]
    return sorted({*files, *(part for part in parts if part.suffix.lower() in (".dbf", ".prj", ".shx", ".cpg"))})


def _source(file: Path) -> str:
    """Return the name by which pyogrio opens this file and no other. Raises `RasterError`."""
    from pyogrio.util import vsi_path

    driver = driver_of(file)
    if driver is None:
        raise RasterError(f"{file} is not a vector map any more; was it replaced?")
    if driver == "GeoJSON":
        check_geojson(file)
    if driver == "OSM":
        _check_osm(file)
    name = PREFIX_OF_DRIVER.get(driver, "") + str(file.absolute())
    if vsi_path(name) != name:  # it takes a part of the name for that of an archive
        raise RasterError(f"{file} has a name that may mean another file; rename it, without ! and ;")
    return name


def _check_osm(file: Path) -> None:
    """Raise `RasterError` for an OSM file in which GDAL may see another format."""
    with file.open("rb") as opened:
        start = opened.read(LOOKED_AT)
    if OSM_PBF not in start[:32] and OTHER_DATA_SOURCES.search(start):
        raise RasterError(f"{file} begins with words of another format than OSM; convert it to a GeoPackage first")


def layers_of(files: Sequence[Path]) -> list[Layer]:
    """Return the layers with geometries. Raises `RasterError` for a file that is damaged or has no CRS."""
    return [layer for file in files for layer in _layers_of(file, fingerprint(with_companions([file])))]


@lru_cache(maxsize=64)  # many scenes may have their labels in one file
def _layers_of(file: Path, state: str) -> tuple[Layer, ...]:
    driver = driver_of(file)
    if driver is None:
        raise RasterError(f"{file} is not a vector map any more; was it replaced?")
    layers = []
    for name, geometry_type in _call_pyogrio("list_layers", file):
        if geometry_type is None:
            continue
        counts = driver != "OSM"  # whose every count and extent is a pass through the file
        info = _call_pyogrio("read_info", file, layer=name, force_total_bounds=counts, force_feature_count=counts)
        if info["driver"] != driver:
            raise RasterError(f"{file} is opened as {info['driver']}, but its first bytes differ; convert it first")
        layer = Layer(file, name, driver, _crs(file, info["crs"]), tuple(info["fields"]), None)
        if counts:
            extent = info["total_bounds"] if info["features"] else None
        else:
            corners = shapely.get_coordinates(read_box(layer, (), None).geometry)
            extent = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()) if len(corners) else None
        extent = None if extent is None or extent[0] > extent[2] else extent  # without a geometry
        _check_coordinates(file, name, extent or ())
        layers.append(replace(layer, extent=extent))
    return tuple(layers)


def read_box(layer: Layer, attributes: Sequence[str], box: Box | None) -> Features:
    """Return the features whose boxes intersect a box in the layer's CRS; None for all features."""
    return _read(layer, attributes, bbox=box)


def read_batches(layer: Layer, attributes: Sequence[str], box: Box | None = None) -> Iterator[Features]:
    """Yield all features, or those in a box, in batches."""
    start = 0
    while True:
        batch = _read(layer, attributes, bbox=box, skip_features=start, max_features=BATCH_FEATURES)
        yield batch
        if len(batch.geometry) < BATCH_FEATURES:
            return
        start += BATCH_FEATURES


def _read(layer: Layer, attributes: Sequence[str], **arguments: Any) -> Features:
    info, _, wkb, columns = _call_pyogrio(
        "raw.read", layer.file, layer=layer.name, columns=list(attributes), force_2d=True, **arguments
    )
    by_name = dict(zip(info["fields"], columns, strict=True))
    geometry = shapely.from_wkb(wkb, on_invalid="ignore")
    _check_coordinates(layer.file, layer.name, shapely.get_coordinates(geometry))
    return Features(geometry, {name: _texts(by_name[name]) for name in attributes})


def _check_coordinates(file: Path, layer: str, coordinates: ArrayLike) -> None:
    if not lie_on_earth(coordinates):
        raise RasterError(f"{file}: layer {layer} has {NOWHERE}; repair the file")


def _texts(column: NDArray[Any]) -> NDArray[np.object_]:
    """Return attributes as texts: whole numbers without a decimal point, None for missing values."""
    kind = column.dtype.kind
    if kind == "f":
        texts = [None if np.isnan(number) else f"{number:.15g}" for number in column.tolist()]
    elif kind == "b":
        texts = [str(value).lower() for value in column.tolist()]
    else:
        texts = [None if value is None else str(value) for value in column.tolist()]
    return np.array(texts, object)


def _crs(file: Path, crs: str | None) -> str:
    if not crs:
        raise RasterError(f"{file} has no CRS; add one, such as with ogr2ogr -a_srs EPSG:2180")
    try:
        return parse_crs(crs)
    except ValueError as error:
        raise RasterError(f"{file}: {error}; convert it to another CRS") from error


def _call_pyogrio(name: str, file: Path, **arguments: Any) -> Any:
    """Call a function of pyogrio; raise `RasterError` if it fails, `SattransError` if pyogrio is not installed."""
    try:
        import pyogrio.raw
    except ImportError:
        raise SattransError(
            f"{file} is a vector map, and pyogrio, which reads them, is not installed: pip install 'sattrans[vector]'"
        ) from None
    # A large OSM file needs a temporary one, which GDAL would otherwise make in the current folder.
    pyogrio.set_gdal_config_options({"CPL_TMPDIR": tempfile.gettempdir()})
    function = pyogrio.raw.read if name == "raw.read" else getattr(pyogrio, name)
    try:
        source = _source(file)
        with _warnings_lock, catch_warnings():
            simplefilter("ignore")  # about dropped measures, and layers with an unusual axis order
            return function(source, **arguments)
    except RasterError:
        raise
    except UnboundLocalError as error:  # pyogrio 0.13's own, where the text of a CRS is no UTF-8
        raise RasterError(
            f"cannot read the CRS of {file}; assign one, such as with ogr2ogr -a_srs EPSG:2180"
        ) from error
    except (RuntimeError, ValueError, OSError) as error:  # pyogrio's errors are subclasses; so is text that is no UTF-8
        reason = (str(error).splitlines() or [type(error).__name__])[0].split("; ")[0]
        remedy = ", or convert it to a GeoPackage" if driver_of(file) == "OSM" else ""
        raise RasterError(
            f"cannot read {file} as a vector map ({reason}); download or create it again{remedy}"
        ) from error
