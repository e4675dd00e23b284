"""Cut a dataset's scenes into a tileset: images and maps on one grid, with splits, shares and hashes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sattrans.data.dataset import SPLITS, TileSplit
from sattrans.data.tileset import Tile, Tileset, manifest_body, write_index
from sattrans.errors import OptionError, UsageError
from sattrans.raster.georeference import Georeference
from sattrans.raster.palette import Palette
from sattrans.raster.scale import Percentiles, Scale
from sattrans.tile.cut import CutSettings, tile_bytes
from sattrans.tile.inputs import Input
from sattrans.tile.invalid import why_invalid
from sattrans.tile.leakage import Leakage, find_leaks
from sattrans.tile.options import TileOptions
from sattrans.tile.plan import absent_splits
from sattrans.tile.prepare import Prepared, prepare
from sattrans.tile.preview import write_preview
from sattrans.tile.scene import check_samples, close_cached_scene
from sattrans.tile.stretch import find_scale
from sattrans.tile.up_to_date import TilesetOutput
from sattrans.tile.writing import cut_rows, known_inputs, tidy
from sattrans.utils.commands import command, publishing
from sattrans.utils.console import NOTHING_TO_DO, pluralize
from sattrans.utils.executor import Pool, executor
from sattrans.utils.shown import write_csv

__all__ = ["SceneRow", "TileOptions", "TilePlan", "TileResult", "tile"]

LEAKAGE = "leakage.csv"
PREVIEW = "preview.png"

SAMPLE_ROWS = 12
"""Number of rows of tiles that a dry run encodes to estimate the size of all tiles."""


@dataclass(frozen=True, slots=True)
class SceneRow:
    """A scene in a dry run: its size in pixels at the resolution of tiles, and its cells by split."""

    id: str
    height: int
    width: int
    splits: Mapping[TileSplit, int]


@dataclass(frozen=True, slots=True)
class TilePlan:
    """What `tile` would write: cells by scene and split, and an estimate of their size in bytes.

    Cells that hold too little data or class area (`min_valid`, `drop_empty`, `min_share`) are included, because a dry
    run does not read all pixels.
    """

    folder: Path
    size: int
    scenes: tuple[SceneRow, ...]
    splits: Mapping[TileSplit, int]
    bytes: int
    leakage: Leakage
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TileResult:
    """What `tile` made, or would make.

    Attributes:
        folder: The tileset's folder.
        dropped: How many cells were left out, by reason.
        leakage: The tiles that touch or overlap one of another split.
        notices: What a user should know, a sentence each.
        made: Whether tiles were written by this call; False for a tileset that was already finished and for a dry run.
        plan: What would be written, after a dry run; otherwise None.
        written: The tileset; None after a dry run.
    """

    folder: Path
    dropped: Mapping[str, int]
    leakage: Leakage
    notices: tuple[str, ...]
    made: bool
    plan: TilePlan | None = None
    written: Tileset | None = None

    @property
    def tileset(self) -> Tileset:
        """The finished tileset. Raises `UsageError` after a dry run, which writes no tileset."""
        if self.written is None:
            raise UsageError(f"a dry run wrote no tileset in {self.folder}: see the result's plan")
        return self.written


@command
@publishing
def tile(
    root: Path,
    output: Path | None = None,
    options: TileOptions = TileOptions(),
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> TileResult:
    """Cut a dataset into a tileset.

    A finished tileset with the same options is left unchanged; an unfinished one is completed.

    Args:
        root: The dataset's folder.
        output: The tileset's folder; None for `tiles/<dataset>-<size>`, or
            `tiles/<name of the folder>-<size>` for own data.
        options: Which tiles are cut, and how.
        overwrite: Replace a tileset that was made with other options.
        dry_run: Check everything and plan the tiles, but write nothing; a few tiles are encoded to estimate their size.

    Returns:
        The tileset, or the plan of a dry run.

    Raises:
        UsageError: The dataset, the options and the output do not fit together.
        RasterError: A scene cannot be read, or image and map do not fit together.
        ClassesError: A map contains values that belong to no class.
    """
    job = prepare(root, output, options)
    folder = TilesetOutput(job, overwrite)
    if options.preview and folder.destination:
        raise OptionError("--preview is for a tileset in a folder of this machine, not at an address; leave it out")
    made = not folder.is_finished(dry_run)
    if dry_run:
        return _plan(job, folder, made)
    if made:
        if job.palette:
            check_samples(job.sources, job.palette)
        # A cluster that refuses to work does so before anything is written.
        with executor(options.workers, options.scheduler) as pool, folder.claim():
            try:
                _fill(job, folder, pool)
            finally:
                close_cached_scene()
    tileset = Tileset.open(folder.records)
    if options.preview and not (job.folder / PREVIEW).is_file():
        with folder.locked():
            write_preview(tileset, job.folder / PREVIEW)
    return _result(job.folder, tileset, made)


def _plan(job: Prepared, folder: TilesetOutput, missing: bool) -> TileResult:
    """Plan the tiles of a dry run; a few of them are encoded to estimate the size."""
    if missing:
        folder.check()
    else:
        job = replace(job, notices=(*job.notices, f"{job.folder}: {NOTHING_TO_DO}"))
    counts: dict[str, Counter[TileSplit]] = {source.record.id: Counter() for source in job.sources}
    for cell in job.plan.cells:
        counts[cell.scene][cell.split] += 1
    records = [source.record for source in job.sources]
    scenes = tuple(SceneRow(r.id, r.height, r.width, counts[r.id]) for r in records)
    splits = Counter(cell.split for cell in job.plan.cells)
    georeferences = {record.id: record.georeference for record in records}
    leakage = Leakage.of(job.plan.cells, find_leaks(job.plan.cells, georeferences))
    plan = TilePlan(job.folder, job.size, scenes, splits, _estimate(job), leakage, job.notices)
    return TileResult(job.folder, job.plan.dropped, leakage, job.notices, made=False, plan=plan)


def _estimate(job: Prepared) -> int:
    """Estimate how many bytes all tiles take, from a sample of the rows."""
    scale = _near_scale(job, job.scale) if isinstance(job.scale, Percentiles) else job.scale
    rows = list(job.plan.rows(job.sources, _cut_settings(job, scale), job.folder))
    sample = rows[:: max(1, len(rows) // SAMPLE_ROWS)]
    try:
        sizes = [size for row in sample for size in tile_bytes(row)]
    finally:
        close_cached_scene()
    return round(sum(sizes) / len(sizes) * len(job.plan.cells)) if sizes else 0


def _near_scale(job: Prepared, percentiles: Percentiles) -> Scale:
    """Return approximately the range between two percentiles of all pixels, from a sample of the rows."""
    with executor(1) as pool:
        try:
            return find_scale(job.sources, job.palette, percentiles, pool, SAMPLE_ROWS)
        except OptionError:  # the sample holds no data, but other rows may
            return find_scale(job.sources, job.palette, percentiles, pool)


def _cut_settings(job: Prepared, scale: Scale | None) -> CutSettings:
    options = job.options
    return CutSettings(
        job.palette, scale, options.drop_empty, options.min_share, options.min_valid, job.format, options.layout
    )


def _fill(job: Prepared, output: TilesetOutput, pool: Pool) -> None:
    hashed, differing = known_inputs(output, job.inputs)
    stale = {source.record.id for source in job.sources if set(source.files) & set(differing)}
    again = pluralize(len(stale), "scene has changed and is cut again", "scenes have changed and are cut again")
    notices = [*job.notices, *([again] if stale else [])]
    output.write_inputs(job.inputs)
    pool.share(output.begun_manifest, *_witness(job.inputs))
    scale = _scale(job, output, pool, stale)
    pool.share(output.begun_manifest, *_witness(job.inputs))
    cutting = _cut_settings(job, scale)
    rows = list(job.plan.rows(job.sources, cutting, job.folder))
    tiles, dropped, invalid, inputs = cut_rows(output, rows, job.inputs, hashed, stale, pool)
    dropped = Counter(job.plan.dropped) + dropped
    why = list(why_invalid(job.sources, job.palette, invalid))
    if not tiles:
        left_out = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        reasons = "".join(f"; {reason}" for reason in why)
        raise UsageError(f"no tile of {job.dataset.root} is left ({left_out}): nothing to train on{reasons}")
    notices += why
    used = {tile.scene for tile in tiles}
    records = [source.record for source in job.sources if source.record.id in used]
    georeferences = {record.id: record.georeference for record in records}
    leaks = find_leaks(tiles, georeferences)
    notices += _gaps(job, tiles, dropped, georeferences)
    write_index(job.folder, tiles, {record.id: record for record in records})
    rows_of_leaks = ((tiles[a].id, tiles[a].split, tiles[b].id, tiles[b].split, round(n)) for a, b, n in leaks)
    write_csv(job.folder / LEAKAGE, ["tile", "split", "other", "other_split", "shared_pixels"], rows_of_leaks)
    tidy(job.folder, tiles)
    body = manifest_body(output.created, job.recorded_options, job.size, job.palette, records, tiles, notices)
    found = {
        "scale": [scale.low, scale.high] if scale else None,
        "dropped": dict(sorted(dropped.items())),
        "leakage": Leakage.of(tiles, leaks).to_json(),
        "inputs": [item.to_json() for item in inputs],
        **{name: text for name in ("licence", "attribution") if (text := getattr(job.dataset, name))},
    }
    output.finish({**body, **found})


def _witness(inputs: Sequence[Input]) -> list[Path]:
    """Return one input: a worker that sees it is taken to see them all."""
    return [Path(item.path) for item in inputs[:1]]


def _scale(job: Prepared, output: TilesetOutput, pool: Pool, stale: set[str]) -> Scale | None:
    """Return the range of values that becomes 0 to 255.

    Percentiles are found once and recorded, so that a resumed run uses the same range.
    """
    if not isinstance(job.scale, Percentiles):
        return job.scale
    recorded = output.earlier.get("scale")
    same = not stale and {item["path"] for item in output.earlier.get("inputs", ())} == {i.path for i in job.inputs}
    scale = Scale(*recorded) if recorded and same else find_scale(job.sources, job.palette, job.scale, pool)
    output.write_inputs(job.inputs, scale=[scale.low, scale.high])
    return scale


def _gaps(
    job: Prepared, tiles: Sequence[Tile], dropped: Counter[str], georeferences: Mapping[str, Georeference]
) -> Iterator[str]:
    """Yield what is missing: splits without tiles, classes that a split lacks."""
    counts = Counter(tile.split for tile in tiles)
    absent = absent_splits(job.dataset, counts, job.plan.scheme, job.selection)
    if absent:
        published = job.plan.scheme == "published"
        because = "the published split has none here" if published else "there are too few tiles; try smaller tiles"
        yield f"no tiles in split {' and '.join(absent)}, because {because}"
    names = job.palette.names if job.palette else ()
    if job.options.drop_empty and not dropped["empty"]:
        yield f"--drop-empty dropped no tile: no tile has only {names[0]}, the first class"
    if len({t.scene for t in tiles if not georeferences[t.scene].crs}) > 1:
        yield "scenes without a CRS cannot be compared with each other, so their tiles may overlap unnoticed"
    classes_in = {
        split: {name for t in tiles if t.split == split for name in t.shares} for split in SPLITS if counts[split]
    }
    for name in names:
        lacking = [split for split in classes_in if name not in classes_in[split]]
        if len(lacking) == len(classes_in):
            yield f"class {name} is in no tile"
        elif lacking:
            yield f"class {name} is absent from {' and '.join(lacking)}: scores there do not cover it"


def _result(folder: Path, tileset: Tileset, made: bool) -> TileResult:
    manifest = tileset.manifest
    leakage = Leakage.from_json(manifest["leakage"])
    return TileResult(folder, manifest["dropped"], leakage, tuple(manifest["notices"]), made, written=tileset)


def class_balance(tileset: Tileset, palette: Palette, split: TileSplit) -> list[float]:
    """Return the share of a split's pixels that each class covers, in the palette's order."""
    tiles = tileset.split(split)
    return [sum(t.shares.get(name, 0.0) for t in tiles) / len(tiles) if tiles else 0.0 for name in palette.names]
