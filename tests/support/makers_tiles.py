"""Folders of tiles for `mosaic`: those that fit together, and those that do not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from makers import HERE, make_indices, make_picture, write_raster
from numpy.typing import NDArray

UTM = "EPSG:32652"
PLACE = Affine(10, 0, 300_000, 0, -10, 4_100_000)
"""Ten metres a pixel, somewhere in Korea."""


def cut_tiles(
    folder: Path,
    pixels: NDArray[np.uint8],
    windows: Sequence[tuple[int, int, int, int]],
    crs: Any = UTM,
    place: Affine = PLACE,
    suffix: str = ".tif",
    **how: Any,
) -> Path:
    """Cut (bands, H, W) or (H, W) into tiles, each (row, col, height, width); return the folder.

    PNG and JPEG get world files.
    """
    for number, (row, col, height, width) in enumerate(windows):
        part = pixels[..., row : row + height, col : col + width]
        path, there = folder / f"t{number:03d}{suffix}", place @ Affine.translation(col, row)
        if suffix in (".png", ".jpg"):
            write_raster(path, part, None, None, driver="PNG" if suffix == ".png" else "JPEG", **how)
            centre = there @ Affine.translation(0.5, 0.5)
            numbers = (centre.a, centre.d, centre.b, centre.e, centre.c, centre.f)
            world = path.with_suffix(".pgw" if suffix == ".png" else ".jgw")
            world.write_text("".join(f"{number!r}\n" for number in numbers), encoding="ascii")
        else:
            write_raster(path, part, crs, there, **how)
    return folder


def grid_of(height: int, width: int, size: int, step: int) -> list[tuple[int, int, int, int]]:
    """Return the windows of a grid of tiles that overlap, those at the right and the bottom cut."""
    return [
        (row, col, min(size, height - row), min(size, width - col))
        for row in range(0, height, step)
        for col in range(0, width, step)
    ]


PICTURE = make_picture(make_indices(300, 400, 5))

WINDOWS = grid_of(300, 400, 160, 120)
"""The windows of overlapping tiles of `PICTURE`."""


def make_tiles() -> None:
    """Make the folders of the page on joining, in the current folder."""
    picture = make_picture(make_indices(200, 300, 5))
    cut_tiles(Path("parts"), picture, grid_of(200, 300, 120, 100), place=HERE, crs="EPSG:2180")
    cut_tiles(Path("apart"), make_picture(make_indices(256, 512, 5)), [(0, 0, 256, 256), (0, 320, 256, 192)])
    _mixed()


def _mixed() -> None:
    write_raster(Path("mixed/a.tif"), make_picture(make_indices(64, 64, 3)), UTM, PLACE)
    finer = PLACE @ Affine.translation(64, 0) @ Affine.scale(0.5)
    write_raster(Path("mixed/b.tif"), make_picture(make_indices(128, 128, 3)), UTM, finer)


def make_bad_tiles() -> None:
    """Make folders of two tiles that cannot be joined, in the current folder."""
    Path("empty").mkdir()
    _mixed()
    picture = make_picture(make_indices(64, 64, 3))
    others: dict[str, tuple[NDArray[Any], Any, Affine]] = {
        "zones": (picture, "EPSG:32653", PLACE),
        "offset": (picture, UTM, PLACE @ Affine.translation(10.5, 0)),
        "both": (picture[:1], UTM, PLACE),
        "turned": (picture, UTM, PLACE @ Affine.rotation(30)),
        "16bit": (picture.astype(np.uint16), UTM, PLACE),
        "far": (picture, UTM, PLACE @ Affine.translation(1_000_000, 0)),
    }
    for name, (pixels, crs, place) in others.items():
        write_raster(Path(name, "a.tif"), picture, UTM, PLACE)
        write_raster(Path(name, "b.tif"), pixels, crs, place)
    write_raster(Path("placeless/a.tif"), picture, UTM, PLACE)
    write_raster(Path("placeless/b.png"), picture, None, None, driver="PNG")
