"""Find the range of values that becomes 0 to 255: percentiles of all pixels of all scenes."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np

from sattrans.errors import OptionError
from sattrans.raster.bands import read_values
from sattrans.raster.palette import Palette
from sattrans.raster.scale import Histogram, Percentiles, Scale, value_range
from sattrans.raster.window import Window
from sattrans.tile.scene import Source, hold_open
from sattrans.utils.console import bar

T = TypeVar("T")

ROWS = 512
"""Of an image that are read at once."""

NOTHING_THERE = "--scale: no pixel of the images holds anything, so there are no percentiles"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a scene's image. Picklable; `between` are the ends of the histogram, None to find them."""

    source: Source
    palette: Palette | None
    window: Window
    between: tuple[float, float] | None = None


def find_scale(
    sources: Sequence[Source], palette: Palette | None, asked: Percentiles, pool: Executor, most: int | None = None
) -> Scale:
    """Return the range between two percentiles of the pixels that hold anything; of about `most` parts, where told.

    Exact for 8-bit and 16-bit pixels; for others to a 65,536th of their range, which takes a second look. Raises
    `OptionError` where all pixels are equal, or hold nothing.
    """
    parts = list(_parts(sources, palette))
    parts = parts[:: max(1, len(parts) // most)] if most else parts
    ranges = set(_watched(pool.map(ends_of, parts), len(parts), "range"))
    known = [ends for ends in ranges if ends]
    if not known:
        raise OptionError(NOTHING_THERE)
    between = min(low for low, _ in known), max(high for _, high in known)
    counted = pool.map(count_values, [replace(part, between=between) for part in parts])
    histogram = reduce(add, _watched(counted, len(parts), "percentiles"))
    if not histogram.counts.any():
        raise OptionError(NOTHING_THERE)
    low, high = histogram.value_at(asked.low), histogram.value_at(asked.high)
    if not low < high:
        raise OptionError(f"--scale {asked.low:g}%,{asked.high:g}%: both are {low:g}, there is nothing to scale")
    return Scale(low, high)


def _parts(sources: Sequence[Source], palette: Palette | None) -> Iterator[Part]:
    for source in sources:
        grid = source.record
        for top in range(0, grid.height, ROWS):
            yield Part(source, palette, Window(top, 0, min(ROWS, grid.height - top), grid.width))


def _watched(results: Iterable[T], count: int, what: str) -> Iterator[T]:
    with bar(count, what, "part") as progress:
        for result in results:
            yield result
            progress.update()


def ends_of(part: Part) -> tuple[float, float] | None:
    """Return the ends of a histogram for a part's pixels: those of its type, or the lowest and highest value."""
    image = hold_open(part.source, part.palette).image
    whole = value_range(image.dtype)
    if whole:
        return whole
    values = read_values(image, part.window, part.source.bands)
    # A little more, so that the highest value falls into the last part and not onto its end.
    return (float(values.min()), float(np.nextafter(values.max(), np.inf, dtype=float))) if values.size else None


def count_values(part: Part) -> Histogram:
    """Count a part's pixels."""
    assert part.between
    image = hold_open(part.source, part.palette).image
    return Histogram.of(read_values(image, part.window, part.source.bands), *part.between)
