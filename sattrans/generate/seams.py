"""The seam score of image files that `generate` wrote."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import UsageError
from sattrans.metrics.seams import Seams, sampled_parts, seams
from sattrans.raster.bands import read_image, rgb_bands
from sattrans.raster.cog.output import OPTIONS_TAG
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.validity import has_transparency, read_opaque
from sattrans.raster.window import Window, window_starts
from sattrans.utils.console import progress_bar
from sattrans.utils.records import parse_json

CHUNK = 1024
"""Side in pixels of the chunks that are read."""


def seams_of(path: Path) -> Seams | None:
    """Return the seam score of an image, None if too few windows meet in it.

    Raises:
        UsageError: If the tags of the image do not describe its windows.
    """
    with open_raster(path) as raster:
        try:
            recorded = parse_json(raster.tags()[OPTIONS_TAG])
            size, overlap = int(recorded["window"]), int(recorded["overlap"])
            rows, cols = _recorded_starts(raster, recorded, size, overlap)
        except (KeyError, ValueError, TypeError):
            raise UsageError(
                f"{path} does not record its windows; the seam score needs an image that sattrans generate made"
            ) from None
        bands = rgb_bands(raster, None)
        parts = [
            Window(row, col, min(CHUNK, raster.height - row), min(CHUNK, raster.width - col))
            for row in range(0, raster.height, CHUNK)
            for col in range(0, raster.width, CHUNK)
        ]
        return seams(
            lambda window: read_image(raster, window, bands)[0],
            (lambda window: _opaque(raster, window)) if has_transparency(raster) else None,
            _with_progress(sampled_parts(parts), path),
            (raster.height, raster.width),
            (rows, cols),
            size,
            overlap,
        )


def _recorded_starts(raster: Raster, recorded: Mapping[str, Any], size: int, overlap: int) -> list[Sequence[int]]:
    """Return where windows start, down and across; those of versions that did not record it began at the corner."""
    starts = recorded.get("starts")
    if starts is None:
        return [window_starts(length, size, overlap) for length in (raster.height, raster.width)]
    rows, cols = starts
    return [[int(start) for start in own] for own in (rows, cols)]


def _opaque(raster: Raster, window: Window) -> NDArray[np.bool_]:
    opaque = read_opaque(raster, window)
    return np.ones((window.height, window.width), bool) if opaque is None else opaque


def _with_progress(parts: Sequence[Window], path: Path) -> Iterator[Window]:
    with progress_bar(len(parts), f"seams of {path.name}", "part") as progress:
        for part in parts:
            yield part
            progress.update()
