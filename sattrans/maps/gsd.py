"""At which ground resolution a map is translated: the run's, one that was told, or its own."""

from dataclasses import dataclass

from sattrans.errors import OptionError
from sattrans.raster.alignment import MOST_SCALING, Grid
from sattrans.raster.gsd import ground_pixel

NEAR = 0.03
"""Resolutions that differ by no more than this part are the same: a model sees no difference, resampling would blur."""

Metres = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The grid a map is translated on. `metres` is its resolution where it is not the map's own; `notice` says so."""

    grid: Grid
    metres: float | None = None
    notice: str = ""


def parse_res(told: str | float | None) -> float | None:
    """Return metres; None for "native", and where nothing is told. Raises `OptionError`."""
    if told in (None, "native"):
        return None
    try:
        metres = float(str(told))
    except ValueError:
        metres = float("nan")
    if not 0 < metres < float("inf"):
        raise OptionError(f"--res {told}: a resolution in metres above 0 is needed, or native")
    return metres


def resolve(path: str, grid: Grid, told: str | float | None, run: Metres | None) -> Resolved:
    """Return the grid for a raster map on `grid`. `run` is the shortest and longest pixel that the run was trained on.

    Raises `OptionError` where the resolutions are too far apart to be meant, or the map's is needed and not known.
    """
    wanted = parse_res(told)
    if told == "native":
        return Resolved(grid)
    pixel = ground_pixel(grid.georeference, grid.height, grid.width)
    if pixel is None:
        if wanted is not None:
            raise OptionError(
                f"--res {told}: {path} does not tell its ground resolution: give it a CRS and a transform"
            )
        if run is not None and grid.georeference.known:
            return Resolved(grid, notice=f"{path} does not tell its ground resolution: taken pixel by pixel")
        return Resolved(grid)
    if wanted is None and run is None:
        return Resolved(grid)
    shortest, longest = (wanted, wanted) if wanted is not None else run or (0.0, float("inf"))
    if all(shortest * (1 - NEAR) <= side <= longest * (1 + NEAR) for side in pixel):
        return Resolved(grid)
    metres = longest if max(pixel) > longest * (1 + NEAR) else shortest
    across, down = (metres / side for side in pixel)
    for_whom = f"--res {told}" if wanted is not None else f"the run was trained at {_metres(shortest, longest, ' to ')}"
    apart = max(across, down, 1 / across, 1 / down)
    if apart > MOST_SCALING:
        remedy = "" if wanted is not None else ", or --res native to take its pixels as they are"
        raise OptionError(
            f"{path} has pixels of {_metres(*pixel)}, {for_whom}, {apart:.0f} times apart: give a map of a resolution "
            f"within {MOST_SCALING} times{remedy}"
        )
    across, down = min(across, grid.width), min(down, grid.height)  # a map smaller than a pixel is one
    height, width = int(grid.height / down + 1e-6), int(grid.width / across + 1e-6)
    return Resolved(
        Grid(height, width, grid.georeference.scaled(across, down)),
        metres,
        f"{path} has pixels of {_metres(*pixel)}, {for_whom}: resampled to {width} wide × {height} high",
    )


def _metres(one: float, other: float, between: str = " × ") -> str:
    """Return a resolution as a person would say it, or both where they differ."""
    near = abs(one - other) <= NEAR * max(one, other)
    return f"{one:.4g} m" if near else f"{one:.4g}{between}{other:.4g} m"
