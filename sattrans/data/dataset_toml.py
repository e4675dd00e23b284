"""dataset.toml: a user's file about a folder of images and masks, where names alone do not say enough."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any

from sattrans.data.classes_toml import palette_of
from sattrans.errors import ClassesError, DatasetNotFound, OptionError
from sattrans.raster.palette import Palette
from sattrans.utils.options import Option, check, from_mapping
from sattrans.utils.records import read_toml, refusing

DATASET_FILE = "dataset.toml"
"""Name of the file in a dataset's folder."""


INSIDE = ("images", "masks", "rules")
"""Keys that name files of the folder."""


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """What a `dataset.toml` says; every key may be left out."""

    images: Annotated[str | None, Option("Glob of the images, relative to the folder.")] = None
    masks: Annotated[str | None, Option("Glob of the masks.")] = None
    bands: Annotated[tuple[int, int, int] | None, Option("The images' bands for red, green and blue.", minimum=1)] = (
        None
    )
    threshold: Annotated[
        int | None, Option("Masks of grey levels: the least value of the class.", minimum=1, maximum=255)
    ] = None
    rules: Annotated[
        str | None,
        Option("Masks are vector files: a rule file in the folder that draws them, osm, or the name of their class."),
    ] = None
    licence: Annotated[str, Option("The licence of the data.")] = ""
    attribution: Annotated[str, Option("Whom to name as the source.")] = ""
    classes: Annotated[Mapping[str, Any] | None, Option("The classes, each a table as in classes.toml.")] = None

    def __post_init__(self) -> None:
        check(self)
        for name in INSIDE:  # a folder may come from elsewhere
            path = PurePath(getattr(self, name) or "")
            if path.is_absolute() or ".." in path.parts:
                raise OptionError(f"{name} must stay inside the folder, got {path}")

    @property
    def palette(self) -> Palette | None:
        """The classes, or None if the file does not define them. Raises `ValueError`."""
        return None if self.classes is None else palette_of(self.classes)


def read_dataset_toml(folder: Path) -> DatasetFile:
    """Read the `dataset.toml` of a folder; without one, nothing is said.

    Raises:
        DatasetNotFound: The file is not valid; the message names it and the key.
    """
    path = folder / DATASET_FILE
    if not path.is_file():
        return DatasetFile()
    with refusing(str(path), DatasetNotFound):
        table = read_toml(path)
    found: DatasetFile = from_mapping(DatasetFile, table, str(path))
    if found.rules is None and (found.images is None) != (found.masks is None):
        raise DatasetNotFound(f"{path} gives images without masks, or masks without images; give both globs")
    if found.rules and PurePath(found.rules).suffix and not (folder / found.rules).is_file():
        raise DatasetNotFound(f"{path}: there is no rule file {found.rules} in the folder; add it, or correct its name")
    with refusing(f"{path}, [classes]", ClassesError):
        found.palette  # noqa: B018  checked when the file is read
    return found
