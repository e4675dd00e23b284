"""Axes that end at round numbers, and numbers formatted for people."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MAX_TICKS = 10
"""Largest number of ticks of a logarithmic axis."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to `high`; all ticks lie within."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Return the position of a value, from 0 at `low` to 1 at `high`."""
        if self.log:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(value)
        else:
            low, high = self.low, self.high
        return (value - low) / (high - low)


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the values that are neither None, NaN nor infinite."""
    return [value for value in values if value is not None and math.isfinite(value)]


def axis(values: Iterable[float | None]) -> Axis:
    """Return an axis that contains all values: logarithmic if all are positive, so that small ones are visible.

    Values that are not finite are ignored; without any others, the axis goes from 0 to 1.
    """
    known = finite(values)
    if known and min(known) > 0:
        return logarithmic(min(known), max(known))
    return linear(min(known, default=0.0), max(known, default=1.0))


def linear(low: float, high: float, count: int = 5) -> Axis:
    """Return an axis of about `count` steps of 1, 2, 2.5 or 5 times a power of ten that contains `low` and `high`."""
    if not high - low > 1e-9 * max(abs(low), abs(high)):  # a single value gets a margin on both sides
        margin = abs(low) / 10 or 1.0
        low, high = low - margin, high + margin
    least = max((high - low) / count, 1e-300)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= least * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(number * step for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def logarithmic(low: float, high: float) -> Axis:
    """Return a logarithmic axis that ends at 1, 2 or 5 times a power of ten; `low` must be positive."""
    if high / low < 1.2:
        low, high = low / 1.2, high * 1.2
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    known = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
    known = [value for value in known if 0 < value < math.inf]
    low = max((value for value in known if value <= low), default=low)
    high = min((value for value in known if value >= high), default=high)
    ticks = [value for value in known if low <= value <= high]
    if len(ticks) > MAX_TICKS:
        ticks = [value for value in ticks if f"{value:e}".startswith("1.0")]
        ticks = ticks[:: -(-len(ticks) // MAX_TICKS)]
    return Axis(low, high, tuple(ticks), log=True)


def number(value: float, digits: int = 3) -> str:
    """Return a number with a few significant digits, such as 0.0312, 37844, −2.5 or 3×10⁻⁵."""
    if value and not 1e-3 <= abs(value) < 1e6:
        digit, _, power = f"{value:.{digits - 1}e}".partition("e")
        digit = digit.rstrip("0").rstrip(".") if "." in digit else digit
        text = f"{digit}×10{str(int(power)).translate(SUPERSCRIPT)}".removeprefix("1×")
    else:
        text = f"{value:.0f}" if abs(value) >= 10**digits - 0.5 else f"{value:.{digits}g}"
    return text.replace("-", "−")


def labels(ticks: Iterable[float]) -> list[str]:
    """Return the ticks as text, with as few digits as make them distinct, but at least three."""
    ticks = list(ticks)
    for digits in range(3, 16):
        texts = [number(tick, digits) for tick in ticks]
        if len(set(texts)) == len(set(ticks)):
            break
    return texts
