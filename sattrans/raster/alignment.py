"""Image and map on one grid: compare their grids to a fraction of a pixel, and warp one to the other on request."""

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
from sattrans.raster.georeference import Georeference, crs_wkt, window_corners
from sattrans.raster.gsd import measure_gsd_or_unit
from sattrans.raster.open import Raster

TOLERANCE = 0.01
"""The largest distance between the corners of image and map, in pixels, at which both have the same grid."""

DECIMALS = 1e-6
"""Error of a number in a world file of six decimals, in units of the CRS. That of a pixel adds up over many."""

MAX_SCALING = 64
"""The largest factor between two resolutions; a larger one is a mistake in the unit."""

NO_ALPHA = -1
"""Tells GDAL that no band is alpha, not even one that is labelled so."""

WEB_MERCATOR = crs_wkt("EPSG:3857")

ResamplingMethod = Literal["average", "cubic", "mode", "nearest"]
RESAMPLING: dict[ResamplingMethod, Resampling] = {
    "average": Resampling.average,
    "cubic": Resampling.cubic,
    "mode": Resampling.mode,
    "nearest": Resampling.nearest,
}


@dataclass(frozen=True, slots=True)
class Grid:
    """A raster's height and width in pixels, and its georeference."""

    height: int
    width: int
    georeference: Georeference

    @classmethod
    def of(cls, raster: Raster) -> "Grid":
        """Return the grid of an open raster."""
        return cls(raster.height, raster.width, raster.georeference)


def check_aligned(image: Raster, map_: Raster) -> None:
    """Check that image and map have the same grid.

    Sizes must be equal, and corners agree to `TOLERANCE` pixels, whatever the CRSs, or transforms to `DECIMALS`. If
    one raster has no CRS, or no georeference at all, that of the other raster counts for both.

    Raises:
        AlignmentError: if the grids differ; the message says how.
    """
    both = f"{image.path} and {map_.path}"
    if (image.height, image.width) != (map_.height, map_.width):
        swapped = " (rows and columns swapped?)" if (image.height, image.width) == (map_.width, map_.height) else ""
        raise AlignmentError(
            f"{both} differ in size: {image.width} wide × {image.height} high and "
            f"{map_.width} × {map_.height}{swapped}; --align warps the map to the image's grid, by nearest neighbour"
        )
    image_georeference, map_georeference = image.georeference, map_.georeference
    if any(not georeference.known for georeference in (image_georeference, map_georeference)):
        return
    if image_georeference.affine.is_identity or map_georeference.affine.is_identity:
        return
    corners = window_corners([image.window])
    crs = map_georeference.crs if image_georeference.crs and map_georeference.crs else image_georeference.crs
    map_corners = image_georeference.to_pixels(map_georeference.to_coordinates(corners), crs)
    distance = float("inf") if map_corners is None else np.abs(map_corners - corners).max()
    if distance <= TOLERANCE or (distance < 0.5 and _equal_to_decimals(image_georeference, map_georeference)):
        return
    if map_corners is None or (crs != image_georeference.crs and distance > max(image.height, image.width)):
        raise AlignmentError(
            f"{both} have different coordinate reference systems and lie in different places; reproject one of them"
        )
    shifts = map_corners - corners
    if np.ptp(shifts, axis=0).max() <= TOLERANCE:
        columns, rows = shifts.mean(axis=0)
        what = f"the map is off by {columns:+.2f} columns and {rows:+.2f} rows"
    else:
        difference = _describe_difference(image_georeference, map_georeference)
        what = f"the map has {difference}, its corners are off by up to {distance:.2f} pixels"
    raise AlignmentError(
        f"{both} have different grids: {what}; --align warps the map to the image's grid, by nearest neighbour"
    )


def _equal_to_decimals(image: Georeference, map_: Georeference) -> bool:
    """Return whether two transforms are one, of which a world file has rounded the numbers."""
    return bool(np.abs(np.subtract(image.transform, map_.transform)).max() <= DECIMALS)


def _describe_difference(image: Georeference, map_: Georeference) -> str:
    if not np.allclose(image.resolution, map_.resolution, rtol=1e-6):
        width, height = map_.resolution
        return f"pixels of {width:g} × {height:g} instead of {image.resolution[0]:g} × {image.resolution[1]:g}"
    if image.north_up != map_.north_up:
        return "another orientation (rotated, south-up, or axes swapped)"
    return "another rotation or projection"


