"""Maps that are pictures, made by code: pairs as the pix2pix repositories keep them, and tilesets without classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from makers import make_indices, make_picture, write_raster
from numpy.typing import NDArray

from sattrans.data.tileset import (
    MANIFEST,
    SceneRecord,
    Tile,
    Tileset,
    manifest_body,
    write_index,
    write_tileset_manifest,
)
from sattrans.raster.georeference import Georeference
from sattrans.raster.geotiff import write_geotiff
from sattrans.raster.palette import Palette
from sattrans.raster.window import Window
from sattrans.utils.hashing import sha256

INKS = ((242, 239, 233), (170, 211, 223), (255, 218, 110), (200, 230, 180))
"""Colours of a street map; no palette of a test has one of them."""

PLACE = Affine(10, 0, 411_000, 0, -10, 3_900_000)


def draw_map(indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a map (3, H, W) drawn in `INKS`."""
    return np.moveaxis(np.asarray(INKS, np.uint8)[indices % len(INKS)], -1, 0)


def make_pairs(root: Path, size: int = 64, counts: Mapping[str, int] | None = None) -> Path:
    """Make a look-alike of pix2pix's maps: `train/1.jpg` …, `val/1.jpg` …, each a photo left and its map right."""
    for split, count in (counts or {"train": 3, "val": 2}).items():
        for number in range(1, count + 1):
            indices = make_indices(size, size, 3, seed=number, patch=16)
            pair = np.concatenate([make_picture(indices, number), draw_map(indices)], axis=2)
            write_raster(root / split / f"{number}.jpg", pair, None, None, driver="JPEG")
    return root


def make_tileset(
    folder: Path,
    palette: Palette | None = None,
    counts: Mapping[str, int] | None = None,
    size: int = 64,
    options: Mapping[str, Any] | None = None,
    hole: int = 0,
    nodata: int = 255,
) -> Tileset:
    """Make a tileset whose maps are pictures, or the classes of `palette`.

    The last `hole` rows of each tile hold nothing: black in images and pictures, `nodata` in class maps. Tiles of the
    split "unpaired" have no map.
    """
    tiles = []
    classes = len(palette) if palette else 3
    here = Georeference.of(None, Affine.identity())
    counts = counts or {"train": 6, "val": 2, "test": 2}
    for number, split in enumerate(split for split, count in counts.items() for _ in range(count)):
        indices = make_indices(size, size, classes, seed=number, patch=16)
        image, name = make_picture(indices, number), f"place_{number}"
        map_ = np.asarray(palette.values, np.uint8)[indices] if palette else draw_map(indices)
        image[:, size - hole :] = 0
        map_[..., size - hole :, :] = nodata if palette else 0
        write_geotiff(folder / "images" / f"{name}.tif", image, here)
        path = folder / "maps" / f"{name}.tif"
        window, image_file = Window(0, number * size, size, size), f"images/{name}.tif"
        if split == "unpaired":
            tiles.append(Tile(name, "place", split, window, {}, image_file, sha256(folder / image_file)))
            continue
        if palette:
            write_raster(path, map_, None, None, colormap=palette.colormap, nodata=nodata)
        else:
            write_geotiff(path, map_, here)
        shares = dict.fromkeys(palette.names, 1 / classes) if palette else {}
        map_file = f"maps/{name}.tif"
        tiles.append(
            Tile(name, "place", split, window, shares, image_file, sha256(folder / image_file), map_file, sha256(path))
        )
    scene = SceneRecord("place", "", "place.png", "place_map.png", size, len(tiles) * size, here)
    write_index(folder, tiles, {scene.id: scene})
    body = manifest_body("2026-01-01T00:00:00+00:00", options or {}, size, palette, [scene], tiles, [])
    write_tileset_manifest(folder / MANIFEST, body)
    return Tileset.open(folder)
