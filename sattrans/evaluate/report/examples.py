"""Example tiles: the best, the median and the worst by a metric, and tiles with an even class mix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.data.contact_sheet import write_sheet
from sattrans.data.tileset import Tileset
from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.images import RealImages, RealTiles
from sattrans.evaluate.registry import METRICS
from sattrans.metrics.baselines import evenly_spaced

SORT_METRICS = ("mae", "ssim", "rmse", "psnr", "ms_ssim", "l1_sum", "l2_norm")
"""Metrics that tiles are sorted by: the first of them that was computed."""

SHEET_TILES = 4
"""Number of tiles on the contact sheet."""


@dataclass(frozen=True, slots=True)
class ChosenTiles:
    """Tiles to look at.

    Attributes:
        sort_metric: Name of the metric that the examples were chosen by; None if no suitable one was computed.
        examples: Numbers of the best, the median and the worst tile, by title.
        sheet: Numbers of the tiles on the contact sheet.
        images: The generated images of all these tiles, by column and number.
    """

    sort_metric: str | None
    examples: Mapping[str, int]
    sheet: Sequence[int]
    images: Mapping[str, Mapping[int, NDArray[np.uint8]]]


def choose_tiles(real_images: RealImages, columns: Sequence[Column]) -> ChosenTiles:
    """Choose tiles by the mean value of all columns and generate their images; of several seeds, the first one's."""
    metric = next((name for name in SORT_METRICS if name in columns[0].scores.metrics), None)
    examples = _best_median_worst(real_images, columns, metric) if metric else {}
    sheet = (
        Tileset.most_varied(real_images.tiles, SHEET_TILES)
        if isinstance(real_images, RealTiles)
        else evenly_spaced(len(real_images), min(SHEET_TILES, len(real_images)))
    )
    numbers = sorted({*examples.values(), *sheet})
    images = {}
    for column in columns:
        generated = column.sources[0].images(numbers)
        images[column.name] = {number: image.numpy() for number, image in zip(numbers, generated, strict=True)}
    return ChosenTiles(metric, examples, sheet, images)


def _best_median_worst(real_images: RealImages, columns: Sequence[Column], metric: str) -> dict[str, int]:
    sign = -1 if next(m for m in METRICS if m.name == metric).better == "higher" else 1

    def cost(column: Column, image: str) -> float:
        value = column.scores.images[image][metric]
        return -np.inf if value is None else sign * value  # an image without a PSNR is perfect

    mean = [float(np.mean([cost(column, image) for column in columns])) for image in real_images.ids]
    order = sorted(range(len(mean)), key=lambda number: (mean[number], number))
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    return {title: n for title, n in chosen.items() if n not in list(chosen.values())[: list(chosen).index(title)]}


def write_contact_sheet(path: Path, real_images: RealImages, columns: Sequence[Column], tiles: ChosenTiles) -> None:
    """Write a contact sheet with the map, the image of each column and the real image of each tile."""
    rows = []
    for number in tiles.sheet:
        map_ = real_images.map_picture(number)
        generated = [tiles.images[column.name][number] for column in columns]
        rows.append([*([map_] if map_ is not None else []), *generated, real_images.read(number).image.numpy()])
    has_map = len(rows[0]) > len(columns) + 1
    write_sheet(path, rows, [*(["map"] if has_map else []), *(column.name for column in columns), "real"])
