"""Find the range of values that becomes 0 to 255, from percentiles of the pixels of all scenes."""

from collections.abc import Iterable, Iterator, Sequence
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
from sattrans.tile.scene import SceneSource, cached_scene
from sattrans.utils.console import progress_bar
from sattrans.utils.executor import Pool

T = TypeVar("T")

ROWS = 512
"""Rows of an image that are read at once."""

NO_DATA = "--scale: the images have no valid pixels, so percentiles cannot be computed"


@dataclass(frozen=True, slots=True)
class ImageStrip:
    """A strip of rows of a scene's image. Picklable; `between` is the range of the histogram, None to find it."""

    source: SceneSource
    palette: Palette | None
    window: Window
    between: tuple[float, float] | None = None


def find_scale(
    sources: Sequence[SceneSource],
    palette: Palette | None,
    percentiles: Percentiles,
    pool: Pool,
    most: int | None = None,
) -> Scale:
    """Return the range between two percentiles of the valid pixels; of a sample of about `most` parts, if given.

    Exact for 8-bit and 16-bit pixels; for others exact to a 65,536th of their range, which takes a second pass. Raises
    `OptionError` if all pixels are equal or none is valid.
    """
    sources = [source.from_anywhere() for source in sources] if pool.elsewhere else sources
    parts = list(_strips(sources, palette))
    parts = parts[:: max(1, len(parts) // most)] if most else parts
    ranges = set(_with_progress(pool.map(histogram_ends, parts), len(parts), "range"))
    known = [ends for ends in ranges if ends]
    if not known:
        raise OptionError(NO_DATA)
    between = min(low for low, _ in known), max(high for _, high in known)
    histograms = pool.map(count_values, [replace(part, between=between) for part in parts])
    histogram = reduce(add, _with_progress(histograms, len(parts), "percentiles"))
    if not histogram.counts.any():
        raise OptionError(NO_DATA)
    low, high = histogram.value_at(percentiles.low), histogram.value_at(percentiles.high)
    if not low < high:
        raise OptionError(
            f"--scale {percentiles.low:g}%,{percentiles.high:g}%: both are {low:g}, so there is no range to scale"
        )
    return Scale(low, high)


def _strips(sources: Sequence[SceneSource], palette: Palette | None) -> Iterator[ImageStrip]:
    for source in sources:
        grid = source.record
        for top in range(0, grid.height, ROWS):
            yield ImageStrip(source, palette, Window(top, 0, min(ROWS, grid.height - top), grid.width))


def _with_progress(results: Iterable[T], count: int, what: str) -> Iterator[T]:
    with progress_bar(count, what, "part") as progress:
        for result in results:
            yield result
            progress.update()


def histogram_ends(part: ImageStrip) -> tuple[float, float] | None:
    """Return the ends of a histogram for a part's pixels: those of its type, or the lowest and highest value."""
    image = cached_scene(part.source, part.palette).image
    whole = value_range(image.dtype)
    if whole:
        return whole
    values = read_values(image, part.window, part.source.bands)
    # A little more, so that the highest value falls into the last part and not onto its end.
    return (float(values.min()), float(np.nextafter(values.max(), np.inf, dtype=float))) if values.size else None


def count_values(part: ImageStrip) -> Histogram:
    """Count a part's pixels."""
    assert part.between
    image = cached_scene(part.source, part.palette).image
    return Histogram.of(read_values(image, part.window, part.source.bands), *part.between)
