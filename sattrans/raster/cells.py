"""Cells of pixels: their means and modes, and cells drawn as pixels again; in an order that no cropping changes."""

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.palette import UNKNOWN

Floats = NDArray[np.float32]

PERIOD = 32
"""Period, in pixels, of the grid that a generator's last five upsampling layers draw."""


def cell_means(pixels: Floats, cell: int) -> Floats:
    """Return the means of cells, (bands, H / cell, W / cell), for pixels (bands, H, W).

    The order of summation is fixed, so a part gives the same bytes as the whole.
    """
    rows = pixels[:, ::cell].copy()
    for row in range(1, cell):
        rows += pixels[:, row::cell]
    cells = rows[..., ::cell].copy()
    for col in range(1, cell):
        cells += rows[..., col::cell]
    cells /= np.float32(cell**2)
    return cells


def cell_modes(classes: NDArray[np.uint8], cell: int) -> NDArray[np.uint8]:
    """Return the most frequent class of each cell, (h, w), for class indices (h * cell, w * cell).

    Of classes as frequent as each other, it is the lowest index. A cell is `UNKNOWN` if all of its pixels are.
    """
    height, width = (side // cell for side in classes.shape)
    pixels = np.sort(classes.reshape(height, cell, width, cell).swapaxes(1, 2).reshape(height, width, cell**2), axis=-1)
    found = pixels[..., 0].copy()  # UNKNOWN is the highest index, so it comes last
    most = np.zeros((height, width), np.int64)
    for number in range(cell**2):
        candidate = pixels[..., number]
        count = np.where(candidate == UNKNOWN, 0, (pixels == candidate[..., np.newaxis]).sum(axis=-1))
        better = count > most
        found[better], most[better] = candidate[better], count[better]
    return found


def coarsened(map_: NDArray[np.uint8], cell: int) -> NDArray[np.uint8]:
    """Return a map with cells as its pixels: the modes of class indices (H, W), or the means of colours (3, H, W)."""
    if map_.ndim == 2:
        return cell_modes(map_, cell)
    return cell_means(map_.astype(np.float32), cell).round().astype(np.uint8)


def drawn(cells: NDArray[np.uint8], cell: int) -> NDArray[np.uint8]:
    """Return cells (…, h, w) as pixels (…, h * cell, w * cell), all of a cell alike."""
    return cells.repeat(cell, axis=-2).repeat(cell, axis=-1)


def mirrored(first: int, end: int, length: int) -> NDArray[np.int64]:
    """Return the pixel of an axis of `length` pixels at each position from `first` to `end`, mirrored beyond."""
    turn = np.arange(first, end) % (2 * length)
    return np.minimum(turn, 2 * length - 1 - turn)


def blur(cells: Floats) -> Floats:
    """Return cells (bands, h, w) blurred by the kernel 1 2 1 along both axes."""
    for axis in (1, 2):
        previous, following = _neighbours(cells, axis)
        previous += following
        previous *= np.float32(0.25)
        cells = previous + np.float32(0.5) * cells
    return cells


def upsample(cells: Floats, cell: int) -> Floats:
    """Return cells (bands, h, w) as pixels (bands, h * cell, w * cell), interpolated linearly between cell centres."""
    for axis in (2, 1):  # columns first, while there are few rows
        size = list(cells.shape)
        size[axis] *= cell
        drawn = np.empty(size, np.float32)
        previous, following = (neighbour - cells for neighbour in _neighbours(cells, axis))
        for pixel in range(cell):
            place = (pixel + 0.5) / cell - 0.5  # from the centre of the cell, in cells
            part = np.float32(abs(place)) * (previous if place < 0 else following)
            part += cells
            drawn[(slice(None),) * axis + (slice(pixel, None, cell),)] = part
        cells = drawn
    return cells


def _neighbours(cells: Floats, axis: int) -> tuple[Floats, Floats]:
    """Return the previous and the next cell of each, along an axis; beyond an edge, the edge cell itself."""
    every = (slice(None),) * axis
    first, last = cells[(*every, slice(None, 1))], cells[(*every, slice(-1, None))]
    previous = np.concatenate([first, cells[(*every, slice(None, -1))]], axis=axis)
    return previous, np.concatenate([cells[(*every, slice(1, None))], last], axis=axis)


def framed(
    maps: NDArray[np.uint8], rows: tuple[int, int], cols: tuple[int, int], has_classes: bool
) -> NDArray[np.uint8]:
    """Return maps (…, H, W) with pixels without data around: so many rows above and below, and columns on either side.

    Class indices are `UNKNOWN` there, and colours, of maps without classes, are black.
    """
    return np.pad(maps, [(0, 0)] * (maps.ndim - 2) + [rows, cols], constant_values=UNKNOWN if has_classes else 0)
