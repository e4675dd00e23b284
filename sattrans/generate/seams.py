"""The seam score of image files that `generate` wrote."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import UsageError
from sattrans.generate.axis import Axis
from sattrans.generate.blending import RAMPS
from sattrans.generate.windows import WindowPlan
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
            plan = _recorded_plan(raster, recorded)
        except (KeyError, ValueError, TypeError, IndexError):
            raise UsageError(
                f"{path} does not record its windows; the seam score needs an image that sattrans generate made"
            ) from None
        bands = rgb_bands(raster, None)
        parts = [
            Window(row, col, min(CHUNK, plan.height - row), min(CHUNK, plan.width - col))
            for row in range(0, plan.height, CHUNK)
            for col in range(0, plan.width, CHUNK)
        ]
        return seams(
            lambda window: read_image(raster, window, bands)[0],
            (lambda window: _opaque(raster, window)) if has_transparency(raster) else None,
            _with_progress(sampled_parts(parts), path),
            (plan.height, plan.width),
            plan.starts,
            plan.size,
            plan.overlap,
        )


def _recorded_plan(raster: Raster, recorded: Mapping[str, Any]) -> WindowPlan:
    """Return the windows of an image; those of versions without recorded starts began at the image's corner."""
    size, overlap = int(recorded["window"]), int(recorded["overlap"])
    ramps = RAMPS[recorded["blend"]]
    lengths = raster.height, raster.width
    starts = recorded.get("starts") or [window_starts(length, size, overlap) for length in lengths]
    rows, cols = (
        Axis([int(start) for start in own], size, overlap, 0, length, range(length), 0, ramps)
        for own, length in zip(starts, lengths, strict=True)
    )
    return WindowPlan(rows, cols)


def _opaque(raster: Raster, window: Window) -> NDArray[np.bool_]:
    opaque = read_opaque(raster, window)
    return np.ones((window.height, window.width), bool) if opaque is None else opaque


def _with_progress(parts: Sequence[Window], path: Path) -> Iterator[Window]:
    with progress_bar(len(parts), f"seams of {path.name}", "part") as progress:
        for part in parts:
            yield part
            progress.update()
