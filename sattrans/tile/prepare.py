"""Prepare a tileset: its options checked, its dataset opened, every scene looked at, before anything is written."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sattrans.data.dataset import Dataset, Scene
from sattrans.data.tileset import DEFAULT_FOLDER, SceneRecord
from sattrans.errors import DatasetNotFound, OptionError, UsageError, check_seed, did_you_mean
from sattrans.plugins import open_dataset
from sattrans.raster.aoi import Area, parse_bounds, read_aoi
from sattrans.raster.palette import Palette
from sattrans.raster.scale import Percentiles, Scale, parse_scale
from sattrans.raster.tile_formats import TileFormat
from sattrans.raster.window import Edge, tile_step
from sattrans.tile.cut import Layout
from sattrans.tile.inputs import Input, now_at
from sattrans.tile.plan import Choice, Plan, make_plan
from sattrans.tile.scene import Direction, Look, Source, look_at
from sattrans.tile.splits import Fractions, Scheme
from sattrans.utils.console import bar, counted, log
from sattrans.utils.hashing import sha256
from sattrans.utils.manifest import check_writable_folder

DEFAULT_SIZE = 256

MOST_SIZE = 16_384
"""The largest side of a tile: a worker holds one whole, a few times over, 800 MB each at this size."""

MOST_ALIKE = 3
"""Notices about scenes, of one kind, that are shown; the others are counted."""


@dataclass(frozen=True, slots=True)
class TileOptions:
    """What `tile` may be told. `size` None takes the published size, else 256 px; `split` None the published one.

    `bidx` are the image's bands (from 1) that hold red, green and blue. `align` warps a map onto its image's
    grid, `res` brings both to one resolution, in units of the CRS. `scale` is "min,max" or "2%,98%": what becomes
    0 and 255. `bounds` (left,bottom,right,top in the scenes' CRS) and `aoi` (a GeoJSON file) choose the tiles that
    lie wholly inside. `edge` says what becomes of tiles that stick out of a scene.

    `drop_empty` leaves out tiles that hold nothing but the palette's first class, `min_share` those with less of
    a class than told, by its name, `min_valid` those where less of the pixels hold anything. `merge_val` trains
    on val, too; `buffer` is how many pixels lie at least between tiles of different splits.

    `layout` "pairs" writes map and image side by side for other tools, as `format` png or jpg. `direction` says
    which half of such a file, read as a dataset, is the map. `unpaired` takes scenes without a map, too.
    """

    size: int | None = None
    overlap: int = 0
    bidx: tuple[int, ...] | None = None
    split: Scheme | None = None
    seed: int = 0
    drop_empty: bool = False
    align: bool = False
    res: float | None = None
    scale: str | None = None
    bounds: str | None = None
    aoi: Path | None = None
    edge: Edge = "drop"
    min_valid: float = 1.0
    min_share: Mapping[str, float] = field(default_factory=dict)
    fractions: Fractions | None = None
    merge_val: bool = False
    buffer: int = 0
    format: TileFormat | None = None
    layout: Layout = "tiles"
    direction: Direction = "AtoB"
    unpaired: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is known before a pixel is cut. `told` is what the manifest keeps of the options."""

    dataset: Dataset
    palette: Palette | None
    folder: Path
    size: int
    options: TileOptions
    choice: Choice
    sources: tuple[Source, ...]
    plan: Plan
    scale: Scale | Percentiles | None
    format: TileFormat
    told: Mapping[str, Any]
    inputs: tuple[Input, ...]
    notices: tuple[str, ...]


def prepare(root: Path, output: Path | None, dataset: str | None, options: TileOptions) -> Prepared:
    """Check the options and open every scene, so that what is wrong is said first.

    Raises `UsageError` for what cannot be, `RasterError`, `AlignmentError` and `ClassesError` for input that is
    not right.
    """
    found = open_dataset(root, dataset)
    size = options.size if options.size is not None else found.published_size or DEFAULT_SIZE
    tile_step(size, options.overlap)
    if size > MOST_SIZE:
        raise OptionError(f"--size {size}: tiles of up to {MOST_SIZE} px a side can be cut")
    palette = found.palette
    scale = parse_scale(options.scale) if options.scale else None
    kind = _check_options(options, palette)
    areas = _areas(options)
    folder = output or DEFAULT_FOLDER / f"{found.name}-{size}"
    check_writable_folder(folder)
    if folder.is_symlink() or folder.name in ("", ".."):  # the lock of a folder lies beside it, under its own name
        folder = _resolved(folder)
    unpaired = options.unpaired and options.layout != "pairs"
    scenes = [scene for scene in found.scenes() if scene.image and (scene.map or unpaired)]
    if not scenes:
        raise DatasetNotFound(f"{root} has no scene with {'an image' if unpaired else 'both an image and a map'}")
    _check_apart(folder, root, scenes)
    count = counted(len(scenes), "scene")
    log.info("dataset %s in %s: %s, tiles of %d px into %s", found.name, root, count, size, folder)
    inputs = now_at(path for scene in scenes for path in (scene.image, scene.map) if path)
    look = Look(options.bidx, options.align, options.res, options.direction, scale is not None)
    sources, notices = _look(scenes, palette, look)
    _check_size(sources, size, options)
    choice = Choice(
        size,
        options.overlap,
        options.edge,
        areas,
        options.split,
        options.fractions,
        options.merge_val,
        options.buffer,
        options.seed,
        unpaired,
    )
    plan = make_plan(found, scenes, sources, choice)
    told = _told(found, root, options, size, plan.scheme, kind)
    all_notices = (*found.notices(), *_few(notices), *_small(sources, size, options), *plan.notices)
    return Prepared(
        found,
        palette,
        folder,
        size,
        options,
        choice,
        tuple(sources),
        plan,
        scale,
        kind,
        told,
        tuple(inputs),
        all_notices,
    )


def _check_options(options: TileOptions, palette: Palette | None) -> TileFormat:
    """Return the format that is meant; raise `OptionError` for what does not fit together."""
    check_seed(options.seed)
    if not 0 <= options.min_valid <= 1:
        raise OptionError(f"--min-valid {options.min_valid:g}: a part of 0 to 1 is needed, such as 0.9")
    if options.buffer < 0:
        raise OptionError(f"--buffer {options.buffer}: a number of pixels is needed, 0 or more")
    if options.res is not None and not 0 < options.res < float("inf"):
        raise OptionError(f"--res {options.res:g}: a resolution above 0 is needed, in units of the CRS")
    if palette is None and (options.min_share or options.drop_empty):
        raise OptionError("--min-share and --drop-empty need classes, and the maps of this dataset are pictures")
    for name, share in options.min_share.items():
        if palette and name not in palette.names:
            raise OptionError(f"--min-share {name}: there is no class '{name}'{did_you_mean(name, palette.names)}")
        if not 0 <= share <= 1:
            raise OptionError(f"--min-share {name}={share:g}: a part of 0 to 1 is needed, such as 0.01")
    if options.layout == "pairs" and options.format == "tif":
        raise OptionError("--layout pairs writes pictures side by side, which lie nowhere: --format png or jpg")
    return options.format or ("png" if options.layout == "pairs" else "tif")


def _areas(options: TileOptions) -> tuple[Area, ...]:
    bounds = (parse_bounds(options.bounds),) if options.bounds else ()
    return (*bounds, *((read_aoi(options.aoi),) if options.aoi else ()))


def _check_apart(folder: Path, root: Path, scenes: Sequence[Scene]) -> None:
    """Raise `UsageError` where the tileset would lie among the scenes, or around the dataset."""
    here, there = _resolved(folder), _resolved(root)
    held = {_resolved(path).parent for scene in scenes for path in (scene.image, scene.map) if path}
    if here == there or here in there.parents or held & {here, *here.parents}:
        raise UsageError(f"-o {folder} would mix tiles and the dataset in {root}: choose another folder")


def _resolved(path: Path) -> Path:
    """Return the path without links. `Path.resolve` raises where they run in a circle, on Python before 3.13."""
    return Path(os.path.realpath(path))


def _look(
    scenes: Sequence[Scene], palette: Palette | None, look: Look
) -> tuple[list[Source], list[tuple[SceneRecord, str]]]:
    sources, notices = [], []
    with bar(len(scenes), "look", "scene") as progress:
        for scene in scenes:
            source, told = look_at(scene, palette, look)
            sources.append(source)
            notices += [(source.record, notice) for notice in told]
            progress.update()
    return sources, notices


def _check_size(sources: Sequence[Source], size: int, options: TileOptions) -> None:
    records = [source.record for source in sources]
    if options.edge != "pad" and all(r.height < size or r.width < size for r in records):
        largest = max(records, key=lambda r: r.height * r.width)
        at = f" at --res {options.res:g}" if options.res else ""
        raise OptionError(
            f"--size {size} is larger than every scene (the largest is {largest.width} wide × "
            f"{largest.height} high{at}): choose a smaller one"
        )


def _small(sources: Sequence[Source], size: int, options: TileOptions) -> Iterable[str]:
    small = [s.record.id for s in sources if s.record.height < size or s.record.width < size]
    if small and options.edge != "pad":
        one, many = "scene is smaller than a tile and gives none", "scenes are smaller than a tile and give none"
        yield f"{counted(len(small), one, many)}: {', '.join(small[:5])}"


def _few(notices: Sequence[tuple[SceneRecord, str]]) -> Iterable[str]:
    """Yield notices about scenes, a few of each kind: what comes after the file's name tells the kind."""
    kinds: dict[str, list[tuple[SceneRecord, str]]] = {}
    for scene, notice in notices:
        kind = notice.removeprefix(scene.image).removeprefix(scene.map or "")
        kinds.setdefault(kind, []).append((scene, notice))
    for told in kinds.values():
        yield from (notice for _, notice in told[:MOST_ALIKE])
        if len(told) > MOST_ALIKE:
            yield f"and {counted(len(told) - MOST_ALIKE, 'more scene')} like {told[MOST_ALIKE - 1][0].id}"


def _told(
    dataset: Dataset, root: Path, options: TileOptions, size: int, scheme: Scheme, kind: TileFormat
) -> dict[str, Any]:
    """Return the options that decide the tileset, all resolved."""
    aoi = options.aoi
    return {
        "dataset": dataset.name,
        "root": str(root.resolve()),
        "size": size,
        "overlap": options.overlap,
        "edge": options.edge,
        "bidx": list(options.bidx) if options.bidx else None,
        "align": options.align,
        "res": options.res,
        "scale": options.scale,
        "bounds": options.bounds,
        "aoi": f"{aoi.name} ({sha256(aoi)[:16]})" if aoi else None,
        "split": scheme,
        "fractions": list(options.fractions) if options.fractions else None,
        "merge_val": options.merge_val,
        "buffer": options.buffer,
        "seed": options.seed,
        "drop_empty": options.drop_empty,
        "min_share": dict(options.min_share),
        "min_valid": options.min_valid,
        "format": kind,
        "layout": options.layout,
        "direction": options.direction,
        "unpaired": options.unpaired,
    }
