"""Turn masks of class values into maps a person can read: copies with a colour table, or in plain colours."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.colorize.legend import check_legend, write_legend
from sattrans.colorize.masks import find_masks
from sattrans.data.dataset import COPY, IMAGE_SUFFIXES, LEGEND
from sattrans.errors import OptionError, OutputExists, UsageError
from sattrans.raster.class_map import ClassMap, class_map
from sattrans.raster.cog.writer import Layout, is_finished, row_writer
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.palette import UNKNOWN, Palette
from sattrans.utils.console import bar
from sattrans.utils.manifest import check_writable_folder

RASTER_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class ColorizeResult:
    """The copies made, those that were there already, and what a user should know.

    `legend` is the legend's file where one was asked for, `legend_made` whether it was written now.
    """

    made: tuple[Path, ...]
    kept: tuple[Path, ...]
    notices: tuple[str, ...]
    legend: Path | None = None
    legend_made: bool = False


def colorize(
    path: Path,
    output: Path | None = None,
    dataset: str | None = None,
    rgb: bool = False,
    overwrite: bool = False,
    classes: Path | None = None,
    legend: bool = False,
) -> ColorizeResult:
    """Write readable copies of a mask, a folder of masks, a dataset's masks or a tileset's maps.

    A copy keeps the values and gets a colour table, or holds red, green and blue with `rgb`. A file goes to
    `output` or beside itself as `<name>.color.tif`; a folder's go into `output` or `<folder>-color/`. `legend`
    adds a PNG with each class's colour, value, name and share of all pixels: `legend.png` in that folder, or
    `<name>.legend.png` beside the copy of a file.

    The classes are those of `dataset` or of the file `classes` (see `read_classes`), else a tileset's own, those of
    a `classes.toml` that lies there, of the dataset that recognises the folder, or of the masks' colour table or
    values. Copies that are there already, made with the same options, are left. Raises `UsageError` for what cannot
    be, before anything is written; `ClassesError` and `RasterError` for a mask that is not right: the copies made
    before it stay, and the same call goes on from there.
    """
    masks = find_masks(path, dataset, classes)
    targets, legend_path = _targets(path, masks.sources, output)
    if legend and not overwrite:
        check_legend(legend_path)
    options = [_options(source, masks.palette, rgb) for source in masks.sources]
    finished = [not overwrite and is_finished(*both) for both in zip(targets, options, strict=True)]
    notices = list(masks.notices)
    said: dict[str, list[str]] = defaultdict(list)  # what to know of a map, and the maps that it is true of
    pixels = np.zeros(len(masks.palette) + 1, np.int64)
    with bar(len(targets), "colorize", "map") as progress:
        for source, target, told, is_there in zip(masks.sources, targets, options, finished, strict=True):
            if legend or not is_there:
                with open_raster(source) as raster:
                    map_ = class_map(raster, masks.palette)
                    pixels += map_.count()  # a look at all of it, so that a bad map leaves no half of a copy
                    if not is_there:
                        _write(target, raster, map_, rgb, told, overwrite)
                        said[map_.notice.removeprefix(f"{raster.path}: ")].append(raster.path)
            progress.update()
    for notice, paths in said.items():
        others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        notices += [f"{paths[0]}{others}: {notice}"] if notice else []
    made = tuple(target for target, is_there in zip(targets, finished, strict=True) if not is_there)
    kept = tuple(target for target, is_there in zip(targets, finished, strict=True) if is_there)
    if not legend:
        return ColorizeResult(made, kept, tuple(notices))
    new = write_legend(legend_path, masks.palette, pixels.tolist())
    return ColorizeResult(made, kept, tuple(notices), legend_path, new)


def _targets(path: Path, sources: Sequence[Path | str], output: Path | None) -> tuple[list[Path], Path]:
    """Return where each copy goes, and the legend. Raises `UsageError` where a copy would take another file's place."""
    masks = [Path(source) for source in sources]
    if path.is_file():
        if output and not output.is_dir() and output.suffix.lower() not in RASTER_SUFFIXES:
            raise OptionError(f"-o {output}: the copy is a GeoTIFF, give a name that ends in .tif")
        copy = output / f"{path.stem}{COPY}" if output and output.is_dir() else output
        target = copy or path.with_name(f"{path.stem}{COPY}")
        if target.resolve() == path.resolve():
            raise OutputExists(f"{target} is the mask itself: choose another output")
        stem = target.name.removesuffix(COPY) if target.name.endswith(COPY) else target.stem
        return [target], target.with_name(f"{stem}.{LEGEND}")
    named = path if path.name not in ("", "..") else path.resolve()
    folder = output or named.with_name(f"{named.name}-color")
    check_writable_folder(folder)
    if folder.suffix.lower() in IMAGE_SUFFIXES and not folder.is_dir():
        raise OptionError(f"-o {folder}: the copies of a folder go into a folder, give its name")
    if folder.resolve() in {path.resolve(), *(mask.resolve().parent for mask in masks)}:
        raise UsageError(f"-o {folder} would mix copies and masks: choose another folder")
    targets = [folder / f"{mask.stem}.tif" for mask in masks]
    taken = [target for target, count in Counter(targets).items() if count > 1]
    if taken:
        one, other = [mask for mask, target in zip(masks, targets, strict=True) if target == taken[0]][:2]
        raise UsageError(f"{one} and {other} would both become {taken[0]}: rename one, or colour them apart")
    return targets, folder / LEGEND


def _options(source: Path | str, palette: Palette, rgb: bool) -> dict[str, object]:
    mask = Path(source)
    stat = mask.stat()
    return {
        "mask": mask.name,
        "bytes": stat.st_size,
        "time": stat.st_mtime_ns,
        "rgb": rgb,
        "palette": "; ".join("{} {} #{:02x}{:02x}{:02x}".format(c.value, c.name, *c.color) for c in palette.classes),
    }


def _write(
    target: Path, raster: Raster, map_: ClassMap, rgb: bool, options: dict[str, object], overwrite: bool
) -> None:
    nodata = _nodata(map_) if map_.partial and not rgb else None
    layout = Layout(
        raster.height,
        raster.width,
        3 if rgb else 1,
        raster.georeference,
        alpha=rgb and map_.partial,
        colormap=None if rgb else map_.palette.colormap,
        nodata=nodata,
    )
    with row_writer(target, layout, options, overwrite) as writer:
        for piece in writer.missing():
            indices = map_.read(piece)
            writer.write(piece, _colors(indices, map_) if rgb else _values(indices, map_.palette, nodata))


def _nodata(classes: ClassMap) -> int:
    """Return the value that stands for "nothing here" in a copy: the mask's, or the highest that no class has."""
    if classes.empty is not None and 0 <= classes.empty <= 255:
        return classes.empty
    return classes.palette.nodata


def _values(indices: NDArray[np.uint8], palette: Palette, nodata: int | None) -> NDArray[np.uint8]:
    values = palette.to_values(indices)
    if nodata not in (None, palette.nodata):
        values = np.where(indices == UNKNOWN, np.uint8(nodata), values)
    return values[np.newaxis]


def _colors(indices: NDArray[np.uint8], classes: ClassMap) -> NDArray[np.uint8]:
    rgb = classes.palette.to_rgb(indices)
    if not classes.partial:
        return rgb
    alpha = np.where(indices == UNKNOWN, np.uint8(0), np.uint8(255))
    return np.concatenate([rgb, alpha[np.newaxis]])
