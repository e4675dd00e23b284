"""Scenes made by code where and as a test wants them, and what a tileset holds of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from makers import HERE, POLAND, make_indices, make_picture, write_raster
from numpy.typing import NDArray

from sattrans.data.tileset import Tile, Tileset

VALUES = np.array([10, 30, 50], np.uint8)
"""Of the classes in the maps made here."""


def make_scene(
    root: Path,
    name: str = "place",
    size: int | tuple[int, int] = 128,
    crs: Any = POLAND,
    place: Affine | None = HERE,
    image: NDArray[Any] | None = None,
    map_: NDArray[np.uint8] | None = None,
    **profile: Any,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Write a scene as the folder dataset has it, `profile` its image's; return the pixels of image and map."""
    height, width = (size, size) if isinstance(size, int) else size
    indices = make_indices(height, width, len(VALUES), seed=len(name), patch=8)
    image = make_picture(indices) if image is None else image
    map_ = VALUES[indices] if map_ is None else map_
    write_raster(root / "images" / f"{name}.tif", image, crs, place, **profile)
    write_raster(root / "masks" / f"{name}.tif", map_, crs, place)
    return image, map_


def cut(tileset: Tileset, which: str = "image") -> Iterator[tuple[Tile, NDArray[Any], Affine]]:
    """Yield each tile with the pixels (bands, H, W) and the transform of its image or map."""
    for tile in tileset.tiles:
        path = tile.image_path(tileset.folder) if which == "image" else tile.map_path(tileset.folder)
        with rasterio.open(path) as src:
            yield tile, src.read(), src.transform


def write_classes(root: Path) -> None:
    """Write `classes.toml` for `VALUES`: no map is then read before it is cut."""
    root.mkdir(parents=True, exist_ok=True)
    tables = (f"[class_{v}]\nvalue = {v}\ncolor = [0, {v}, {2 * v}]\n" for v in VALUES)
    (root / "classes.toml").write_text("".join(tables), encoding="utf-8")


@contextmanager
def spoiled(root: Path, name: str) -> Iterator[None]:
    """Make a scene's map hold a class that nobody knows in its last pixel, which stops its cutting; then mend it."""
    path = root / "masks" / f"{name}.tif"
    whole, times = path.read_bytes(), path.stat()
    with rasterio.open(path, "r+") as dst:
        map_ = dst.read(1)
        map_[-1, -1] = 77
        dst.write(map_, 1)
    try:
        yield
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def vrt_of(name: str, size: int = 64) -> str:
    """Return a VRT that points at another raster."""
    rect = f'xOff="0" yOff="0" xSize="{size}" ySize="{size}"'
    return (
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}"><VRTRasterBand dataType="Byte" band="1">'
        f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand>'
        f"<SrcRect {rect}/><DstRect {rect}/></SimpleSource></VRTRasterBand></VRTDataset>"
    )
