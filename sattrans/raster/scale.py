"""Scaling deep pixels to 8 bits, with one linear range for all scenes: given as values, or found from percentiles."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError

BINS = 65536
"""Bins of a histogram: one for every value of 16 bits."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` become 0 to 255, rounded; values outside become 0 or 255."""

    low: float
    high: float

    def __call__(self, pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return pixels as uint8, same shape; NaN becomes 0."""
        # float32 has 24 bits, enough for whole numbers up to 16 million, so for 16-bit pixels.
        values: NDArray[np.floating[Any]] = pixels.astype(np.float32 if pixels.dtype.itemsize <= 2 else np.float64)
        scaled = (values - self.low) * (255 / (self.high - self.low))
        levels: NDArray[np.uint8] = np.nan_to_num(scaled.round(), nan=0.0).clip(0, 255).astype(np.uint8)
        return levels


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A range that is still to be found: the `low` and `high` percentile, 0 to 100, of all pixels."""

    low: float
    high: float


def parse_scale(text: str) -> Scale | Percentiles:
    """Parse "0,3000" (values) or "2%,98%" (percentiles over all scenes). Raises `OptionError`."""
    parts = [part.strip() for part in text.split(",")]
    percent = [part.endswith("%") for part in parts]
    try:
        low, high = (float(part.rstrip("%")) for part in parts)
    except ValueError:
        raise OptionError(f"--scale {text}: give two values such as 0,3000, or percentiles such as 2%,98%") from None
    if percent[0] != percent[1] or not np.isfinite([low, high]).all() or not low < high:
        raise OptionError(f"--scale {text}: give two numbers, or two percentiles, the lower first")
    if not percent[0]:
        return Scale(low, high)
    if low < 0 or high > 100:
        raise OptionError(f"--scale {text}: percentiles must be between 0% and 100%")
    return Percentiles(low, high)


@dataclass(frozen=True, slots=True)
class Histogram:
    """The number of pixels in each of `BINS` equal bins of [`low`, `high`]."""

    low: float
    high: float
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, pixels: NDArray[np.generic], low: float, high: float) -> "Histogram":
        """Return the histogram of pixels, all of which are finite."""
        if np.issubdtype(pixels.dtype, np.integer) and high - low == BINS:
            return cls(low, high, np.bincount(pixels.astype(np.int64).reshape(-1) - int(low), minlength=BINS))
        # Not np.histogram, which refuses bins that float32 cannot tell apart, such as for elevations around 4000 m.
        width = max((high - low) / BINS, float(np.finfo(float).tiny))
        bins = ((pixels.astype(np.float64) - low) / width).astype(np.int64).clip(0, BINS - 1)
        return cls(low, high, np.bincount(bins.reshape(-1), minlength=BINS))

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram(self.low, self.high, self.counts + other.counts)

    def value_at(self, percent: float) -> float:
        """Return the value that so many per cent of the pixels are at or below, to the width of a bin."""
        cumulative = np.cumsum(self.counts)
        # At least one pixel, since no pixel is below the lowest value.
        index = int(np.searchsorted(cumulative, max(1.0, percent / 100 * cumulative[-1]), side="left"))
        width = (self.high - self.low) / BINS
        return self.low + min(index, BINS - 1) * width


def value_range(dtype: str) -> tuple[float, float] | None:
    """Return the range of a histogram with a bin for each value of a data type; None for a type of over 16 bits."""
    kind = np.dtype(dtype)
    if kind.kind in "iu" and kind.itemsize <= 2:
        lowest = float(np.iinfo(kind).min)
        return lowest, lowest + BINS
    return None
