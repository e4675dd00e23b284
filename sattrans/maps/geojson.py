"""What a GeoJSON must not contain: a CRS that GDAL would fetch from an address or read from another file."""

import json
import re
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

from sattrans.errors import RasterError


def _letter(letter: str) -> str:
    """Return the pattern of a letter, small or capital, as it is or escaped: GDAL compares names without case."""
    codes = "|".join(rf"\\u00{ord(one):02x}" for one in (letter, letter.upper()))
    return f"(?:{letter}|{codes})"


CRS_MEMBER = re.compile(
    rf"""["']{_letter("c")}{_letter("r")}{_letter("s")}["']\s*(?=[:/#])""".encode(), re.ASCII | re.IGNORECASE
)
"""A member named crs. GDAL also accepts single quotation marks, and comments between a name and its value."""

NO_OBJECT = re.compile(rb"""\s*:\s*(?:null|true|false|["'\[\d.-])""")
"""A value that is no object, which GDAL ignores: an attribute that happens to have this name."""

CRS_NAME = re.compile(
    r"(?:urn:ogc:def:crs:)?[A-Za-z]+:[\d.]*:?\w+|https?://www\.opengis\.net/def/crs/[A-Za-z]+/[\d.]+/\w+"
)
"""An authority and a code, which GDAL looks up in the tables that come with it."""

MAX_MEMBER = 4096
"""Bytes of the longest value of a member named crs."""


def check_geojson(path: Path) -> None:
    """Raise `RasterError` if a GeoJSON names its CRS by anything but an authority and a code.

    When GDAL opens a file, it downloads a `crs` of type link or url, which the specification of 2008 allowed. The file
    is searched as bytes, without being held in memory.
    """
    stat = path.stat()
    _check(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=64)
def _check(path: Path, state: tuple[int, ...]) -> None:
    """Search a file once, as long as it has not changed."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        for match in CRS_MEMBER.finditer(data):
            value = data[match.end() : match.end() + MAX_MEMBER]
            if not NO_OBJECT.match(value) and not _is_named(value):
                raise RasterError(
                    f"{path} has a crs member that is not the name of a CRS, such as EPSG:2180; sattrans follows no "
                    "link in a file; export the map as GeoJSON in longitude and latitude again"
                )


def _is_named(value: bytes) -> bool:
    """Return whether a member's value, with its colon, is an object of the type `name`."""
    text = value.decode("utf-8", "replace").strip()
    try:
        members, _ = json.JSONDecoder(object_pairs_hook=_distinct).raw_decode(text.removeprefix(":").strip())
        named = members["type"] == "name" and set(members["properties"]) == {"name"}
        return named and CRS_NAME.fullmatch(members["properties"]["name"]) is not None
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = {name.casefold(): value for name, value in pairs}
    if len(members) < len(pairs):
        raise ValueError("a name is used twice")
    return members
