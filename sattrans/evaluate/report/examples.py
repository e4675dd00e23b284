"""Looks: a few tiles to look at - the best, the middle and the worst, and those that show most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.data.contact_sheet import write_sheet
from sattrans.data.tileset import Tileset
from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.images import Reference, TileReference
from sattrans.evaluate.registry import METRICS
from sattrans.metrics.baselines import evenly_spaced

JUDGES = ("mae", "ssim", "rmse", "psnr", "ms_ssim", "l1_sum", "l2_norm")
"""The scores that tiles are put in order by: the first that there is. They have one for each image."""

SHEET_TILES = 4


@dataclass(frozen=True, slots=True)
class Looks:
    """`examples` are the numbers of tiles by why they were chosen, `sheet` those that show most; images by column."""

    judge: str | None
    examples: Mapping[str, int]
    sheet: Sequence[int]
    images: Mapping[str, Mapping[int, NDArray[np.uint8]]]


def judge_of(columns: Sequence[Column]) -> str | None:
    """Return the score that tiles are put in order by; None where none of them was asked for."""
    return next((name for name in JUDGES if name in columns[0].scored.scores), None)


def look_at(reference: Reference, columns: Sequence[Column]) -> Looks:
    """Choose tiles by the mean score of all columns, and have their images made; of several seeds, the first's."""
    judge = judge_of(columns)
    examples = _examples(reference, columns, judge) if judge else {}
    sheet = (
        Tileset.telling(reference.tiles, SHEET_TILES)
        if isinstance(reference, TileReference)
        else evenly_spaced(len(reference), min(SHEET_TILES, len(reference)))
    )
    numbers = sorted({*examples.values(), *sheet})
    images = {}
    for column in columns:
        made = column.subjects[0].images(numbers)
        images[column.name] = {number: image.numpy() for number, image in zip(numbers, made, strict=True)}
    return Looks(judge, examples, sheet, images)


def _examples(reference: Reference, columns: Sequence[Column], judge: str) -> dict[str, int]:
    sign = -1 if next(metric for metric in METRICS if metric.name == judge).better == "higher" else 1

    def cost(column: Column, name: str) -> float:
        value = column.scored.images[name][judge]
        return -np.inf if value is None else sign * value  # an image without a PSNR is perfect

    mean = [float(np.mean([cost(column, name) for column in columns])) for name in reference.ids]
    order = sorted(range(len(mean)), key=lambda number: (mean[number], number))
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    return {title: n for title, n in chosen.items() if n not in list(chosen.values())[: list(chosen).index(title)]}


def write_sheet_of(path: Path, reference: Reference, columns: Sequence[Column], looks: Looks) -> None:
    """Write a contact sheet: map, each column, real."""
    rows = []
    for number in looks.sheet:
        map_ = reference.map_picture(number)
        generated = [looks.images[column.name][number] for column in columns]
        rows.append([*([map_] if map_ is not None else []), *generated, reference.real(number).image.numpy()])
    has_map = len(rows[0]) > len(columns) + 1
    write_sheet(path, rows, [*(["map"] if has_map else []), *(column.name for column in columns), "real"])
