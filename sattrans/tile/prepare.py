"""Prepare a tileset: its dataset opened, every scene looked at, before anything is written."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sattrans.data.dataset import Dataset, Scene
from sattrans.data.tileset import SceneRecord
from sattrans.errors import DatasetNotFound, OptionError, UsageError, did_you_mean
from sattrans.maps.area import read_area
from sattrans.maps.labels import palette_of_rules
from sattrans.maps.rules import Rules, read_rules
from sattrans.plugins import open_dataset
from sattrans.raster.aoi import Area, parse_bounds
from sattrans.raster.palette import Palette
from sattrans.raster.scale import Percentiles, Scale, parse_scale
from sattrans.raster.sidecar import side_files
from sattrans.raster.tile_formats import TileFormat
from sattrans.raster.window import tile_step
from sattrans.tile.halves import half_notices
from sattrans.tile.inputs import Input, current_inputs
from sattrans.tile.options import DEFAULT_SIZE, Scheme, TileOptions
from sattrans.tile.plan import CellPlan, TileSelection, plan_tiles
from sattrans.tile.scene import SceneSource, inspect_scene
from sattrans.utils.console import log, pluralize, progress_bar
from sattrans.utils.folders import tiles_folder
from sattrans.utils.hashing import sha256
from sattrans.utils.options import recorded
from sattrans.utils.output import check_apart, check_folder


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything known before tiles are cut. `recorded_options` are the options as recorded in the manifest."""

    dataset: Dataset
    palette: Palette | None
    folder: Path
    size: int
    options: TileOptions
    selection: TileSelection
    sources: tuple[SceneSource, ...]
    plan: CellPlan
    scale: Scale | Percentiles | None
    format: TileFormat
    recorded_options: Mapping[str, Any]
    inputs: tuple[Input, ...]
    notices: tuple[str, ...]


def prepare(root: Path, output: Path | None, options: TileOptions) -> Prepared:
    """Check the options and open every scene, so that errors are found before anything is written.

    Raises `UsageError` for invalid options, `RasterError`, `AlignmentError` and `ClassesError` for invalid inputs.
    """
    found, options = _open(root, options)
    size = options.size if options.size is not None else found.published_size or DEFAULT_SIZE
    tile_step(size, options.overlap)
    rules = read_rules(options.rules) if options.rules else None
    palette = palette_of_rules(rules) if rules else found.palette
    scale = parse_scale(options.scale) if options.scale else None
    _check_classes(options, palette)
    areas = _areas(options)
    folder = output or tiles_folder() / f"{_name(found, root)}-{size}"
    check_folder(folder)
    if folder.is_symlink() or folder.name in ("", ".."):  # the lock of a folder lies beside it, under its own name
        folder = _resolved(folder)
    unpaired = options.unpaired and options.layout != "pairs"
    scenes = [scene for scene in found.scenes() if scene.image and (scene.map or unpaired)]
    if not scenes:
        raise DatasetNotFound(f"{root} has no scene with {'an image' if unpaired else 'both an image and a map'}")
    files = [path for scene in scenes for path in (scene.image, scene.map) if path]
    check_apart(folder, [*files, *(path.parent for path in files), *([options.aoi] if options.aoi else [])])
    if _resolved(folder) == _resolved(root):
        raise UsageError(f"-o {folder} would mix tiles and the dataset in {root}; choose another folder")
    count = pluralize(len(scenes), "scene")
    log.info("dataset %s in %s: %s, tiles of %d px into %s", found.name, root, count, size, folder)
    beside = side_files(dict.fromkeys(files))
    inputs = current_inputs([*files, *(path for found_beside in beside.values() for path in found_beside)])
    sources, notices = _inspect_scenes(scenes, palette, options, rules)
    sources = [_with_side_files(source, beside) for source in sources]
    _check_size(sources, size, options)
    selection = TileSelection(options, size, areas)
    plan = plan_tiles(found, scenes, sources, selection)
    recorded_options = _resolved_options(found, root, options, size, plan.scheme, rules)
    all_notices = (
        *found.notices(),
        *half_notices(scenes, options.direction),
        *_few(notices),
        *_small(sources, size, options),
        *plan.notices,
    )
    return Prepared(
        found,
        palette,
        folder,
        size,
        options,
        selection,
        tuple(sources),
        plan,
        scale,
        options.tile_format,
        recorded_options,
        tuple(inputs),
        all_notices,
    )


