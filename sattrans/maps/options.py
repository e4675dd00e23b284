"""The options of a map: which part of it is read, at which resolution, and which class each value is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from sattrans.utils.options import BOUNDS, Option

MAP = "The map"


def _parse_class_map(text: str) -> dict[str, str]:
    from sattrans.maps.class_mapping import parse_class_mapping

    return parse_class_mapping([text])


@dataclass(frozen=True, slots=True)
class MapOptions:
    """The options of `open_map`."""

    res: Annotated[
        str | float | None,
        Option(
            "Resolution to translate at: metres on the ground, or native for the map's own pixels.",
            panel=MAP,
            metavar="METRES",
            default="the run's",
        ),
    ] = None
    bounds: Annotated[str | None, Option("Only these bounds of the map, in its CRS.", panel=MAP, metavar=BOUNDS)] = None
    aoi: Annotated[
        Path | None, Option("Only the polygons of a vector file; the rest is transparent.", panel=MAP, metavar="FILE")
    ] = None
    class_map: Annotated[
        Mapping[str, str],
        Option(
            "The run's class, by value or name, of a value of the map, such as 5=2; or a TOML file of such lines.",
            panel=MAP,
            metavar="VALUE=CLASS",
            aliases=("--map",),
            parse=_parse_class_map,
            complete="classes",
        ),
    ] = field(default_factory=dict)
    rules: Annotated[
        str | Path | None,
        Option(
            "For a vector map: a file that says which features make which class, or osm for OpenStreetMap extracts.",
            panel=MAP,
            metavar="FILE|osm",
        ),
    ] = None
