"""Turn masks of class values into maps a person can read: copies with a colour table, or in plain colours."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.dataset import IMAGE_SUFFIXES
from sattrans.errors import OutputExists, UsageError
from sattrans.palette import UNKNOWN, Palette
from sattrans.plugins import dataset_class, open_dataset
from sattrans.progress import bar
from sattrans.raster.gate import open_raster
from sattrans.raster.inspect import inspect_mask
from sattrans.raster.maps import ClassMap, class_map
from sattrans.raster.rows import Layout, is_finished, row_writer
from sattrans.tileset import MANIFEST, Tileset


@dataclass(frozen=True, slots=True)
class ColorizeResult:
    """The copies made, those that were there already, and what a user should know."""

    made: tuple[Path, ...]
    kept: tuple[Path, ...]
    notices: tuple[str, ...]


def colorize(
    path: Path, output: Path | None = None, dataset: str | None = None, rgb: bool = False, overwrite: bool = False
) -> ColorizeResult:
    """Write readable copies of a mask, a folder of masks, a dataset's masks or a tileset's maps.

    A copy keeps the values and gets a colour table, or holds red, green and blue with `rgb`. A file goes to
    `output` or beside itself as `<name>.color.tif`; a folder's go into `output` or `<folder>-color/`. The
    classes are those of `dataset`, or of whatever the folder is recognised as; else the mask's own colour
    table or values.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    palette, masks = _find(path, dataset)
    targets = [_target(path, mask, output) for mask in masks]
    made: list[Path] = []
    kept: list[Path] = []
    notices: list[str] = []
    with bar(len(masks), "colorize", "map") as progress:
        for mask, target in zip(masks, targets, strict=True):
            new, notice = _colorize_one(mask, target, palette or inspect_mask(mask).palette(), rgb, overwrite)
            (made if new else kept).append(target)
            notices += [notice] if notice else []
            progress.update()
    return ColorizeResult(tuple(made), tuple(kept), tuple(notices))


def _find(path: Path, dataset: str | None) -> tuple[Palette | None, list[Path]]:
    if path.is_dir() and (path / MANIFEST).is_file():
        tileset = Tileset.open(path)
        return tileset.palette, [tile.map_path(path) for tile in tileset.tiles]
    named = dataset_class(dataset)(path).palette if dataset and path.is_file() else None
    if path.is_file():
        return named, [path]
    masks = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if masks:
        return (dataset_class(dataset)(path).palette if dataset else None), masks
    found = open_dataset(path, dataset)
    return found.palette, [scene.map for scene in found.scenes() if scene.map]


def _target(path: Path, mask: Path, output: Path | None) -> Path:
    if path.is_file():
        return output or mask.with_name(f"{mask.stem}.color.tif")
    return (output or path.with_name(f"{path.resolve().name}-color")) / f"{mask.stem}.tif"


def _colorize_one(mask: Path, target: Path, palette: Palette, rgb: bool, overwrite: bool) -> tuple[bool, str]:
    if target.resolve() == mask.resolve():
        raise OutputExists(f"{target} is the mask itself: choose another output")
    stat = mask.stat()
    options = {
        "mask": mask.name,
        "bytes": stat.st_size,
        "time": stat.st_mtime_ns,
        "rgb": rgb,
        "palette": palette.to_json(),
    }
    if not overwrite and is_finished(target, options):
        return False, ""
    with open_raster(mask) as raster:
        classes = class_map(raster, palette)
        classes.check()
        nodata = _nodata(classes) if classes.partial and not rgb else None
        layout = Layout(
            raster.height,
            raster.width,
            3 if rgb else 1,
            raster.georeference,
            alpha=rgb and classes.partial,
            colormap=None if rgb else palette.colormap,
            nodata=nodata,
        )
        with row_writer(target, layout, options, overwrite) as writer:
            for row in writer.missing():
                indices = classes.read(row)
                writer.write(row, _colors(indices, classes) if rgb else _values(indices, palette, nodata))
        return True, classes.notice


def _nodata(classes: ClassMap) -> int:
    """Return the value that stands for "nothing here" in a copy: the mask's, or the highest that no class has."""
    if classes.empty is not None and 0 <= classes.empty <= 255:
        return classes.empty
    return max(set(range(256)) - set(classes.palette.values))


def _values(indices: NDArray[np.uint8], palette: Palette, nodata: int | None) -> NDArray[np.uint8]:
    nothing = indices == UNKNOWN
    values = palette.to_values(np.where(nothing, 0, indices))
    return np.where(nothing, nodata or 0, values)[np.newaxis].astype(np.uint8)


def _colors(indices: NDArray[np.uint8], classes: ClassMap) -> NDArray[np.uint8]:
    nothing = indices == UNKNOWN
    rgb = np.where(nothing, 0, classes.palette.to_rgb(np.where(nothing, 0, indices)))
    if classes.partial:
        rgb = np.concatenate([rgb, np.where(nothing, 0, 255)[np.newaxis]])
    return rgb.astype(np.uint8)
