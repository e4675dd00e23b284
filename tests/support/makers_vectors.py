"""Vector maps made by code: a small town as OpenStreetMap would have it, in the forms that extracts come in."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyogrio.raw import write
from rasterio.warp import transform as transform_points

UTM = "EPSG:32633"
WEST, NORTH = 500_000.0, 5_500_000.0
"""The town's corner in UTM zone 33; its middle meridian, so a metre there is a metre to 0.04 %."""

Feature = tuple[str, str, shapely.Geometry]
"""A kind of thing (buildings, roads …), its OpenStreetMap value, its shape in UTM."""


def at(x: float, y: float) -> tuple[float, float]:
    """Return a place so many metres east and south of the corner."""
    return WEST + x, NORTH - y


def box(x: float, y: float, width: float, height: float) -> shapely.Polygon:
    """Return a rectangle, its corner so many metres east and south of the town's."""
    return shapely.box(*at(x, y + height), *at(x + width, y))


def line(*places: tuple[float, float]) -> shapely.LineString:
    """Return a line through places, in metres east and south of the corner."""
    return shapely.LineString([at(*place) for place in places])


def make_town(side: int = 128, seed: int = 0) -> list[Feature]:
    """Return a town of `side` metres: a wood, a lake, a river, two streets and the houses along them."""
    rng = np.random.default_rng(seed)
    lake = shapely.Point(at(0.75 * side, 0.25 * side)).buffer(0.15 * side)
    features: list[Feature] = [
        ("landuse", "forest", box(0.05 * side, 0.55 * side, 0.4 * side, 0.4 * side)),
        ("landuse", "meadow", box(0.55 * side, 0.55 * side, 0.4 * side, 0.4 * side)),
        ("water", "water", lake),
        ("waterways", "river", line((0.75 * side, 0.25 * side), (0.7 * side, 0.6 * side), (0.75 * side, side))),
        ("roads", "residential", line((0, 0.5 * side), (side, 0.5 * side))),
        ("roads", "primary", line((0.5 * side, 0), (0.5 * side, side))),
        ("roads", "footway", line((0, 0), (side, side))),
    ]
    for x in np.arange(0.05, 0.45, 0.1) * side:
        for y in (0.38 * side, 0.1 * side):
            wide, high = rng.uniform(0.04, 0.07, 2) * side
            features.append(("buildings", "house", box(x, y, wide, high)))
    return features


def write_layer(
    path: Path,
    geometry: Sequence[shapely.Geometry | None],
    layer: str | None = None,
    driver: str = "GPKG",
    crs: str | None = UTM,
    geometry_type: str = "Unknown",
    append: bool = False,
    **fields: Sequence[Any],
) -> Path:
    """Write geometries, in the coordinates of `crs`, with attributes as a layer; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wkb = np.array([None if shape is None else shapely.to_wkb(shape) for shape in geometry], object)
    columns = [
        np.array(values, object if isinstance(next(iter(values), None), str | None) else None)
        for values in fields.values()
    ]
    write(
        path,
        wkb,
        columns,
        list(fields),
        layer=layer or path.stem,
        driver=driver,
        crs=crs,
        geometry_type=geometry_type,
        append=append,
    )
    return path


def in_degrees(shape: shapely.Geometry) -> shapely.Geometry:
    """Return a shape of the town in longitude and latitude."""

    def moved(points: Any) -> Any:
        return np.stack(transform_points(UTM, "EPSG:4326", points[:, 0], points[:, 1]), axis=1)

    return shapely.transform(shape, moved)


GEOFABRIK = {
    "landuse": ("landuse_a", "Polygon"),
    "water": ("water_a", "Polygon"),
    "waterways": ("waterways", "LineString"),
    "roads": ("roads", "LineString"),
    "buildings": ("buildings_a", "Polygon"),
}
"""What Geofabrik calls a kind of thing: gis_osm_<name>_free, and its geometry."""


def write_geofabrik(path: Path, town: Sequence[Feature], degrees: bool = True) -> Path:
    """Write a town as a free extract of Geofabrik: one GeoPackage, or a folder of shapefiles."""
    as_file = path.suffix == ".gpkg"
    for kind, (name, geometry_type) in GEOFABRIK.items():
        chosen = [(value, shape) for its, value, shape in town if its == kind]
        layer = f"gis_osm_{name}_free" if as_file else f"gis_osm_{name}_free_1"
        write_layer(
            path if as_file else path / f"{layer}.shp",
            [in_degrees(shape) if degrees else shape for _, shape in chosen],
            layer,
            "GPKG" if as_file else "ESRI Shapefile",
            "EPSG:4326" if degrees else UTM,
            geometry_type,
            append=as_file and path.exists(),
            fclass=[value for value, _ in chosen],
        )
    return path


TAGS = {"landuse": "landuse", "water": "natural", "waterways": "waterway", "roads": "highway", "buildings": "building"}
"""The OpenStreetMap key of a kind of thing."""


def write_tags(path: Path, town: Sequence[Feature]) -> Path:
    """Write a town as GeoJSON with plain OpenStreetMap tags."""
    chosen = [feature for feature in town if feature[0] in TAGS]
    columns = {key: [value if TAGS[kind] == key else None for kind, value, _ in chosen] for key in TAGS.values()}
    return write_layer(path, [in_degrees(f[2]) for f in chosen], None, "GeoJSON", "EPSG:4326", **columns)


def write_osm(path: Path, head: str = "", foot: str = "") -> Path:
    """Write a building of 20 × 10 m in the town's corner as an OSM file."""
    corners = shapely.get_coordinates(in_degrees(box(0, 0, 20, 10)))[:4]
    nodes = "".join(f'<node id="{n}" lon="{x:.9f}" lat="{y:.9f}"/>' for n, (x, y) in enumerate(corners, 1))
    refs = "".join(f'<nd ref="{n}"/>' for n in (1, 2, 3, 4, 1))
    way = f'<way id="9">{refs}<tag k="building" v="house"/></way>'
    path.write_text(f'<?xml version="1.0"?>\n{head}<osm version="0.6">{foot}{nodes}{way}</osm>')
    return path


def write_pbf(path: Path) -> Path:
    """Write the building of `write_osm` as a PBF (https://wiki.openstreetmap.org/wiki/PBF_Format)."""
    corners = shapely.get_coordinates(in_degrees(box(0, 0, 20, 10)))[:4]
    nodes = b"".join(
        _bytes(1, _number(1, _zigzag(n)) + _number(8, _zigzag(round(y * 1e7))) + _number(9, _zigzag(round(x * 1e7))))
        for n, (x, y) in enumerate(corners, 1)
    )
    refs = b"".join(_varint(_zigzag(step)) for step in (1, 1, 1, 1, -3))
    way = _bytes(3, _number(1, 9) + _bytes(2, b"\x01") + _bytes(3, b"\x02") + _bytes(8, refs))
    texts = b"".join(_bytes(1, text) for text in (b"", b"building", b"house"))
    block = _bytes(1, texts) + _bytes(2, nodes) + _bytes(2, way)
    head = _bytes(4, b"OsmSchema-V0.6")
    path.write_bytes(_blob(b"OSMHeader", head) + _blob(b"OSMData", block))
    return path


def _blob(kind: bytes, block: bytes) -> bytes:
    blob = _number(2, len(block)) + _bytes(3, zlib.compress(block))
    head = _bytes(1, kind) + _number(3, len(blob))
    return struct.pack(">I", len(head)) + head + blob


def _varint(number: int) -> bytes:
    low = bytes([number & 127 | (128 if number > 127 else 0)])
    return low + (_varint(number >> 7) if number > 127 else b"")


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data
