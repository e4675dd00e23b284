"""Vector files: opened as what their first bytes say, their layers listed, their features read by box or in turn."""

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
from sattrans.raster.georeference import crs_of

MAGIC = {b"SQLite format 3\0": "GPKG", b"\0\0\x27\x0a": "ESRI Shapefile"}
"""First bytes of a file, and the driver that then opens it; GeoJSON, a text, opens with a brace."""

OTHER_MAPS = (".gpkg", ".geojson", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2")
"""Names that maps end in which are no shapefiles."""

AT_A_TIME = 50_000
"""Features that are read at once where all are looked at."""

Box = tuple[float, float, float, float]

_turn = threading.Lock()  # warnings are silenced for the whole process


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: its file and name, CRS (WKT), attributes, extent and number of features; None where it is not told."""

    file: Path
    name: str
    driver: str
    crs: str | None
    fields: tuple[str, ...]
    extent: Box | None


@dataclass(frozen=True, slots=True)
class Features:
    """Features of a layer: geometries, None where there are none, and the wanted attributes as texts or None."""

    geometry: NDArray[np.object_]
    attributes: dict[str, NDArray[np.object_]]


def driver_of(path: Path) -> str | None:
    """Return the driver of a vector file by its first bytes, None where it is none."""
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return None
    for magic, driver in MAGIC.items():
        if start.startswith(magic):
            return driver
    return "GeoJSON" if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else None


def vector_files(path: Path) -> list[Path]:
    """Return the files of a vector map: the file itself, or a folder's where it holds shapefiles and no other map.

    Empty where it is none.
    """
    if path.is_dir():
        shapes = sorted(path.glob("*.shp"))
        return [] if any(other.suffix.lower() in OTHER_MAPS for other in path.iterdir()) else shapes
    if path.is_fifo() or path.is_socket():
        return []
    return [path] if driver_of(path) else []


def layers_of(files: Sequence[Path]) -> list[Layer]:
    """Return the layers that hold geometries. Raises `RasterError` for a file that is damaged or has no CRS."""
    found = []
    for file in files:
        driver = driver_of(file)
        for name, kind in _asked("list_layers", file):
            if kind is None:
                continue
            facts = _asked("read_info", file, layer=name, force_total_bounds=True, force_feature_count=True)
            if driver is None or facts["driver"] != driver:
                raise RasterError(f"{file} is opened as {facts['driver']}, and does not look like it: convert it first")
            extent = facts["total_bounds"] if facts["features"] else None
            extent = extent if extent is not None and np.isfinite(extent).all() else None
            found.append(Layer(file, name, driver, _crs(file, facts["crs"]), tuple(facts["fields"]), extent))
    return found


def read_box(layer: Layer, attributes: Sequence[str], box: Box | None) -> Features:
    """Read the features whose boxes meet a box in the layer's CRS."""
    return _features(layer, attributes, bbox=box)


def read_all(layer: Layer, attributes: Sequence[str], box: Box | None = None) -> Iterator[Features]:
    """Yield all features, or those in a box, some at a time."""
    start = 0
    while True:
        part = _features(layer, attributes, bbox=box, skip_features=start, max_features=AT_A_TIME)
        yield part
        if len(part.geometry) < AT_A_TIME:
            return
        start += AT_A_TIME


def _features(layer: Layer, attributes: Sequence[str], **how: Any) -> Features:
    told, _, wkb, columns = _asked(
        "raw.read", layer.file, layer=layer.name, columns=list(attributes), force_2d=True, **how
    )
    by_name = dict(zip(told["fields"], columns, strict=True))
    geometry = shapely.from_wkb(wkb, on_invalid="ignore")
    return Features(geometry, {name: _texts(by_name[name]) for name in attributes})


def _texts(column: NDArray[Any]) -> NDArray[np.object_]:
    """Return attributes as texts: whole numbers without a point, None for what is not told."""
    kind = column.dtype.kind
    if kind == "f":
        texts = [None if np.isnan(number) else f"{number:.15g}" for number in column.tolist()]
    elif kind == "b":
        texts = [str(value).lower() for value in column.tolist()]
    else:
        texts = [None if value is None else str(value) for value in column.tolist()]
    return np.array(texts, object)


def _crs(file: Path, told: str | None) -> str:
    if not told:
        raise RasterError(f"{file} has no CRS: give it one, such as with ogr2ogr -a_srs EPSG:2180")
    try:
        return crs_of(told)
    except ValueError as error:
        raise RasterError(f"{file}: {error}; convert it to another") from error


def _asked(what: str, file: Path, **how: Any) -> Any:
    """Call a function of pyogrio; raise `RasterError` where it fails, `SattransError` where pyogrio is not there."""
    try:
        import pyogrio.raw
    except ImportError:
        raise SattransError(
            f"{file} is a vector map, and pyogrio, which reads them, is not installed: pip install 'sattrans[vector]'"
        ) from None
    function = pyogrio.raw.read if what == "raw.read" else getattr(pyogrio, what)
    try:
        with _turn, catch_warnings():
            simplefilter("ignore")  # of measures that are dropped, and of layers in an order of their own
            return function(str(file.absolute()), **how)
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.FeatureError,
        OSError,
    ) as error:
        reason = str(error).splitlines()[0].split("; ")[0]
        raise RasterError(f"{file} cannot be read as a vector map ({reason}): fetch or make it again") from error
