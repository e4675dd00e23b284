"""The options of `colorize`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from sattrans.utils.options import Option, check


@dataclass(frozen=True, slots=True)
class ColorizeOptions:
    """How `colorize` makes its copies. Each field is the option of the same name on the command line.

    A manifest records `rgb` and the classes that were found, wherever they came from.
    """

    dataset: Annotated[
        str | None,
        Option(
            "The dataset's name (sattrans datasets), for its classes.",
            metavar="NAME",
            default="recognised by its files",
            decides_bytes=False,
        ),
    ] = None
    classes: Annotated[
        Path | None,
        Option(
            "A classes.toml: values, names, colours.",
            default="the one beside the masks, if any",
            decides_bytes=False,
            metavar="FILE",
        ),
    ] = None
    rgb: Annotated[bool, Option("Write colours instead of values with a colour table.")] = False
    legend: Annotated[
        bool,
        Option("Add a PNG: each class's colour, value, name and share of the pixels.", decides_bytes=False),
    ] = False

    def __post_init__(self) -> None:
        check(self)