def _with_side_files(source: SceneSource, beside: Mapping[Path, tuple[Path, ...]]) -> SceneSource:
    files = [Path(name) for name in (source.record.image, source.record.map) if name]
    return replace(source, beside=tuple(str(path) for file in files for path in beside.get(file, ())))


def _open(root: Path, options: TileOptions) -> tuple[Dataset, TileOptions]:
    """Return the dataset, as the options and its own file describe it, and the options with its defaults."""
    described = bool(options.images or options.masks or options.rules)
    found = open_dataset(root, options.dataset, described=described)
    if described or options.threshold:
        found = found.told(options.images, options.masks, options.threshold, options.rules is not None)
    defaults = {name: value for name, value in found.tile_defaults.items() if getattr(options, name) is None}
    return found, replace(options, **defaults)


def _name(dataset: Dataset, root: Path) -> str:
    """Return the name that a tileset has by default."""
    return re.sub(r"\s+", "_", _resolved(root).name) if dataset.named_after_folder else dataset.name


def _check_classes(options: TileOptions, palette: Palette | None) -> None:
    """Raise `OptionError` for options about classes that the dataset does not have."""
    if palette is None and (options.min_share or options.drop_empty):
        raise OptionError("--min-share and --drop-empty need classes, and the maps of this dataset are pictures")
    for name in options.min_share:
        if palette and name not in palette.names:
            raise OptionError(f"--min-share: unknown class '{name}'{did_you_mean(name, palette.names)}")


def _areas(options: TileOptions) -> tuple[Area, ...]:
    bounds = (parse_bounds(options.bounds),) if options.bounds else ()
    return (*bounds, *((read_area(options.aoi),) if options.aoi else ()))


def _resolved(path: Path) -> Path:
    """Return the path without links. `Path.resolve` raises for circular links on Python before 3.13."""
    return Path(os.path.realpath(path))


def _inspect_scenes(
    scenes: Sequence[Scene], palette: Palette | None, options: TileOptions, rules: Rules | None
) -> tuple[list[SceneSource], list[tuple[SceneRecord, str]]]:
    sources, notices = [], []
    with progress_bar(len(scenes), "inspect", "scene") as progress:
        for scene in scenes:
            source, found = inspect_scene(scene, palette, options, rules)
            sources.append(source)
            notices += [(source.record, notice) for notice in found]
            progress.update()
    return sources, notices


def _check_size(sources: Sequence[SceneSource], size: int, options: TileOptions) -> None:
    records = [source.record for source in sources]
    if options.edge != "pad" and all(r.height < size or r.width < size for r in records):
        largest = max(records, key=lambda r: r.height * r.width)
        at = f" at --res {options.res:g}" if options.res else ""
        raise OptionError(
            f"--size {size} is larger than every scene (the largest is {largest.width} wide × "
            f"{largest.height} high{at}): choose a smaller one"
        )


def _small(sources: Sequence[SceneSource], size: int, options: TileOptions) -> Iterable[str]:
    small = [s.record.id for s in sources if s.record.height < size or s.record.width < size]
    if small and options.edge != "pad":
        singular, plural = "scene is smaller than a tile and gives none", "scenes are smaller than a tile and give none"
        yield f"{pluralize(len(small), singular, plural)}: {', '.join(small[:5])}"


def _few(notices: Sequence[tuple[SceneRecord, str]]) -> Iterable[str]:
    """Yield a notice of each kind with the number of further scenes; only the file's name differs within a kind."""
    kinds: dict[str, list[str]] = {}
    for scene, notice in notices:
        kinds.setdefault(notice.removeprefix(scene.image).removeprefix(scene.map or ""), []).append(notice)
    for first, *others in kinds.values():
        yield f"{first} (and {pluralize(len(others), 'more scene')})" if others else first


def _resolved_options(
    dataset: Dataset, root: Path, options: TileOptions, size: int, scheme: Scheme, rules: Rules | None
) -> dict[str, Any]:
    """Return the options that decide the tileset, with every default resolved."""
    aoi = options.aoi
    return {
        "root": str(root.resolve()),
        **recorded(options),
        "dataset": dataset.name,
        "size": size,
        "rules": f"{rules.name} ({rules.digest})" if rules else None,
        "aoi": f"{aoi.name} ({sha256(aoi)[:16]})" if aoi else None,
        "split": scheme,
        "format": options.tile_format,
    }
