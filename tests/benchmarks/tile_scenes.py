"""Scenes of LandCover.ai's size and layout, whose texture costs encoders what a real orthophoto's does.

A block of 2000 px, a synthetic landscape under grain, is repeated over a scene; 2000 is no multiple of 512, so that
tiles differ. How coarse and strong the grain is was calibrated with a drone orthophoto of Banepa, Nepal
(OpenAerialMap, CC BY 4.0), resampled from 0.149 m to 0.25 m. Means over tiles of 512 px:

                               ZSTD 1, predictor 2    JPEG, quality 95    PNG
    Banepa, bilinear           0.74 bytes a byte      152 kB              534 kB
    this block                 0.73                   151 kB              549 kB
    Banepa, mean of an area    0.80                   172 kB              594 kB
    landscape without grain    0.63                   115 kB              441 kB

Banepa was compressed as JPEG before, which took some of its noise; the images of LandCover.ai, which were not,
take 0.4 to 0.6 MB a tile as PNG. Encoding a tile took as long as one of Banepa's, to a tenth: GeoTIFF 2.1 ms
(Banepa 2.1 to 2.3), JPEG 1.6 ms (1.5 to 1.6). A tile of the map takes 9 kB, one of two real masks of LandCover.ai
4 and 6 kB.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from makers import HERE, POLAND, landcover_ids, write_landcover_lists
from numpy.typing import NDArray
from rasterio.windows import Window

from sattrans.demo.landscape import make_landscape
from sattrans.demo.noise import noise

BLOCK = 2000
SPOTS, GRAIN = 8, 6
"""How strong the grain is: spots of about 2 px, and what differs from pixel to pixel."""


@dataclass(frozen=True, slots=True)
class Texture:
    """A block to repeat: its photo (3, H, W) and its map (1, H, W)."""

    photo: NDArray[np.uint8]
    map: NDArray[np.uint8]

    @classmethod
    def make(cls) -> "Texture":
        """Make the block that was calibrated."""
        landscape = make_landscape(BLOCK, BLOCK, seed=1)
        rng = np.random.default_rng(0)
        # The same in all bands: that is what a sensor's noise mostly is once its colours are mixed.
        grain = SPOTS * noise((BLOCK, BLOCK), 2, rng) + GRAIN * rng.standard_normal((BLOCK, BLOCK), np.float32)
        photo = np.clip(np.rint(landscape.photo + grain), 0, 255).astype(np.uint8)
        return cls(photo, landscape.map[np.newaxis])


def make_scenes(root: Path, texture: Texture, count: int, height: int, width: int) -> int:
    """Make a dataset of so many scenes, uncompressed and in strips, with its lists; return how many tiles it has."""
    ids = []
    for number in range(count):
        stem = f"N-34-{number + 1}-A-a-1-1"
        for folder, block in (("images", texture.photo), ("masks", texture.map)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            shifted = np.roll(block, 300 * number, axis=(1, 2))
            _write_repeated(root / folder / f"{stem}.tif", shifted, height, width, number)
        ids += landcover_ids(stem, height, width)
    write_landcover_lists(root, ids)
    return len(ids)


def _write_repeated(path: Path, block: NDArray[np.uint8], height: int, width: int, number: int) -> None:
    across = np.tile(block, -(-width // BLOCK))[:, :, :width]
    profile = {"driver": "GTiff", "dtype": "uint8", "count": len(block), "height": height, "width": width}
    place = HERE @ HERE.translation(number * 2 * width, 0)
    with rasterio.open(path, "w", **profile, crs=POLAND, transform=place, interleave="pixel") as dst:
        for top in range(0, height, BLOCK):
            rows = min(BLOCK, height - top)
            dst.write(across[:, :rows], window=Window(0, top, width, rows))
