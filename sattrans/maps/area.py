"""Areas of interest that users name (--aoi): polygons in a GeoJSON or in another vector file."""

from pathlib import Path

import shapely

from sattrans.errors import RasterError, UsageError
from sattrans.maps.ogr import FORMATS, Layer, driver_of, layers_of, other_format, read_batches, vector_files
from sattrans.raster.aoi import Area, read_aoi


def read_area(path: Path) -> Area:
    """Read the polygons of a vector file, in the file's CRS.

    Raises:
        UsageError: The file cannot be read, or has no valid polygons, or several layers of them.
    """
    if problem := other_format(path):
        raise UsageError(f"--aoi {problem}")
    files = vector_files(path)
    if path.is_file() and not files:
        raise UsageError(f"--aoi {path} is not a vector file; give polygons as {FORMATS}")
    if not files or (len(files) == 1 and driver_of(files[0]) == "GeoJSON"):
        return read_aoi(path)
    try:
        layers = [layer for layer in layers_of(files) if layer.extent]
        polygons = {layer: _polygons(layer) for layer in layers}
    except RasterError as error:
        raise UsageError(f"--aoi: {error}") from error
    held = {layer: shapes for layer, shapes in polygons.items() if shapes}
    if len(held) != 1:
        names = ", ".join(layer.name for layer in held) or "none"
        raise UsageError(f"--aoi {path} must have one layer of polygons, it has {names}; save one layer as a file")
    ((layer, shapes),) = held.items()
    for shape in shapes:
        if not shapely.is_valid(shape):
            reason = shapely.is_valid_reason(shape)
            raise UsageError(f"--aoi {path} contains a polygon that crosses itself ({reason}); repair it first")
    return Area(f"--aoi {path}", shapely.union_all(shapes), layer.crs)


def _polygons(layer: Layer) -> list[shapely.Geometry]:
    geometry = [shape for batch in read_batches(layer, ()) for shape in batch.geometry if shape is not None]
    return [part for part in shapely.get_parts(geometry) if shapely.get_dimensions(part) == 2 and part.area]
