"""Plan a tileset: which cells of which scenes become tiles, and of which split, before a pixel is read."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import shapely

from sattrans.data.dataset import SPLITS, Dataset, Scene, Split, TileSplit
from sattrans.errors import OptionError, UsageError
from sattrans.raster.aoi import Area
from sattrans.raster.georeference import window_corners
from sattrans.raster.window import Cell, Window, apply_edge_rule, tile_cells
from sattrans.tile.cut import CutSettings, TileRow
from sattrans.tile.leakage import tiles_to_drop
from sattrans.tile.options import Scheme, TileOptions
from sattrans.tile.places import adjoin, by_place, outlines
from sattrans.tile.scene import SceneSource
from sattrans.tile.splits import (
    FEW_SCENES,
    FRACTIONS,
    SPLITTERS,
    SceneGrid,
    by_scene,
    has_published,
    published_cells,
)

MAX_BAND_PIXELS = 16 << 20
"""A row of tiles of up to this many pixels (about 64 MB with its map) is read at once; a wider row is read in parts."""


@dataclass(frozen=True, slots=True)
class TileSelection:
    """What decides which cells become tiles, and in which split. Cells lie in all `areas`; `size` is in pixels."""

    options: TileOptions
    size: int
    areas: tuple[Area, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedTile:
    """A cell that is to become a tile; `number` is the index of its scene among the sources."""

    number: int
    scene: str
    cell: Cell
    split: TileSplit

    @property
    def window(self) -> Window:
        """Its pixels in the scene."""
        return self.cell.window


@dataclass(frozen=True, slots=True)
class CellPlan:
    """The cells that are to become tiles, in the order of scenes, rows and columns.

    `dropped` counts the cells left out, by reason; `notices` are for the user, one line each.
    """

    scheme: Scheme
    cells: tuple[PlannedTile, ...]
    dropped: Mapping[str, int]
    notices: tuple[str, ...]

    def rows(self, sources: Sequence[SceneSource], cutting: CutSettings, folder: Path) -> Iterator[TileRow]:
        """Yield the units of work: one row of tiles each, or a part of a very wide row."""
        rows: dict[tuple[int, int], list[tuple[Cell, TileSplit]]] = {}
        for planned in self.cells:
            rows.setdefault((planned.number, planned.window.row), []).append((planned.cell, planned.split))
        for (number, _), cells in rows.items():
            for part in _parts(cells):
                yield TileRow(sources[number], tuple(part), cutting, folder)


def plan_tiles(
    dataset: Dataset, scenes: Sequence[Scene], sources: Sequence[SceneSource], selection: TileSelection
) -> CellPlan:
    """Choose the cells and their splits.

    Raises `OptionError` if the requested split does not exist, `UsageError` if no cell is left.
    """
    cells_of = [_cells(source, selection) for source in sources]
    # A scene without tiles must not take up a share of a split.
    paired = [n for n, source in enumerate(sources) if source.record.map and cells_of[n]]
    scheme, notices = _scheme(dataset, [scenes[n] for n in paired], [sources[n] for n in paired], selection)
    of_scene = by_scene([scenes[n] for n in paired], selection.options.seed, selection.options.fractions or FRACTIONS)
    places = _places([sources[n] for n in paired], scheme, selection)
    if places:
        dealt = by_place(places, selection.options.seed, selection.options.fractions or FRACTIONS)
        of_scene = dict(zip([scenes[n].id for n in paired], dealt, strict=True))
    position = {number: n for n, number in enumerate(paired)}
    planned: list[PlannedTile] = []
    dropped: Counter[str] = Counter()
    for number, (scene, source) in enumerate(zip(scenes, sources, strict=True)):
        cells = cells_of[number]
        splits: Sequence[TileSplit | None] = ["unpaired"] * len(cells)
        if number in position:
            grid = SceneGrid(
                dataset,
                scene,
                [_as_published(cell, source) for cell in cells],
                source.height,
                source.width,
                selection.options.seed + position[number],
                selection.options.fractions or FRACTIONS,
                of_scene[scene.id],
            )
            splits = SPLITTERS["scene" if places else scheme](grid)
        for cell, split in zip(cells, splits, strict=True):
            if split is None:
                dropped[REASON_WITHOUT_SPLIT[scheme]] += cell.whole
            else:
                merged = "train" if selection.options.merge_val and split == "val" else split
                planned.append(PlannedTile(number, scene.id, cell, merged))
    if buffer := max(selection.options.buffer, 1 if places else 0):
        georeferences = {source.record.id: source.record.georeference for source in sources}
        near = tiles_to_drop(planned, georeferences, buffer)
        dropped["too near another split"] = len(near)
        planned = [item for n, item in enumerate(planned) if n not in near]
    if not planned:
        raise UsageError(f"no tile of {dataset.root} is left: {_reasons(selection, dropped, sources)}")
    notices += _uneven_split_notices(planned, scheme, selection)
    return CellPlan(scheme, tuple(planned), {k: n for k, n in dropped.items() if n}, tuple(notices))


REASON_WITHOUT_SPLIT: dict[Scheme, str] = {
    "published": "in no split",
    "scene": "in no split",
    "block": "on blocks of two splits",
    "random": "in no split",
}
"""The reason recorded for a cell that gets no split, by scheme."""


def _cells(source: SceneSource, selection: TileSelection) -> list[Cell]:
    record = source.record
    if record.map is None and not selection.options.unpaired:
        return []
    grid = tile_cells(record.height, record.width, selection.size, selection.options.overlap)
    cells = list(apply_edge_rule(grid, record.height, record.width, selection.options.edge, selection.options.overlap))
    for area in selection.areas:
        held = area.contains([cell.window for cell in cells], record.georeference, record.image)
        cells = [cell for cell, inside in zip(cells, held, strict=True) if inside]
    return cells


def _as_published(cell: Cell, source: SceneSource) -> Cell:
    """Return a cell in pixels of the scene's original image, to which a published split refers."""
    record, w = source.record, cell.window
    if (record.height, record.width) == (source.height, source.width):
        return cell
    (wide, high), (own_wide, own_high) = record.georeference.resolution, source.image_georeference.resolution
    across, down = wide / own_wide, high / own_high
    top, left = round(w.row * down), round(w.col * across)
    window = Window(top, left, max(1, round(w.bottom * down) - top), max(1, round(w.right * across) - left))
    return replace(cell, window=window)


