"""Colours of a sequence: from dark to bright in even steps, told apart without seeing red from green."""

VIRIDIS = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")
"""Smith and van der Walt's viridis, every eighth of it: lightness rises evenly, also in grey."""


def sequence(count: int) -> list[str]:
    """Return `count` colours, `#rrggbb`, from the dark end to the bright one."""
    return [_between(place / max(count - 1, 1)) for place in range(count)]


def ink_on(color: str) -> str:
    """Return black or white, whichever stands out more on a colour (WCAG 2)."""
    light = 0.2126 * _linear(color, 1) + 0.7152 * _linear(color, 3) + 0.0722 * _linear(color, 5)
    return "#000000" if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else "#ffffff"


def _between(place: float) -> str:
    steps = len(VIRIDIS) - 1
    below = min(int(place * steps), steps - 1)
    part = place * steps - below
    pairs = ((int(VIRIDIS[below][at : at + 2], 16), int(VIRIDIS[below + 1][at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(low + part * (high - low)):02x}" for low, high in pairs)


def _linear(color: str, at: int) -> float:
    value = int(color[at : at + 2], 16) / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
