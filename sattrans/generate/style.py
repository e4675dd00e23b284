"""The style of an image: that of the training scene whose classes are most like those of the whole map."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sattrans.generate.update import record_of
from sattrans.maps.open import Map
from sattrans.model import TileSpec
from sattrans.raster.window import Window
from sattrans.runs.styles import AUTO

MOST_PIXELS = 1 << 22
"""A map of up to this many pixels is read as a whole."""

SAMPLES, SIDE = 6, 256
"""Of a larger map, `SAMPLES` × `SAMPLES` windows of `SIDE` px are read, evenly spread."""


def choose_style(asked: str, update: Path | None, spec: TileSpec, map_: Map) -> str:
    """Return the name of the scene whose style an image takes; an update takes that of the image.

    The whole map decides, whatever part of it is translated, so that parts of a map fit together.
    """
    if asked != AUTO:
        return asked
    previous = record_of(update) if update else None
    if previous and previous["options"].get("style") in spec.scenes:
        return str(previous["options"]["style"])
    if not spec.shares:
        return spec.scenes[0]
    counts = np.zeros(256, np.int64)
    for window in _samples(map_.whole):
        counts += np.bincount(map_.read(window).ravel(), minlength=256)
    known = counts[: spec.classes]
    return spec.scenes[spec.nearest_scene((known / max(1, known.sum())).tolist())]


def _samples(whole: Window) -> Iterator[Window]:
    if whole.height * whole.width <= MOST_PIXELS:
        yield whole
        return
    height, width = min(SIDE, whole.height), min(SIDE, whole.width)
    for row in range(SAMPLES):
        for col in range(SAMPLES):
            down, across = (whole.height - height) * row // (SAMPLES - 1), (whole.width - width) * col // (SAMPLES - 1)
            yield Window(whole.row + down, whole.col + across, height, width)
