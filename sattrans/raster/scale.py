"""Deep pixels to 8 bits: one linear range for all bands of all scenes, given or found as percentiles."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError

BINS = 65536
"""Of a histogram: every value of 16 bits has one of its own."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` become 0 to 255, rounded; what lies beyond becomes 0 or 255."""

    low: float
    high: float

    def __call__(self, pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return pixels as uint8, same shape; what is no number becomes 0."""
        # Enough digits for the pixels: a float32 has 24 bits, and counts no further than 16 million.
        numbers: NDArray[np.floating[Any]] = pixels.astype(np.float32 if pixels.dtype.itemsize <= 2 else np.float64)
        part = (numbers - self.low) * (255 / (self.high - self.low))
        whole: NDArray[np.uint8] = np.nan_to_num(part.round(), nan=0.0).clip(0, 255).astype(np.uint8)
        return whole


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A range to be found: the values that `low` and `high` per cent of all pixels lie below."""

    low: float
    high: float


def parse_scale(text: str) -> Scale | Percentiles:
    """Read "0,3000" (values) or "2%,98%" (percentiles over all scenes). Raises `OptionError`."""
    parts = [part.strip() for part in text.split(",")]
    percent = [part.endswith("%") for part in parts]
    try:
        low, high = (float(part.rstrip("%")) for part in parts)
    except ValueError:
        raise OptionError(f"--scale {text}: two values such as 0,3000, or percentiles such as 2%,98%") from None
    if percent[0] != percent[1] or not np.isfinite([low, high]).all() or not low < high:
        raise OptionError(f"--scale {text}: two numbers, or two percentiles, the lower first")
    if not percent[0]:
        return Scale(low, high)
    if low < 0 or high > 100:
        raise OptionError(f"--scale {text}: percentiles lie between 0% and 100%")
    return Percentiles(low, high)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many pixels fall into each of `BINS` equal parts of [`low`, `high`]."""

    low: float
    high: float
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, pixels: NDArray[np.generic], low: float, high: float) -> "Histogram":
        """Count pixels; those that are no numbers are left out."""
        if np.issubdtype(pixels.dtype, np.integer) and high - low == BINS:
            return cls(low, high, np.bincount(pixels.astype(np.int64).reshape(-1) - int(low), minlength=BINS))
        # Not numpy's histogram, which refuses parts that float32 cannot tell apart: heights of 4000 m, say.
        width = max((high - low) / BINS, float(np.finfo(float).tiny))
        place = ((pixels.astype(np.float64) - low) / width).astype(np.int64).clip(0, BINS - 1)
        return cls(low, high, np.bincount(place.reshape(-1), minlength=BINS))

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram(self.low, self.high, self.counts + other.counts)

    def value_at(self, percent: float) -> float:
        """Return the value that so many per cent of the pixels lie at or below (to a part's width)."""
        below = np.cumsum(self.counts)
        # At least one pixel: below the lowest value there are none.
        place = int(np.searchsorted(below, max(1.0, percent / 100 * below[-1]), side="left"))
        width = (self.high - self.low) / BINS
        return self.low + min(place, BINS - 1) * width


def value_range(dtype: str) -> tuple[float, float] | None:
    """Return the ends of a histogram that gives each value of a type a part of its own; None where none does."""
    kind = np.dtype(dtype)
    if kind.kind in "iu" and kind.itemsize <= 2:
        lowest = float(np.iinfo(kind).min)
        return lowest, lowest + BINS
    return None
