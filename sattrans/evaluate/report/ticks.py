"""Ticks: an axis that ends at round numbers, and numbers as a person reads them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MANY = 10
"""Ticks that an axis carries at most where it is logarithmic."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`, with its ticks, all of them within."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a value lies, 0 at `low` to 1 at `high`."""
        if self.log:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(value)
        else:
            low, high = self.low, self.high
        return (value - low) / (high - low)


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the values that are numbers: not None, not NaN, not infinite."""
    return [value for value in values if value is not None and math.isfinite(value)]


def axis(values: Iterable[float | None]) -> Axis:
    """Return an axis that holds all values: logarithmic where all are above 0, so that small ones are seen, too.

    Values that are no numbers are passed over; without any, the axis goes from 0 to 1.
    """
    there = finite(values)
    if there and min(there) > 0:
        return logarithmic(min(there), max(there))
    return linear(min(there, default=0.0), max(there, default=1.0))


def linear(low: float, high: float, count: int = 5) -> Axis:
    """Return an axis of about `count` steps of 1, 2, 2.5 or 5 times a power of ten, `low` and `high` within."""
    if not high - low > 1e-9 * max(abs(low), abs(high)):  # one value: room on both of its sides
        room = abs(low) / 10 or 1.0
        low, high = low - room, high + room
    least = max((high - low) / count, 1e-300)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= least * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(number * step for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def logarithmic(low: float, high: float) -> Axis:
    """Return a logarithmic axis that ends at 1, 2 or 5 times a power of ten; `low` is above 0."""
    if high / low < 1.2:
        low, high = low / 1.2, high * 1.2
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    known = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
    known = [value for value in known if 0 < value < math.inf]
    low = max((value for value in known if value <= low), default=low)
    high = min((value for value in known if value >= high), default=high)
    ticks = [value for value in known if low <= value <= high]
    if len(ticks) > MANY:
        ticks = [value for value in ticks if f"{value:e}".startswith("1.0")]
        ticks = ticks[:: -(-len(ticks) // MANY)]
    return Axis(low, high, tuple(ticks), log=True)


def number(value: float, digits: int = 3) -> str:
    """Return a number in some significant digits, such as 0.0312, 37844, −2.5 or 3×10⁻⁵."""
    if value and not 1e-3 <= abs(value) < 1e6:
        digit, _, power = f"{value:.{digits - 1}e}".partition("e")
        digit = digit.rstrip("0").rstrip(".") if "." in digit else digit
        text = f"{digit}×10{str(int(power)).translate(SUPERSCRIPT)}".removeprefix("1×")
    else:
        text = f"{value:.0f}" if abs(value) >= 10**digits - 0.5 else f"{value:.{digits}g}"
    return text.replace("-", "−")


def labels(ticks: Iterable[float]) -> list[str]:
    """Return the ticks' numbers in as few digits as tell them apart, three at least."""
    ticks = list(ticks)
    for digits in range(3, 16):
        texts = [number(tick, digits) for tick in ticks]
        if len(set(texts)) == len(set(ticks)):
            break
    return texts