def _scheme(
    dataset: Dataset, scenes: Sequence[Scene], sources: Sequence[SceneSource], selection: TileSelection
) -> tuple[Scheme, list[str]]:
    requested = selection.options.split
    heights, widths = [s.height for s in sources], [s.width for s in sources]
    wanted = requested == "published" or (requested is None and not selection.options.fractions)
    published = wanted and has_published(dataset, scenes, heights, widths)
    notices = list(dataset.split_notices(published_cells(dataset, scenes, heights, widths))) if wanted else []
    if requested == "published" and not published:
        raise OptionError(
            f"dataset '{dataset.name}' in {dataset.root} has no published split; use --split scene, block or random"
        )
    if requested == "published" and selection.options.fractions:
        raise OptionError("--fractions needs --split scene, block or random; the published split has its own shares")
    if requested or published or not sources:
        return requested or ("published" if published else "scene"), notices
    # If every scene is too small for more than one block, a split by block would be a split by scene.
    blocks = any(min(s.record.height, s.record.width) >= 2 * selection.size for s in sources)
    scheme: Scheme = "scene" if len(scenes) >= FEW_SCENES or not blocks else "block"
    if _places(sources, "block", selection):
        scheme = "block"
    shares = "/".join(f"{share * 100:g}" for share in selection.options.fractions or FRACTIONS)
    reason = "" if selection.options.fractions else "no published split: "
    notices.append(f"{reason}tiles are split by {scheme}, {shares} (--split scene|block|random)")
    return scheme, notices


def _places(sources: Sequence[SceneSource], scheme: Scheme, selection: TileSelection) -> list[shapely.Geometry] | None:
    """Return the outlines of scenes that are too small for blocks of their own and lie beside each other.

    These are split by blocks over scenes; tiles at the borders of two splits are left out.
    """
    records = [source.record for source in sources]
    small = all(max(r.height, r.width) < 2 * selection.size for r in records)
    if scheme != "block" or len(records) < FEW_SCENES or not small:
        return None
    shapes = outlines(records)
    return shapes if shapes and adjoin(shapes) else None


def _parts(cells: Sequence[tuple[Cell, TileSplit]]) -> Iterator[Sequence[tuple[Cell, TileSplit]]]:
    """Divide a row of cells if it has more pixels than may be in memory at once."""
    size = cells[0][0].window.height
    most = max(1, MAX_BAND_PIXELS // (size * size))
    for start in range(0, len(cells), most):
        yield cells[start : start + most]


def _uneven_split_notices(planned: Sequence[PlannedTile], scheme: Scheme, selection: TileSelection) -> list[str]:
    """Return a notice if the splits' shares are far from the requested ones, as happens with few blocks or scenes."""
    counts = Counter(item.split for item in planned if item.split != "unpaired")
    total = sum(counts.values())
    requested = selection.options.fractions or FRACTIONS
    if scheme == "published" or selection.options.merge_val or not total:
        return []
    shares = [counts[split] / total for split in SPLITS]
    if max(abs(share - wanted) for share, wanted in zip(shares, requested, strict=True)) < MAX_SHARE_ERROR:
        return []
    actual, wanted = ("/".join(f"{100 * share:.0f}" for share in values) for values in (shares, requested))
    units = "tiles" if scheme == "random" else f"{scheme}s"
    return [f"the tiles are split {actual} (train/val/test) instead of {wanted}, because there are too few {units}"]


MAX_SHARE_ERROR = 0.1
"""The largest difference between a split's share and the requested share that needs no notice."""


def _reasons(selection: TileSelection, dropped: Mapping[str, int], sources: Sequence[SceneSource]) -> str:
    if selection.areas:
        record = sources[0].record
        corners = record.georeference.to_coordinates(window_corners([Window(0, 0, record.height, record.width)]))
        (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
        return (
            f"none lies wholly within {' and '.join(area.name for area in selection.areas)} "
            f"(scene {record.id} has {left:.12g},{bottom:.12g},{right:.12g},{top:.12g})"
        )
    left_out = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
    return left_out or "nothing to train on"


def absent_splits(
    dataset: Dataset, splits: Mapping[TileSplit, int], scheme: Scheme, selection: TileSelection
) -> list[Split]:
    """Return the splits that should have tiles but have none."""
    fractions = dict(zip(SPLITS, selection.options.fractions or FRACTIONS, strict=True))
    wanted = dataset.published_splits if scheme == "published" else [split for split in SPLITS if fractions[split]]
    merged = ("val",) if selection.options.merge_val else ()
    return [split for split in wanted if split not in merged and not splits.get(split)]
