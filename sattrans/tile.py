"""Cut a dataset's scenes into a tileset: images and maps on one grid, with splits, shares and hashes."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sattrans.cut import Band, Source, cut_band
from sattrans.dataset import SPLITS, Dataset, Scene, Split
from sattrans.errors import DatasetNotFound, OptionError, SattransError, UsageError
from sattrans.executor import executor
from sattrans.files import (
    begun_of,
    check_same_options,
    check_writable_folder,
    fingerprint,
    lock,
    now,
    remove,
    sync,
)
from sattrans.grid import Cell, tile_cells, tile_step
from sattrans.palette import Palette
from sattrans.plugins import open_dataset
from sattrans.progress import bar, log
from sattrans.raster.gate import open_raster
from sattrans.raster.maps import class_map
from sattrans.raster.read import check_aligned, image_bands
from sattrans.splits import FEW_SCENES, SPLITTERS, SceneGrid, Scheme, by_scene, has_published
from sattrans.tileset import (
    DEFAULT_FOLDER,
    MANIFEST,
    SceneRecord,
    Tile,
    Tileset,
    manifest_body,
    read_unfinished,
    write_index,
    write_tileset_manifest,
)

DEFAULT_SIZE = 256


@dataclass(frozen=True, slots=True)
class TileOptions:
    """What `tile` may be told. `size` None takes the published size, else 256 px; `split` None the published one.

    `bidx` are the image's bands (from 1) that hold red, green and blue. `drop_empty` leaves out tiles that
    hold nothing but the palette's first class.
    """

    size: int | None = None
    overlap: int = 0
    bidx: tuple[int, ...] | None = None
    split: Scheme | None = None
    seed: int = 0
    drop_empty: bool = False


@dataclass(frozen=True, slots=True)
class TileResult:
    """A finished tileset, and what was left out: `dropped` counts tiles by reason, `border` those next to
    a tile of another split. `made` is False where the tileset was there already."""

    tileset: Tileset
    dropped: Mapping[str, int]
    border: int
    notices: tuple[str, ...]
    made: bool


def tile(
    root: Path,
    output: Path | None = None,
    dataset: str | None = None,
    options: TileOptions | None = None,
    workers: int | str = 1,
    overwrite: bool = False,
) -> TileResult:
    """Cut the dataset in `root` into a tileset (`tiles/<dataset>-<size>`, or `output`).

    A finished tileset with the same options is left as it is, an unfinished one is finished. Raises
    `UsageError` for what cannot be, `RasterError` and `ClassesError` for input that is not right.
    """
    options = options or TileOptions()
    found = open_dataset(root, dataset)
    size = options.size if options.size is not None else found.published_size or DEFAULT_SIZE
    tile_step(size, options.overlap)
    palette = found.palette
    if palette is None:
        raise UsageError(f"dataset '{found.name}' has maps without classes, which cannot be tiled")
    folder = output or DEFAULT_FOLDER / f"{found.name}-{size}"
    check_writable_folder(folder)
    scenes = [scene for scene in found.scenes() if scene.image and scene.map]
    if not scenes:
        raise DatasetNotFound(f"{root} has no scene with both an image and a map")
    _check_apart(folder, root, scenes)
    log.info("dataset %s in %s: %d scenes, tiles of %d px into %s", found.name, root, len(scenes), size, folder)
    sources = _look(scenes, palette, options, size)
    records = [source.record for source in sources]
    notices = list(found.notices())
    small = [record.id for record in records if record.height < size or record.width < size]
    if small:
        notices.append(f"{len(small)} scenes are smaller than a tile and give none: {', '.join(small[:5])}")
    scheme, scheme_notice = _scheme(found, scenes, records, options.split, size)
    notices += scheme_notice
    told: dict[str, Any] = {
        "dataset": found.name,
        "root": str(root.resolve()),
        "size": size,
        "overlap": options.overlap,
        "bidx": list(options.bidx) if options.bidx else None,
        "split": scheme,
        "seed": options.seed,
        "drop_empty": options.drop_empty,
        "inputs": fingerprint(path for scene in scenes for path in (scene.image, scene.map) if path),
    }
    with lock(folder):
        if overwrite and ((folder / MANIFEST).is_file() or begun_of(folder / MANIFEST).is_file()):
            remove(folder)  # a tileset, and nothing else, is ever replaced
        if (folder / MANIFEST).is_file():
            done = Tileset.open(folder)
            check_same_options(folder, done.manifest["options"], told)
            return TileResult(
                done, done.manifest["dropped"], _border(done.tiles), tuple(done.manifest["notices"]), False
            )
        if folder.is_dir() and any(folder.iterdir()) and read_unfinished(folder) is None:
            raise UsageError(f"{folder} holds other files: choose another output")
        begun = read_unfinished(folder)
        if begun:
            check_same_options(folder, begun["options"], told)
        created = begun["created"] if begun else now()
        write_tileset_manifest(begun_of(folder / MANIFEST), {"created": created, "options": told})
        for name in ("images", "maps"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        jobs = list(_bands(found, scenes, sources, scheme, options, size, folder))
        try:
            tiles, dropped = _cut(jobs, workers)
            if not tiles:
                raise UsageError(f"no tile of {root} is left ({_told(dropped)}): nothing to train on")
        except SattransError:
            if not begun:  # wrong input leaves nothing behind; a kill leaves what the same command takes up
                remove(folder)
            raise
        without = [split for split in SPLITS if not any(item.split == split for item in tiles)]
        if without and scheme != "published":
            notices.append(f"no tile is left for {' and '.join(without)}: there are too few; try smaller tiles")
        used = [record for record in records if any(t.scene == record.id for t in tiles)]
        write_index(folder, tiles, {record.id: record for record in used})
        _flush(folder)
        body = manifest_body(created, told, size, palette, used, tiles, notices)
        write_tileset_manifest(folder / MANIFEST, {**body, "dropped": dict(sorted(dropped.items()))})
        begun_of(folder / MANIFEST).unlink()
    return TileResult(Tileset.open(folder), dropped, _border(tiles), tuple(notices), True)


def _look(scenes: Sequence[Scene], palette: Palette, options: TileOptions, size: int) -> list[Source]:
    """Open every scene before anything is written, so that what is wrong is said first."""
    sources = []
    for scene in scenes:
        assert scene.image and scene.map
        with open_raster(scene.image) as image, open_raster(scene.map) as map_:
            check_aligned(image, map_)
            place = image.georeference if image.georeference.known else map_.georeference
            record = SceneRecord(
                scene.id, scene.region, str(scene.image), str(scene.map), image.height, image.width, place
            )
            coding = class_map(map_, palette).coding
            sources.append(Source(record, image_bands(image, options.bidx), coding, palette))
    records = [source.record for source in sources]
    if all(r.height < size or r.width < size for r in records):
        largest = max(records, key=lambda r: r.height * r.width)
        raise OptionError(
            f"--size {size} is larger than every scene (the largest is {largest.width} wide × "
            f"{largest.height} high): choose a smaller one"
        )
    return sources


def _check_apart(folder: Path, root: Path, scenes: Sequence[Scene]) -> None:
    """Raise `UsageError` where the tileset would lie among the scenes, or around the dataset."""
    here, there = folder.resolve(), root.resolve()
    held = {path.resolve().parent for scene in scenes for path in (scene.image, scene.map) if path}
    if here == there or here in there.parents or held & {here, *here.parents}:
        raise UsageError(f"-o {folder} would mix tiles and the dataset in {root}: choose another folder")


def _scheme(
    dataset: Dataset, scenes: Sequence[Scene], records: Sequence[SceneRecord], asked: Scheme | None, size: int
) -> tuple[Scheme, list[str]]:
    heights, widths = [r.height for r in records], [r.width for r in records]
    published = asked in (None, "published") and has_published(dataset, scenes, heights, widths)
    if asked == "published" and not published:
        raise OptionError(
            f"dataset '{dataset.name}' in {dataset.root} has no published split: --split scene, block or random"
        )
    if asked or published:
        return asked or "published", []
    # Few scenes, but each so small that it is a single block: then a scene is what a block would be.
    blocks = any(min(r.height, r.width) >= 2 * size for r in records)
    scheme: Scheme = "scene" if len(scenes) >= FEW_SCENES or not blocks else "block"
    return scheme, [f"no published split: tiles are split by {scheme}, 80/10/10 (--split scene|block|random)"]


def _bands(
    dataset: Dataset,
    scenes: Sequence[Scene],
    sources: Sequence[Source],
    scheme: Scheme,
    options: TileOptions,
    size: int,
    folder: Path,
) -> Iterator[Band]:
    scene_split = by_scene(scenes, options.seed)
    for number, (scene, source) in enumerate(zip(scenes, sources, strict=True)):
        record = source.record
        cells = [cell for cell in tile_cells(record.height, record.width, size, options.overlap) if cell.whole]
        if not cells:
            continue
        grid = SceneGrid(
            dataset,
            scene,
            cells,
            record.height,
            record.width,
            size,
            options.overlap,
            options.seed + number,
            scene_split[scene.id],
        )
        splits = SPLITTERS[scheme](grid)
        rows: dict[int, list[tuple[Cell, Split]]] = {}
        for cell, split in zip(cells, splits, strict=True):
            if split is not None:
                rows.setdefault(cell.window.row, []).append((cell, split))
        for chosen in rows.values():
            yield Band(source, tuple(chosen), options.drop_empty, folder)


def _cut(jobs: Sequence[Band], workers: int | str) -> tuple[list[Tile], Counter[str]]:
    tiles: list[Tile] = []
    dropped: Counter[str] = Counter()
    with executor(workers) as pool, bar(sum(len(job.cells) for job in jobs), "tile", "tile") as progress:
        for job, (made, left_out) in zip(jobs, pool.map(cut_band, jobs), strict=True):
            tiles += made
            dropped += left_out
            progress.update(len(job.cells))
    return tiles, dropped


def _border(tiles: Sequence[Tile]) -> int:
    """Count the tiles that touch or overlap one of another split in the same scene."""
    by_scene_: dict[str, list[Tile]] = {}
    for item in tiles:
        by_scene_.setdefault(item.scene, []).append(item)
    from shapely import STRtree, box

    count = 0
    for members in by_scene_.values():
        boxes = [box(t.window.col, t.window.row, t.window.right, t.window.bottom) for t in members]
        one, other = STRtree(boxes).query(boxes, predicate="intersects")
        unlike = [i for i, j in zip(one, other, strict=True) if members[i].split != members[j].split]
        count += len(set(unlike))
    return count


def _flush(folder: Path) -> None:
    """Make sure that tiles and folders are on the disk before the manifest says that they are."""
    if hasattr(os, "sync"):
        os.sync()  # one call for thousands of files: an fsync each would cost 10 ms a tile
    sync(folder / "images", folder / "maps", folder)


def _told(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "none cut"
