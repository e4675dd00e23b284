"""The options of a map: which part of it is read, at which resolution, and which class each value is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class MapOptions:
    """The options of `open_map`.

    Attributes:
        res: The ground resolution to translate at: metres a pixel, "native" for the map's own pixels, or None for that
            of the run.
        bounds: "left,bottom,right,top" in the map's CRS; None for the complete map.
        aoi: A GeoJSON file of polygons to crop to.
        classes: The run's class, by value or name, of each value of a raster map or each class of a vector map's rules.
        rules: The rule file of a vector map, or the name of a built-in one.
    """

    res: str | float | None = None
    bounds: str | None = None
    aoi: Path | None = None
    classes: Mapping[str, str] = field(default_factory=dict)
    rules: str | Path | None = None