def target_grid(image: Raster, resolution: float | None) -> Grid:
    """Return the grid that the tiles of an image are cut from.

    Args:
        image: The open image. Its origin, and its directions of rows and columns, are kept.
        resolution: Side of the square pixels in metres on the ground, whatever the units of the image's CRS; without a
            CRS, the units of the transform count as metres. None for the image's own grid.

    Raises:
        OptionError: if the ground resolution of the image is unknown, or differs too much.
    """
    if resolution is None:
        return Grid.of(image)
    if not image.georeference.known:
        raise OptionError(f"--res {resolution:g}: {image.path} has no georeference, so its resolution is unknown")
    pixel = measure_gsd_or_unit(image.georeference, image.height, image.width)
    if pixel is None:
        raise OptionError(
            f"--res {resolution:g}: the ground resolution of {image.path} is unknown; add a CRS and a transform"
        )
    scale_x, scale_y = resolution / pixel[0], resolution / pixel[1]
    if not all(1 / MAX_SCALING <= scale <= MAX_SCALING for scale in (scale_x, scale_y)):
        raise OptionError(
            f"--res {resolution:g}: {image.path} has pixels of {pixel[0]:.4g} m; give a resolution within a factor of "
            f"{MAX_SCALING}"
        )
    # Rounded down, so that every pixel lies within the image; 1e-6 makes up for floats such as 0.1.
    height, width = int(image.height / scale_y + 1e-6), int(image.width / scale_x + 1e-6)
    if not height or not width:
        raise OptionError(f"--res {resolution:g}: a pixel would be larger than {image.path}; give a finer resolution")
    return Grid(height, width, image.georeference.scaled(scale_x, scale_y))


def choose_resampling(raster: Raster, grid: Grid, is_map: bool) -> ResamplingMethod | None:
    """Return the method that warps a raster to a grid; None if it already has this grid.

    An image is averaged if the grid is coarser, else interpolated. A map is resampled by mode if the grid is coarser
    by at least a half, else by nearest neighbour.
    """
    source = raster.georeference
    if (raster.height, raster.width) == (grid.height, grid.width) and (not source.known or source == grid.georeference):
        return None
    corners = window_corners([raster.window])[[0, 2, 1]]
    on_grid = grid.georeference.to_pixels(source.to_coordinates(corners), source.crs)
    if on_grid is None:
        return "nearest" if is_map else "cubic"
    scale = float(np.hypot(*(on_grid[1] - on_grid[0])) / np.hypot(raster.width, raster.height))
    is_coarser = scale < (2 / 3 if is_map else 1 - 1e-9)
    if is_map:
        return "mode" if is_coarser else "nearest"
    return "average" if is_coarser else "cubic"


@contextmanager
def warp_to_grid(
    raster: Raster, grid: Grid, method: ResamplingMethod | None, nodata: float | None, within: bool = False
) -> Iterator[Raster]:
    """Yield `raster` on `grid`; it is warped window by window while it is read.

    Args:
        raster: The open raster.
        grid: The grid to warp to.
        method: The resampling method; None yields the raster unchanged.
        nodata: The value of pixels without data; the declared nodata may be the value of a class. Pixels that the
            raster does not cover get this value. If it is None, they are transparent in an added alpha band.
        within: Whether the grid lies within the raster, so that no alpha band is needed.

    Raises:
        RasterError: if the raster cannot be warped.
    """
    if method is None:
        yield raster
        return
    masked, labelled = raster.has_mask, "alpha" in raster.band_colors
    if raster.side_mask and masked:
        raise RasterError(
            f"{raster.side_mask.path} cannot be resampled with {raster.path}; put the mask into the raster first, such "
            "as with gdal_translate -b 1 -b 2 -b 3 -b mask"
        )
    source, target = raster.georeference, grid.georeference
    if source.crs is None or target.crs is None:  # an unknown CRS counts as the other one: any CRS will do for both
        source, target = Georeference(WEB_MERCATOR, source.transform), Georeference(WEB_MERCATOR, target.transform)
    try:
        with Env(**raster.gdal_options):
            vrt = WarpedVRT(
                raster.src,
                src_crs=source.rasterio_crs,
                src_transform=source.affine,
                crs=target.rasterio_crs,
                transform=target.affine,
                height=grid.height,
                width=grid.width,
                resampling=RESAMPLING[method],
                src_nodata=nodata,
                nodata=nodata,
                tolerance=1e-3,  # in pixels; GDAL's default, an eighth, shifts the result of nearest neighbour
                src_alpha=NO_ALPHA if labelled and raster.alpha_band is None else 0,
                add_alpha=nodata is None and not labelled and (masked or not within),
            )
    except RasterioError as error:
        raise RasterError(f"cannot warp {raster.path} to the image's grid ({error})") from error
    with closing(vrt):
        yield replace(raster, src=vrt, georeference=grid.georeference, resampled=True)
