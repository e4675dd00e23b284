"""Vector files, read with pyogrio: which driver opens a file, its layers, and their features by box or in batches."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import RasterError, SattransError
from sattrans.maps.geojson import check_geojson
from sattrans.raster.georeference import parse_crs
from sattrans.raster.tile_formats import IMAGE_SUFFIXES

DRIVER_OF_MAGIC = {b"SQLite format 3\0": "GPKG", b"\0\0\x27\x0a": "ESRI Shapefile"}
"""First bytes of a file, and the driver that then opens it; GeoJSON is text that starts with a brace."""

PREFIX_OF_DRIVER = {"GeoJSON": "GeoJSON:"}
"""What makes GDAL open a file by this driver alone, where the first bytes do not already decide that: text that begins
with a brace may also be a VRT or a pipeline, which name addresses and other files."""

OTHER_MAP_SUFFIXES = (".gpkg", ".geojson", *IMAGE_SUFFIXES)
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
    return "GeoJSON" if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else None


def vector_files(path: Path) -> list[Path]:
    """Return the files of a vector map: the file itself, or the shapefiles of a folder that contains no other map.

    Empty if `path` is not a vector map.
    """
    if path.is_dir():
        shapefiles = sorted(path.glob("*.shp"))
        return [] if any(file.suffix.lower() in OTHER_MAP_SUFFIXES for file in path.iterdir()) else shapefiles
    if path.is_fifo() or path.is_socket():
        return []
    return [path] if driver_of(path) else []


def _source(file: Path) -> str:
    """Return the name by which pyogrio opens this file and no other. Raises `RasterError`."""
    from pyogrio.util import vsi_path

    driver = driver_of(file)
    if driver is None:
        raise RasterError(f"{file} is not a vector map any more; was it replaced?")
    if driver == "GeoJSON":
        check_geojson(file)
    name = PREFIX_OF_DRIVER.get(driver, "") + str(file.absolute())
    if vsi_path(name) != name:  # it takes a part of the name for that of an archive
        raise RasterError(f"{file} has a name that may mean another file; rename it, without ! and ;")
    return name


def layers_of(files: Sequence[Path]) -> list[Layer]:
    """Return the layers with geometries. Raises `RasterError` for a file that is damaged or has no CRS."""
    layers = []
    for file in files:
        driver = driver_of(file)
        for name, geometry_type in _call_pyogrio("list_layers", file):
            if geometry_type is None:
                continue
            info = _call_pyogrio("read_info", file, layer=name, force_total_bounds=True, force_feature_count=True)
            if driver is None or info["driver"] != driver:
                raise RasterError(f"{file} is opened as {info['driver']}, but its first bytes differ; convert it first")
            extent = info["total_bounds"] if info["features"] else None
            extent = extent if extent is not None and np.isfinite(extent).all() else None
            layers.append(Layer(file, name, driver, _crs(file, info["crs"]), tuple(info["fields"]), extent))
    return layers


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
    return Features(geometry, {name: _texts(by_name[name]) for name in attributes})


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
    function = pyogrio.raw.read if name == "raw.read" else getattr(pyogrio, name)
    try:
        source = _source(file)
        with _warnings_lock, catch_warnings():
            simplefilter("ignore")  # about dropped measures, and layers with an unusual axis order
            return function(source, **arguments)
    except RasterError:
        raise
    except (RuntimeError, ValueError, OSError) as error:  # pyogrio's errors are subclasses; so is text that is no UTF-8
        reason = (str(error).splitlines() or [type(error).__name__])[0].split("; ")[0]
        raise RasterError(f"cannot read {file} as a vector map ({reason}); download or create it again") from error
