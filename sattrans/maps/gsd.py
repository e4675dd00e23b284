"""The ground resolution that a map is translated at: that of the run, of `--res`, or the map's own."""

from dataclasses import dataclass

from sattrans.errors import OptionError
from sattrans.raster.alignment import MAX_SCALING, Grid
from sattrans.raster.gsd import measure_gsd

TOLERANCE = 0.03
"""Relative difference up to which resolutions count as equal: a model sees no difference, and resampling would blur."""

GsdRange = tuple[float, float]
"""The shortest and the longest side of a pixel in metres."""


@dataclass(frozen=True, slots=True)
class MapGrid:
    """The grid that a map is translated on.

    Attributes:
        grid: The grid.
        metres: Its resolution, if it differs from the map's own.
        notice: What the user should know about the resolution, or empty.
    """

    grid: Grid
    metres: float | None = None
    notice: str = ""


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
    scale_x, scale_y = min(scale_x, grid.width), min(scale_y, grid.height)  # at least one pixel remains
    height, width = int(grid.height / scale_y + 1e-6), int(grid.width / scale_x + 1e-6)
    return MapGrid(
        Grid(height, width, grid.georeference.scaled(scale_x, scale_y)),
        target,
        f"{path} has pixels of {_metres(*pixel)}, {reason}: resampled to {width} wide × {height} high",
    )


def _metres(first: float, second: float, between: str = " × ") -> str:
    """Return two lengths as text, or a single one if they are nearly equal."""
    is_equal = abs(first - second) <= TOLERANCE * max(first, second)
    return f"{first:.4g} m" if is_equal else f"{first:.4g}{between}{second:.4g} m"
