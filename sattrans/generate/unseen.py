"""Classes of a map that the run's training never saw, and how much of the map they cover."""

from collections.abc import Iterator

import numpy as np

from sattrans.maps.open import Map
from sattrans.raster.window import Window
from sattrans.runs.run import Run
from sattrans.utils.console import pluralize

ROWS = 512
"""Rows of the map that are read at once."""


def unseen_notices(run: Run, map_: Map, name: str) -> Iterator[str]:
    """Yield a notice if classes that the training never saw are in a map; the map is read only if there are such."""
    palette, unseen = run.palette, run.unseen_classes
    if palette is None or not unseen:
        return
    numbers = [palette.names.index(class_) for class_ in unseen]
    counts = np.zeros(len(numbers), np.int64)
    for top in range(0, map_.height, ROWS):
        pixels = map_.read(Window(top, 0, min(ROWS, map_.height - top), map_.width))
        counts += [np.count_nonzero(pixels == number) for number in numbers]
    total = map_.height * map_.width
    found = [f"{class_} ({count / total:.2%})" for class_, count in zip(unseen, counts, strict=True) if count]
    if found:
        value = palette.values[numbers[int(counts.argmax())]]
        yield (
            f"the training of {run.folder} never saw {pluralize(len(found), 'class', 'classes')} of {name}, "
            f"{', '.join(found)} of it, so what is painted there is arbitrary; train on tiles that hold them, or give "
            f"them another class with --class-map {value}=CLASS"
        )
