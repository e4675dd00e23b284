"""Splits: which tiles are for training, which for validation, which for testing."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sattrans.data.dataset import SPLITS, Dataset, Scene, Split
from sattrans.raster.window import Cell, Window, tile_cells
from sattrans.tile.options import Fractions, Scheme

FRACTIONS: Fractions = (0.8, 0.1, 0.1)
"""Shares of train, val and test for a dataset without a published split."""

FEW_SCENES = 10
"""With fewer scenes, val and test would get a scene or two each, so the default is a split by block."""

BLOCKS_A_SCENE = 25
"""Approximate number of blocks that a scene is divided into for a split by block."""


def deal(count: int, seed: int, fractions: Fractions = FRACTIONS) -> list[Split]:
    """Assign `count` items to splits in proportion to `fractions`, in an order shuffled by `seed`.

    With three items or more, every split with a share above 0 gets at least one.
    """
    shares = [share * count for share in fractions]
    numbers = [int(share) for share in shares]
    if count >= len(SPLITS):
        numbers = [max(1, number) if share else 0 for number, share in zip(numbers, shares, strict=True)]
    by_rest = sorted(
        (i for i in range(len(SPLITS)) if shares[i]), key=lambda i: shares[i] - int(shares[i]), reverse=True
    )
    for turn in range(count):  # distribute the items left over by rounding down, largest remainder first
        if sum(numbers) >= count:
            break
        numbers[by_rest[turn % len(by_rest)]] += 1
    while sum(numbers) > count:
        numbers[numbers.index(max(numbers))] -= 1
    dealt = [split for split, number in zip(SPLITS, numbers, strict=True) for _ in range(number)]
    order = np.random.default_rng(seed).permutation(count)
    return [dealt[number] for number in order]


def by_scene(scenes: Sequence[Scene], seed: int, fractions: Fractions = FRACTIONS) -> dict[str, Split]:
    """Return the split of each scene by its id."""
    return dict(zip([scene.id for scene in scenes], deal(len(scenes), seed, fractions), strict=True))


def by_block(cells: Sequence[Cell], seed: int, fractions: Fractions = FRACTIONS) -> list[Split | None]:
    """Return the split of each of a scene's cells: that of the block of cells it belongs to.

    If neighbouring cells overlap, cells of different splits could share pixels. To prevent that, a train cell that
    overlaps a val or test block, and a val cell that overlaps a test block, are left out (None).
    """
    side = max(1, round(math.sqrt(len(cells) / BLOCKS_A_SCENE)))  # of a block, in cells
    down = {row: n // side for n, row in enumerate(sorted({cell.window.row for cell in cells}))}
    across = {col: n // side for n, col in enumerate(sorted({cell.window.col for cell in cells}))}
    keys = [(down[cell.window.row], across[cell.window.col]) for cell in cells]
    extent: dict[tuple[int, int], Window] = {}  # the pixels that the cells of a block cover
    for key, cell in zip(keys, cells, strict=True):
        extent[key] = extent.get(key, cell.window).union(cell.window)
    split_of = dict(zip(sorted(extent), deal(len(extent), seed, fractions), strict=True))
    splits: list[Split | None] = []
    for (row, col), cell in zip(keys, cells, strict=True):
        own = split_of[row, col]
        gives_way = any(
            SPLITS.index(split) > SPLITS.index(own) and extent[key].intersection(cell.window)
            for key, split in split_of.items()
        )
        splits.append(None if gives_way else own)
    return splits


def by_publisher(dataset: Dataset, scene: Scene, cells: Sequence[Cell], height: int, width: int) -> list[Split | None]:
    """Return the published split of each cell of a scene of `height` × `width` pixels.

    A tile inherits the split of the published cell that contains it. A tile that covers cells of different splits
    is left out (None), and so is a tile that the publishers do not list.
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
    """Return whether the publishers assigned any cell of these scenes to a split."""
    for scene, height, width in zip(scenes, heights, widths, strict=True):
        size = dataset.published_size or max(1, min(height, width))
        for cell in tile_cells(height, width, size):
            if dataset.published_split(scene, cell) is not None:
                return True
            if dataset.published_size is None:
                break
    return False


def published_cells(
    dataset: Dataset, scenes: Sequence[Scene], heights: Sequence[int], widths: Sequence[int]
) -> dict[str, int]:
    """Return the number of cells of the published grid of each scene, by its id."""
    size = dataset.published_size
    return {
        scene.id: -(-height // size) * -(-width // size) if size else 1
        for scene, height, width in zip(scenes, heights, widths, strict=True)
    }


@dataclass(frozen=True, slots=True)
class SceneGrid:
    """The cells of one scene that are to be split, in pixels of the published scene.

    `scene_split` is the split of the whole scene, used by a split by scene.
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
    "published": lambda grid: by_publisher(grid.dataset, grid.scene, grid.cells, grid.height, grid.width),
    "scene": lambda grid: [grid.scene_split] * len(grid.cells),
    "block": lambda grid: by_block(grid.cells, grid.seed, grid.fractions),
    "random": lambda grid: deal(len(grid.cells), grid.seed, grid.fractions),
}
"""Functions that return the split of each cell of a scene, by scheme; None leaves a cell out."""
