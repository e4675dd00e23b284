"""The ground resolution that a map is translated at: that of the run, of `--res`, or the map's own."""

import math
from dataclasses import dataclass, replace

from sattrans.errors import OptionError
from sattrans.raster.alignment import MAX_SCALING, Grid
from sattrans.raster.gsd import measure_gsd

TOLERANCE = 0.03
"""Relative difference up to which resolutions count as equal: a model sees no difference, and resampling would blur."""

STEP = 1.002
"""Relative step between the sizes of pixels where a projection stretches distances: an error of up to 0.1 %."""

ROUNDING = 1e-6
"""Error, in pixels, that a coordinate may have because it was computed with floats."""

GsdRange = tuple[float, float]
"""The shortest and the longest side of a pixel in metres."""


@dataclass(frozen=True, slots=True)
class MapGrid:
    """The grid that a map is translated on.

    Attributes:
        grid: The grid.
        metres: Its resolution, if it differs from the map's own.
        notice: What the user should know about the resolution, or empty.
        enlarged: If the grid's pixels are smaller than the map's own: the longer side of the map's own and of the
            grid's, in metres.
    """

    grid: Grid
    metres: float | None = None
    notice: str = ""
    enlarged: tuple[float, float] | None = None


def parse_res(res: str | float | None) -> float | None:
    """Return metres; None for "native" and None. Raises `OptionError`."""
    if res in (None, "native"):
        return None
    try:
        metres = float(str(res))
    except ValueError:
        metres = float("nan")
    if not 0 < metres < float("inf"):
        raise OptionError(f"--res {res}: give a resolution in metres above 0, or native")
    return metres


def choose_grid(path: str, grid: Grid, res: str | float | None, run: GsdRange | None) -> MapGrid:
    """Return the grid that a raster map is translated on.

    Args:
        path: The map's path, for messages.
        grid: The map's own grid.
        res: Metres, "native" for the map's own grid, or None for the run's resolution.
        run: The pixels that the run was trained on, if they are known.

    Raises:
        OptionError: if the resolutions differ too much, or the map's is needed and unknown.
    """
    metres = parse_res(res)
    if res == "native":
        return MapGrid(grid)
    pixel = measure_gsd(grid.georeference, grid.height, grid.width)
    if pixel is None:
        if metres is not None:
            raise OptionError(f"--res {res}: the ground resolution of {path} is unknown; add a CRS and a transform")
        if run is not None and grid.georeference.known:
            return MapGrid(grid, notice=f"the ground resolution of {path} is unknown, so it is not resampled")
        return MapGrid(grid)
    if metres is None and run is None:
        return MapGrid(grid)
    shortest, longest = (metres, metres) if metres is not None else run or (0.0, float("inf"))
    if all(shortest * (1 - TOLERANCE) <= side <= longest * (1 + TOLERANCE) for side in pixel):
        return MapGrid(grid)
    target = longest if max(pixel) > longest * (1 + TOLERANCE) else shortest
    scale_x, scale_y = (target / side for side in pixel)
    reason = f"--res {res}" if metres is not None else f"the run was trained at {_metres(shortest, longest, ' to ')}"
    factor = max(scale_x, scale_y, 1 / scale_x, 1 / scale_y)
    if factor > MAX_SCALING:
        remedy = "" if metres is not None else ", or --res native to use its pixels unchanged"
        raise OptionError(
            f"{path} has pixels of {_metres(*pixel)}, {reason}, which differ by a factor of {factor:.0f}; use a map "
            f"of a resolution within a factor of {MAX_SCALING}{remedy}"
        )
    fitted = _on_multiples(grid, scale_x, scale_y) if grid.georeference.north_up else _scaled(grid, scale_x, scale_y)
    return MapGrid(
        fitted,
        target,
        f"{path} has pixels of {_metres(*pixel)}, {reason}: resampled to {fitted.width} wide × {fitted.height} high",
        (max(pixel), target) if max(pixel) > target * (1 + TOLERANCE) else None,
    )


def _scaled(grid: Grid, scale_x: float, scale_y: float) -> Grid:
    """Return a grid with larger or smaller pixels from the same corner, with at least one pixel."""
    scale_x, scale_y = min(scale_x, grid.width), min(scale_y, grid.height)
    height, width = int(grid.height / scale_y + 1e-6), int(grid.width / scale_x + 1e-6)
    return Grid(height, width, grid.georeference.scaled(scale_x, scale_y))


def _on_multiples(grid: Grid, scale_x: float, scale_y: float) -> Grid:
    """Return a grid with other pixels, whose edges are at multiples of their size from the origin of the CRS.

    It has the pixels whose centres lie in `grid`. So the grids of neighbouring sheets continue each other, and a centre
    lies in one of them only. A map that holds no centre keeps its corner.
    """
    georeference = grid.georeference
    units = georeference.resolution[0] * scale_x, georeference.resolution[1] * scale_y
    # Where a projection stretches distances, the scale differs a little from sheet to sheet.
    width, height = units if _is_undistorted(grid) else (_step(units[0]), _step(units[1]))
    left, top = georeference.affine @ (0, 0)
    right, bottom = georeference.affine @ (grid.width, grid.height)
    first_col, end_col = _first(left / width), _first(right / width)
    first_row, end_row = _first(-top / height), _first(-bottom / height)
    if end_col == first_col or end_row == first_row:
        return _scaled(grid, scale_x, scale_y)
    transform = (width, 0.0, first_col * width, 0.0, -height, -first_row * height)
    return Grid(end_row - first_row, end_col - first_col, replace(georeference, transform=transform))


def _first(edge: float) -> int:
    """Return the first pixel whose centre is not before an edge, in pixels."""
    return math.ceil(edge - 0.5 - ROUNDING)


def _is_undistorted(grid: Grid) -> bool:
    """Return whether the CRS's own metres are those on the ground, so that a pixel is the same everywhere."""
    crs, pixel = grid.georeference.rasterio_crs, measure_gsd(grid.georeference, grid.height, grid.width)
    if crs is None or pixel is None or not crs.is_projected:
        return False
    factor = float(crs.linear_units_factor[1])
    return all(side == own * factor for side, own in zip(pixel, grid.georeference.resolution, strict=True))


def _step(size: float) -> float:
    """Return a size rounded to one of a series of sizes, so that sheets of nearly the same size share one."""
    return STEP ** round(math.log(size, STEP))


def _metres(first: float, second: float, between: str = " × ") -> str:
    """Return two lengths as text, or a single one if they are nearly equal."""
    is_equal = abs(first - second) <= TOLERANCE * max(first, second)
    return f"{first:.4g} m" if is_equal else f"{first:.4g}{between}{second:.4g} m"
