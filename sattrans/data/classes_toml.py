"""classes.toml: a user's file with the value, name and colour of each class of a mask."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sattrans.errors import ClassesError
from sattrans.raster.palette import RGB, LandClass, Palette
from sattrans.utils.records import read_toml

CLASSES_FILE = "classes.toml"
"""Name of the file in a dataset's folder."""

HEX = re.compile(r"#[0-9a-fA-F]{6}")


def read_classes(path: Path) -> Palette:
    """Read the classes of a `classes.toml`.

    Args:
        path: A TOML file with one table per class, such as `[building]` with `value = 1`, an integer from 0 to 255, and
            `color = "#614a4a"` or `color = [97, 74, 74]`.

    Returns:
        The classes in the order of the file.

    Raises:
        ClassesError: The file cannot be read, or a class is wrong; the message names it.
    """
    try:
        tables = read_toml(path)
    except OSError as error:
        raise ClassesError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ClassesError(f"{path} is not valid TOML: {error}") from error
    try:
        return palette_of(tables)
    except ClassesError as error:
        raise ClassesError(f"{path}: {error}") from error


def palette_of(tables: Mapping[str, Any]) -> Palette:
    """Return the classes of tables by name, each with `value` and `color`. Raises `ClassesError`."""
    return Palette(tuple(_class(name, table) for name, table in tables.items()))


def _class(name: str, table: Any) -> LandClass:
    if not isinstance(table, dict) or set(table) != {"value", "color"} or type(table["value"]) is not int:
        raise ClassesError(f"[{name}] needs a whole number `value` and a `color`, and nothing else")
    return LandClass(table["value"], name, _color(name, table["color"]))


def _color(name: str, color: Any) -> RGB:
    if isinstance(color, str) and HEX.fullmatch(color):
        return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
    if isinstance(color, list) and len(color) == 3 and all(type(band) is int for band in color):
        return color[0], color[1], color[2]
    raise ClassesError(f'[{name}] has color {color!r}: write "#614a4a" or [97, 74, 74]')
