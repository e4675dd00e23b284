"""The preview: map and image side by side on one picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.data.contact_sheet import png_kind, write_sheet
from sattrans.errors import OptionError, OutputExists, RasterError
from sattrans.maps.open import Map
from sattrans.raster.open import open_raster
from sattrans.raster.palette import UNKNOWN, Palette
from sattrans.raster.validity import read_with_alpha
from sattrans.raster.window import Window
from sattrans.utils.atomic import check_writable

MAX_SIDE = 1024
"""The longer side of each of the two pictures, in pixels."""

TRANSPARENT_GREY = 224
"""The grey level that stands for transparent pixels."""

Pixels = NDArray[np.uint8]


def check_preview(path: Path, *others: Path) -> None:
    """Raise `OptionError` if no PNG can be written there, `OutputExists` if it would replace another file."""
    if path.suffix.lower() != ".png":
        raise OptionError(f"--preview {path}: the preview is a PNG; give a name that ends in .png")
    if any(path.exists() and other.exists() and path.samefile(other) for other in others):
        raise OutputExists(f"--preview {path} is the map or the image itself; choose another name")
    if path.exists() and png_kind(path) != KIND:
        raise OutputExists(f"--preview {path} exists and is not a preview made by sattrans; choose another name")
    try:
        check_writable(path)
    except OptionError as error:
        raise OptionError(f"--preview {path}: {error}") from None


def write_preview(path: Path, map_: Map, palette: Palette | None, image: Path) -> None:
    """Write map and image side by side as a PNG, both reduced by the same whole factor to `MAX_SIDE` px."""
    size = map_.height, map_.width
    factor = max(1, -(-max(size) // MAX_SIDE))
    with open_raster(image) as generated:

        def image_pixels(window: Window) -> Pixels:
            try:
                bands = read_with_alpha(generated, window, (1, 2, 3))
            except RasterError as error:
                raise RasterError(f"{error}, with --overwrite") from error
            return bands if len(bands) == 3 else np.where(bands[3], bands[:3], TRANSPARENT_GREY).astype(np.uint8)

        write_sheet(
            path,
            [(_downsample(_map_pixels(map_, palette), size, factor), _downsample(image_pixels, size, factor))],
            TITLES,
            KIND,
        )


KIND = "preview"
TITLES = ("map", "generated")


def _map_pixels(map_: Map, palette: Palette | None) -> Callable[[Window], Pixels]:
    if palette is None:
        return map_.read
    colors = np.full((UNKNOWN + 1, 3), TRANSPARENT_GREY, np.uint8)
    colors[: len(palette)] = palette.colors
    return lambda window: np.moveaxis(colors[map_.read(window)], -1, 0)


def _downsample(read: Callable[[Window], Pixels], size: tuple[int, int], factor: int) -> Pixels:
    """Return the means of cells of `factor` px, (3, height / factor, width / factor), row by row."""
    height, width = (max(1, length // factor) for length in size)
    made = np.empty((3, height, width), np.uint8)
    for row in range(height):
        window = Window(row * factor, 0, min(factor, size[0] - row * factor), size[1])
        pixels = read(window)[..., : width * factor]
        made[:, row] = pixels.reshape(3, window.height, width, -1).mean(axis=(1, 3)).round()
    return made
