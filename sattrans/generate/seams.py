"""Seam files: the seam score of images that `generate` wrote, from their pixels."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from sattrans.errors import UsageError
from sattrans.generate.windows import Plan
from sattrans.metrics.seams import Seams, seams, some
from sattrans.raster.bands import image_bands, read_image
from sattrans.raster.cog.writer import OPTIONS_TAG
from sattrans.raster.open import open_raster
from sattrans.raster.window import Window
from sattrans.utils.console import bar

PART = 1024
"""Pixels of a side of what is looked at at once."""


def seams_of(path: Path) -> Seams | None:
    """Return the seam score of an image; None where it says nothing.

    Raises `UsageError` where the image's tags do not say how its windows lay.
    """
    with open_raster(path) as raster:
        try:
            told = json.loads(raster.tags()[OPTIONS_TAG])
            plan = Plan(raster.height, raster.width, int(told["window"]), int(told["overlap"]), told["blend"])
        except (KeyError, ValueError, TypeError):
            raise UsageError(
                f"{path} does not say how its windows lie: seams are scored of images that sattrans generate made"
            ) from None
        bands, alpha = image_bands(raster, None), raster.alpha_band
        parts = [
            Window(row, col, min(PART, plan.height - row), min(PART, plan.width - col))
            for row in range(0, plan.height, PART)
            for col in range(0, plan.width, PART)
        ]
        return seams(
            lambda window: read_image(raster, window, bands)[0],
            None if alpha is None else (lambda window: raster.read(window, [alpha])[0] > 0),
            _told(some(parts), path),
            (plan.height, plan.width),
            plan.boundaries(),
            plan.overlap,
        )


def _told(parts: Sequence[Window], path: Path) -> Iterator[Window]:
    with bar(len(parts), f"seams of {path.name}", "part") as progress:
        for part in parts:
            yield part
            progress.update()
