"""What may be told about a map: which part of it, at which resolution, and which class is which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class MapOptions:
    """What `open_map` may be told.

    `res` is the ground resolution to translate at: metres a pixel, "native" for the map's own pixels, or None for
    the run's. `bounds` is "left,bottom,right,top" in the map's CRS, `aoi` a GeoJSON file of polygons. `classes` says
    which of the run's classes, by value or name, a value of the map is; of a vector map, a class of its rules.
    `rules` is a rule file for vector maps, or the name of one that comes along.
    """

    res: str | float | None = None
    bounds: str | None = None
    aoi: Path | None = None
    classes: Mapping[str, str] = field(default_factory=dict)
    rules: str | Path | None = None
