"""Splits: which tiles train, which validate, which test."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sattrans.data.dataset import SPLITS, Dataset, Scene, Split
from sattrans.raster.window import Cell, Window, tile_cells
from sattrans.tile.options import Fractions, Scheme

FRACTIONS: Fractions = (0.8, 0.1, 0.1)
"""Shares of train, val, test where nobody published a split."""

FEW_SCENES = 10
"""Under so many scenes a split by scene would leave a split to one or two of them, so blocks are cut instead."""

BLOCKS_A_SCENE = 25
"""About how many blocks a scene is cut into for a split by block."""


def deal(count: int, seed: int, fractions: Fractions = FRACTIONS) -> list[Split]:
    """Deal `count` things out by `fractions`, shuffled by `seed`.

    From three things on, no split that has a share goes without.
    """
    shares = [share * count for share in fractions]
    numbers = [int(share) for share in shares]
    if count >= len(SPLITS):
        numbers = [max(1, number) if share else 0 for number, share in zip(numbers, shares, strict=True)]
    by_rest = sorted(
        (i for i in range(len(SPLITS)) if shares[i]), key=lambda i: shares[i] - int(shares[i]), reverse=True
    )
    for turn in range(count):  # hand out what rounding left over, the largest remainder first
        if sum(numbers) >= count:
            break
        numbers[by_rest[turn % len(by_rest)]] += 1
    while sum(numbers) > count:
        numbers[numbers.index(max(numbers))] -= 1
    dealt = [split for split, number in zip(SPLITS, numbers, strict=True) for _ in range(number)]
    order = np.random.default_rng(seed).permutation(count)
    return [dealt[place] for place in order]


def by_scene(scenes: Sequence[Scene], seed: int, fractions: Fractions = FRACTIONS) -> dict[str, Split]:
    """Return the split of each scene by its id."""
    return dict(zip([scene.id for scene in scenes], deal(len(scenes), seed, fractions), strict=True))


def by_block(cells: Sequence[Cell], seed: int, fractions: Fractions = FRACTIONS) -> list[Split | None]:
    """Return the split of each of a scene's whole cells: that of the block of cells it is in.

    Where neighbouring cells overlap, those of unlike split would share pixels: the train cell is then left out
    (None) for the val or test cell, the val cell for the test cell.
    """
    side = max(1, round(math.sqrt(len(cells) / BLOCKS_A_SCENE)))  # of a block, in cells
    down = {row: n // side for n, row in enumerate(sorted({cell.window.row for cell in cells}))}
    across = {col: n // side for n, col in enumerate(sorted({cell.window.col for cell in cells}))}
    keys = [(down[cell.window.row], across[cell.window.col]) for cell in cells]
    extent: dict[tuple[int, int], Window] = {}  # what the cells of a block cover
    for key, cell in zip(keys, cells, strict=True):
        extent[key] = extent.get(key, cell.window).union(cell.window)
    split_of = dict(zip(sorted(extent), deal(len(extent), seed, fractions), strict=True))
    splits: list[Split | None] = []
    for (row, col), cell in zip(keys, cells, strict=True):
        own = split_of[row, col]
        gives_way = any(
            SPLITS.index(other) > SPLITS.index(own) and extent[key].intersection(cell.window)
            for key, other in split_of.items()
        )
        splits.append(None if gives_way else own)
    return splits


def by_publisher(dataset: Dataset, scene: Scene, cells: Sequence[Cell], height: int, width: int) -> list[Split | None]:
    """Return the published split of each cell of a scene of `height` × `width` pixels.

    A tile inherits the split of the published cell that holds it; one that straddles cells of unlike splits
    is left out (None), as is one the publishers do not list.
    """
    published = dataset.published_size
    if published is None:
        return [dataset.published_split(scene, cell) for cell in cells]
    columns = -(-width // published)
    splits: list[Split | None] = []
    for cell in cells:
        w = cell.window
        touched = {
            dataset.published_split(scene, _published_cell(row, col, columns, published, height, width))
            for row in range(w.row // published, (min(w.bottom, height) - 1) // published + 1)
            for col in range(w.col // published, (min(w.right, width) - 1) // published + 1)
        }
        splits.append(touched.pop() if len(touched) == 1 else None)
    return splits


def _published_cell(row: int, col: int, columns: int, size: int, height: int, width: int) -> Cell:
    window = Window(row * size, col * size, size, size)
    return Cell(row * columns + col, window, window.bottom <= height and window.right <= width)


def has_published(dataset: Dataset, scenes: Sequence[Scene], heights: Sequence[int], widths: Sequence[int]) -> bool:
    """Say whether the publishers put any cell of these scenes into a split."""
    for scene, height, width in zip(scenes, heights, widths, strict=True):
        size = dataset.published_size or max(1, min(height, width))
        for cell in tile_cells(height, width, size):
            if dataset.published_split(scene, cell) is not None:
                return True
            if dataset.published_size is None:
                break
    return False


@dataclass(frozen=True, slots=True)
class SceneGrid:
    """The cells of one scene that are to be split, in pixels of the scene as it was published.

    `scene_split` is the scene's own, for a split by scene.
    """

    dataset: Dataset
    scene: Scene
    cells: Sequence[Cell]
    height: int
    width: int
    seed: int
    fractions: Fractions
    scene_split: Split


SPLITTERS: dict[Scheme, Callable[[SceneGrid], Sequence[Split | None]]] = {
    "published": lambda g: by_publisher(g.dataset, g.scene, g.cells, g.height, g.width),
    "scene": lambda g: [g.scene_split] * len(g.cells),
    "block": lambda g: by_block(g.cells, g.seed, g.fractions),
    "random": lambda g: deal(len(g.cells), g.seed, g.fractions),
}
"""The split of each cell of a scene, by scheme; None leaves a cell out."""
