"""classes.toml: a user's file with the value, name and colour of each class of a mask."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sattrans.errors import ClassesError
from sattrans.raster.palette import LandClass, Palette
from sattrans.utils.records import checked, read_toml, refusing

CLASSES_FILE = "classes.toml"
"""Name of the file in a dataset's folder."""


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
    with refusing(str(path), ClassesError):
        return palette_of(read_toml(path))


def palette_of(tables: Mapping[str, Any]) -> Palette:
    """Return the classes of tables by name, each with `value` and `color`. Raises `ValueError`."""
    from sattrans.data.schemas import ClassTables

    classes = checked(ClassTables, tables, first=1).root
    return Palette(tuple(LandClass(table.value, name, table.color) for name, table in classes.items()))
