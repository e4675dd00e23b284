"""Example tiles: the best, the median and the worst by a metric, others to leaf through, an even class mix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.data.contact_sheet import write_sheet
from sattrans.data.tileset import Tileset
from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.images import ImageSource, RealImages, RealTiles
from sattrans.evaluate.registry import METRICS
from sattrans.evaluate.report.pictures import MAX_SIDE
from sattrans.evaluate.table import baseline_title
from sattrans.metrics.baselines import evenly_spaced

SORT_METRICS = ("mae", "ssim", "rmse", "psnr", "ms_ssim", "l1_sum", "l2_norm")
"""Metrics that tiles are sorted by: the first of them that was computed."""

SHEET_TILES = 4
"""Number of tiles on the contact sheet."""

MAX_LEAVES = 24
"""Largest number of tiles to leaf through."""

MAX_LEAF_PIXELS = 8 << 20
"""Pixels that the images of these tiles may have in all, so that the page stays below about 10 MB."""


@dataclass(frozen=True, slots=True)
class ChosenTiles:
    """Tiles to look at.

    Attributes:
        sort_metric: Name of the metric that the examples were chosen by; None if no suitable one was computed.
        examples: Numbers of the best, the median and the worst tile, by title.
        leaves: Numbers of the tiles to leaf through: all, or an even choice, from the best to the worst.
        sheet: Numbers of the tiles on the contact sheet.
        images: The generated images of all these tiles, by column and number.
        floors: Those of floors, by title and number.
    """

    sort_metric: str | None
    examples: Mapping[str, int]
    leaves: Sequence[int]
    sheet: Sequence[int]
    images: Mapping[str, Mapping[int, NDArray[np.uint8]]]
    floors: Mapping[str, Mapping[int, NDArray[np.uint8]]] = field(default_factory=dict)


def choose_tiles(
    real_images: RealImages, columns: Sequence[Column], floors: Mapping[str, ImageSource] | None = None
) -> ChosenTiles:
    """Choose tiles by the mean value of all columns and generate their images; of several seeds, the first one's."""
    floors = floors or {}
    metric = next((name for name in SORT_METRICS if name in columns[0].scores.metrics), None)
    order = _best_to_worst(real_images, columns, metric) if metric else range(len(real_images))
    examples = _best_median_worst(order) if metric else {}
    pixels = real_images.read(0).image[0].numel()
    places = np.linspace(0, len(order) - 1, leaf_count(len(order), pixels, len(columns) + len(floors)))
    leaves = [order[place] for place in places.round().astype(int)]
    sheet = (
        Tileset.most_varied(real_images.tiles, SHEET_TILES)
        if isinstance(real_images, RealTiles)
        else evenly_spaced(len(real_images), min(SHEET_TILES, len(real_images)))
    )
    numbers = sorted({*examples.values(), *leaves, *sheet})

    def pictures(source: ImageSource) -> dict[int, NDArray[np.uint8]]:
        return {number: image.numpy() for number, image in zip(numbers, source.images(numbers), strict=True)}

    images = {column.name: pictures(column.sources[0]) for column in columns}
    beside = {baseline_title(name): pictures(source) for name, source in floors.items()}
    return ChosenTiles(metric, examples, leaves, sheet, images, beside)


def leaf_count(tiles: int, pixels: int, columns: int) -> int:
    """Return how many of some tiles, of so many pixels each, to leaf through: three at least, if there are as many."""
    affordable = MAX_LEAF_PIXELS // (min(pixels, MAX_SIDE**2) * (columns + 1))
    return min(tiles, max(3, min(MAX_LEAVES, affordable)))


def _best_to_worst(real_images: RealImages, columns: Sequence[Column], metric: str) -> list[int]:
    sign = -1 if next(m for m in METRICS if m.name == metric).better == "higher" else 1

    def cost(column: Column, image: str) -> float:
        value = column.scores.images[image][metric]
        return -np.inf if value is None else sign * value  # an image without a PSNR is perfect

    mean = [float(np.mean([cost(column, image) for column in columns])) for image in real_images.ids]
    return sorted(range(len(mean)), key=lambda number: (mean[number], number))


def _best_median_worst(order: Sequence[int]) -> dict[str, int]:
    chosen = {"Best": order[0], "Median": order[len(order) // 2], "Worst": order[-1]}
    return {title: n for title, n in chosen.items() if n not in list(chosen.values())[: list(chosen).index(title)]}


def write_contact_sheet(path: Path, real_images: RealImages, tiles: ChosenTiles) -> None:
    """Write a contact sheet with the map, the image of each column and floor, and the real image of each tile."""
    shown = {**tiles.images, **tiles.floors}
    rows = []
    for number in tiles.sheet:
        map_ = real_images.map_picture(number)
        generated = [images[number] for images in shown.values()]
        rows.append([*([map_] if map_ is not None else []), *generated, real_images.read(number).image.numpy()])
    has_map = len(rows[0]) > len(shown) + 1
    write_sheet(path, rows, [*(["map"] if has_map else []), *shown, "real"])
