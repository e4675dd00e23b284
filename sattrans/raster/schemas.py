"""Schemas of an area of interest in GeoJSON.

Importing this module loads pydantic, which takes time: import it in the function that reads such a file.

Format: RFC 7946; the `crs` member is from the specification of 2008.
"""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, JsonValue

from sattrans.utils.schemas import Schema, Text

Position = Annotated[list[FiniteFloat], Field(min_length=2, max_length=4)]
Rings = list[Annotated[list[Position], Field(min_length=3)]]


class Polygon(Schema):
    """A polygon: its outline, and its holes."""

    type: Literal["Polygon"]
    coordinates: Rings


class MultiPolygon(Schema):
    """Several polygons."""

    type: Literal["MultiPolygon"]
    coordinates: list[Rings]


GEOMETRIES: dict[str, type[Polygon | MultiPolygon]] = {"Polygon": Polygon, "MultiPolygon": MultiPolygon}
"""The geometries with an area, by their type."""


class Parts(Schema):
    """A collection."""

    features: list[JsonValue] = Field(default_factory=list)
    geometries: list[JsonValue] = Field(default_factory=list)


class _CrsProperties(Schema):
    name: Text


class NamedCrs(Schema):
    """The member `crs` of an old file."""

    properties: _CrsProperties
