"""Image and map on one grid: compared to a fraction of a pixel, and warped where the user asked for it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from rasterio import Env
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from sattrans.errors import AlignmentError, OptionError, RasterError
from sattrans.raster.georeference import Georeference, corners_of, crs_wkt
from sattrans.raster.gsd import ground_pixel_or_unit
from sattrans.raster.open import Raster

TOLERANCE = 0.01
"""How far apart, in pixels, the corners of image and map may lie and still be the same grid."""

MOST_SCALING = 64
"""A resolution that makes pixels so many times larger or smaller is a slip of the unit."""

Kernel = Literal["average", "cubic", "mode", "nearest"]
RESAMPLING: dict[Kernel, Resampling] = {
    "average": Resampling.average,
    "cubic": Resampling.cubic,
    "mode": Resampling.mode,
    "nearest": Resampling.nearest,
}


@dataclass(frozen=True, slots=True)
class Grid:
    """A raster's size in pixels, and where it lies."""

    height: int
    width: int
    georeference: Georeference

    @classmethod
    def of(cls, raster: Raster) -> "Grid":
        """Return the grid of an open raster."""
        return cls(raster.height, raster.width, raster.georeference)


def check_aligned(image: Raster, map_: Raster) -> None:
    """Raise `AlignmentError`, saying what differs, unless both lie on one grid.

    Sizes must be equal; corners must agree to a hundredth of a pixel, in whichever CRSs they are given. Where
    one of the two has no CRS, or no georeference at all, the other's is taken for both.
    """
    both = f"{image.path} and {map_.path}"
    if (image.height, image.width) != (map_.height, map_.width):
        turned = " (rows and columns swapped?)" if (image.height, image.width) == (map_.width, map_.height) else ""
        raise AlignmentError(
            f"{both} differ in size: {image.width} wide × {image.height} high against "
            f"{map_.width} × {map_.height}{turned}; --align warps the map onto the image's grid, by nearest neighbour"
        )
    one, other = image.georeference, map_.georeference
    if not one.known or not other.known or one.affine.is_identity or other.affine.is_identity:
        return
    corners = corners_of([image.window])
    crs = other.crs if one.crs and other.crs else one.crs
    there = one.pixels_of(other.points_of(corners), crs)
    off = float("inf") if there is None else np.abs(there - corners).max()
    if off <= TOLERANCE:
        return
    if there is None or (crs != one.crs and off > max(image.height, image.width)):
        raise AlignmentError(
            f"{both} have different coordinate reference systems, and lie in different places; reproject one onto "
            "the other"
        )
    if _moved_only(there - corners):
        by = (there - corners).mean(axis=0)
        what = f"the map is off by {by[0]:+.2f} columns and {by[1]:+.2f} rows"
    else:
        what = f"the map has {_difference(one, other)}, its corners are off by up to {off:.2f} pixels"
    raise AlignmentError(
        f"{both} lie on different grids: {what}; --align warps the map onto the image's grid, by nearest neighbour"
    )


def _moved_only(shifts: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    return bool(np.ptp(shifts, axis=0).max() <= TOLERANCE)


def _difference(one: Georeference, other: Georeference) -> str:
    if not np.allclose(one.resolution, other.resolution, rtol=1e-6):
        wide, high = other.resolution
        return f"pixels of {wide:g} × {high:g} against {one.resolution[0]:g} × {one.resolution[1]:g}"
    if one.north_up != other.north_up:
        return "another orientation (rotated, south-up, or axes swapped)"
    return "another rotation or projection"


def target_grid(image: Raster, resolution: float | None) -> Grid:
    """Return the grid that tiles of an image are cut from: its own, or one of square pixels of `resolution`.

    The corner and the directions of rows and columns stay. `resolution` is in metres on the ground, whatever the
    units of the image's CRS; without a CRS, the units of the transform are taken for metres. Raises `OptionError` if
    the image does not tell how large its pixels are on the ground, or if they are too far from that resolution.
    """
    if resolution is None:
        return Grid.of(image)
    if not image.georeference.known:
        raise OptionError(f"--res {resolution:g}: {image.path} has no georeference, so its resolution is unknown")
    pixel = ground_pixel_or_unit(image.georeference, image.height, image.width)
    if pixel is None:
        raise OptionError(
            f"--res {resolution:g}: {image.path} does not tell its ground resolution: give it a CRS and a transform"
        )
    across, down = resolution / pixel[0], resolution / pixel[1]
    if not all(1 / MOST_SCALING <= factor <= MOST_SCALING for factor in (across, down)):
        raise OptionError(
            f"--res {resolution:g}: {image.path} has pixels of {pixel[0]:.4g} m; a resolution within {MOST_SCALING} "
            "times of that is needed"
        )
    # Floor: every pixel lies within the image. A shade more, for 0.1 is not a tenth.
    height, width = int(image.height / down + 1e-6), int(image.width / across + 1e-6)
    if not height or not width:
        raise OptionError(f"--res {resolution:g}: not a pixel of {image.path} is left")
    return Grid(height, width, image.georeference.scaled(across, down))


def kernel_of(raster: Raster, grid: Grid, is_map: bool) -> Kernel | None:
    """Return how `raster` gets onto `grid`: None as it is, else averaged (mode of classes) or interpolated.

    A map whose pixels are only displaced, or finer by less than a half, goes by nearest neighbour.
    """
    place = raster.georeference
    if (raster.height, raster.width) == (grid.height, grid.width) and (not place.known or place == grid.georeference):
        return None
    corners = corners_of([raster.window])[[0, 2, 1]]
    there = grid.georeference.pixels_of(place.points_of(corners), place.crs)
    if there is None:
        return "nearest" if is_map else "cubic"
    diagonal = float(np.hypot(*(there[1] - there[0])) / np.hypot(raster.width, raster.height))
    coarser = diagonal < (2 / 3 if is_map else 1 - 1e-9)
    if is_map:
        return "mode" if coarser else "nearest"
    return "average" if coarser else "cubic"


@contextmanager
def on_grid(
    raster: Raster, grid: Grid, kernel: Kernel | None, empty: float | None, within: bool = False
) -> Iterator[Raster]:
    """Give `raster` as it looks on `grid`, read piece by piece; None as it is.

    `empty` is the value that stands for "nothing here": the declared nodata may be that of a class. What the raster
    does not cover has it, or is transparent in an alpha band that is added; none is where the grid is told to lie
    `within` the raster. Raises `RasterError` where it cannot be warped.
    """
    if kernel is None:
        yield raster
        return
    own, wanted = raster.georeference, grid.georeference
    if own.crs is None or wanted.crs is None:  # one unknown CRS is as good as another: both are the same
        own, wanted = Georeference(MERCATOR, own.transform), Georeference(MERCATOR, wanted.transform)
    try:
        with Env(**raster.settings):
            vrt = WarpedVRT(
                raster.src,
                src_crs=own.rasterio_crs,
                src_transform=own.affine,
                crs=wanted.rasterio_crs,
                transform=wanted.affine,
                height=grid.height,
                width=grid.width,
                resampling=RESAMPLING[kernel],
                src_nodata=empty,
                nodata=empty,
                tolerance=1e-3,  # of a pixel; GDAL's default, an eighth, moves nearest neighbours
                add_alpha=empty is None and raster.alpha_band is None and not within,
            )
    except RasterioError as error:
        raise RasterError(f"{raster.path} cannot be warped onto the image's grid ({error})") from error
    with closing(vrt):
        yield replace(raster, src=vrt, georeference=grid.georeference)


MERCATOR = crs_wkt("EPSG:3857")
