"""Turn masks of class values into readable maps: copies with a colour table, or in RGB."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.colorize.legend import check_legend, write_legend
from sattrans.colorize.masks import find_masks
from sattrans.colorize.options import ColorizeOptions
from sattrans.data.dataset import COPY, LEGEND
from sattrans.errors import OptionError, OutputExists, RasterError, UsageError
from sattrans.raster.class_map import ClassMap, class_map
from sattrans.raster.cog.output import GeoTiffOutput, check_own_images
from sattrans.raster.cog.writer import Layout, row_writer
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.palette import UNKNOWN, Palette
from sattrans.raster.sidecar import side_files
from sattrans.raster.tile_formats import IMAGE_SUFFIXES
from sattrans.utils.addresses import beside
from sattrans.utils.commands import command
from sattrans.utils.console import progress_bar
from sattrans.utils.hashing import fingerprint
from sattrans.utils.options import recorded
from sattrans.utils.output import check_apart, check_folder

RASTER_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class ColorizeResult:
    """What `colorize` made, or would make.

    Attributes:
        made: The copies that were written.
        existing: The copies that existed already.
        notices: What a user should know, a sentence each.
        legend: The legend's file, if there is to be one.
        legend_made: Whether the legend was written now.
        planned: Of a dry run, the copies that would be written.
    """

    made: tuple[Path, ...]
    existing: tuple[Path, ...]
    notices: tuple[str, ...]
    legend: Path | None = None
    legend_made: bool = False
    planned: tuple[Path, ...] = ()


@command
def colorize(
    path: Path,
    output: Path | None = None,
    options: ColorizeOptions = ColorizeOptions(),
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> ColorizeResult:
    """Write readable copies of a mask, of a folder of masks, of a dataset's masks, or of a tileset's maps.

    A copy keeps the values and gets a colour table, or has red, green and blue bands with `options.rgb`. The classes
    are those of `options.classes` (see `read_classes`) or of `options.dataset`; if neither is given, those of the
    tileset, of a `classes.toml` beside the masks, of the dataset that recognises the folder, or of the masks' colour
    table or values. Copies that exist already, made with the same options, are left.

    Args:
        path: A mask, a folder of masks, a dataset or a tileset.
        output: The file or folder of the copies; None for `<name>.color.tif` beside a mask, `<folder>-color/` for a
            folder. The legend is `legend.png` in that folder, or `<name>.legend.png` beside the copy of a mask.
        options: Where the classes come from, and what is written.
        overwrite: Replace copies that other options made.
        dry_run: Check every mask, but write nothing.

    Returns:
        The copies that were made, or would be, and those that existed already.

    Raises:
        UsageError: The output or the options do not fit; raised before anything is written.
        ClassesError: A mask holds values that no class has; earlier copies stay, and the same call continues.
        RasterError: A mask cannot be read; as above.
    """
    masks = find_masks(path, options.dataset, options.classes)
    targets, legend_path = _targets(path, masks.sources, masks.folders, output)
    legend, rgb = options.legend, options.rgb
    if legend and not overwrite:
        check_legend(legend_path)
    if len(targets) > 1 or not path.is_file():
        check_own_images(targets[0].parent, targets, [legend_path])
    copies = [
        GeoTiffOutput(target, _resolved_options(source, masks.palette, options), overwrite=overwrite)
        for source, target in zip(masks.sources, targets, strict=True)
    ]
    finished = [copy.is_finished(dry_run) for copy in copies]
    notices = list(masks.notices)
    of_maps: dict[str, list[str]] = defaultdict(list)  # notices, and the maps that they are about
    pixels = np.zeros(len(masks.palette) + 1, np.int64)
    with progress_bar(len(targets), "colorize", "map") as progress:
        for source, copy, is_there in zip(masks.sources, copies, finished, strict=True):
            if legend or not is_there:
                with open_raster(source) as raster:
                    map_ = class_map(raster, masks.palette)
                    pixels += map_.count()  # reads the whole map, so that an invalid map leaves no partial copy
                    if not is_there:
                        if dry_run:
                            copy.check()
                        else:
                            _write(copy, raster, map_, rgb, partial(_state, source))
                        of_maps[map_.notice.removeprefix(f"{raster.path}: ")].append(raster.path)
            progress.update()
    for notice, paths in of_maps.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        notices += [f"{paths[0]}{more}: {notice}"] if notice else []
    new = tuple(target for target, is_there in zip(targets, finished, strict=True) if not is_there)
    existing = tuple(target for target, is_there in zip(targets, finished, strict=True) if is_there)
    if dry_run:
        return ColorizeResult((), existing, tuple(notices), legend_path if legend else None, planned=new)
    if not legend:
        return ColorizeResult(new, existing, tuple(notices))
    legend_made = write_legend(legend_path, masks.palette, pixels.tolist())
    return ColorizeResult(new, existing, tuple(notices), legend_path, legend_made)


def _targets(
    path: Path, sources: Sequence[Path | str], folders: Sequence[Path], output: Path | None
) -> tuple[list[Path], Path]:
    """Return the path of each copy, and of the legend. Raises `UsageError` if a copy would replace another file."""
    masks = [Path(source) for source in sources]
    if path.is_file():
        if output and not output.is_dir() and output.suffix.lower() not in RASTER_SUFFIXES:
            raise OptionError(f"-o {output}: the copy is a GeoTIFF; give a name that ends in .tif")
        copy = output / f"{path.stem}{COPY}" if output and output.is_dir() else output
        target = copy or beside(path, f"{path.stem}{COPY}", publishes=False)
        if target.resolve() == path.resolve():
            raise OutputExists(f"{target} is the mask itself: choose another output")
        stem = target.name.removesuffix(COPY) if target.name.endswith(COPY) else target.stem
        return [target], target.with_name(f"{stem}.{LEGEND}")
    named = path if path.name not in ("", "..") else path.resolve()
    folder = output or beside(named, f"{named.name}-color", publishes=False)
    check_folder(folder)
    if folder.suffix.lower() in IMAGE_SUFFIXES and not folder.is_dir():
        raise OptionError(f"-o {folder}: the copies of a folder go into a folder; give the name of a folder")
    check_apart(folder, [*masks, *folders])
    targets = [folder / f"{mask.stem}.tif" for mask in masks]
    taken = [target for target, count in Counter(targets).items() if count > 1]
    if taken:
        first, second = [mask for mask, target in zip(masks, targets, strict=True) if target == taken[0]][:2]
        raise UsageError(
            f"{first} and {second} would both become {taken[0]}: rename one of them, or colour each on its own"
        )
    return targets, folder / LEGEND


def _state(source: Path | str) -> dict[str, object]:
    """Return what shows, without reading it, that a mask has changed, or a file beside it that is read with it."""
    mask = Path(source)
    stat = mask.stat()
    beside = side_files([mask]).get(mask, ())
    state = {"mask": mask.name, "bytes": stat.st_size, "time": stat.st_mtime_ns}
    return {**state, "beside": fingerprint(beside)} if beside else state


def _resolved_options(source: Path | str, palette: Palette, options: ColorizeOptions) -> dict[str, object]:
    return {
        **_state(source),
        **recorded(options),
        "palette": "; ".join("{} {} #{:02x}{:02x}{:02x}".format(c.value, c.name, *c.color) for c in palette.classes),
    }


def _write(
    copy: GeoTiffOutput, raster: Raster, map_: ClassMap, rgb: bool, state: Callable[[], Mapping[str, object]]
) -> None:
    """Write a copy. Raises `RasterError` if `state` shows that the mask has changed since its state was recorded."""
    nodata = _nodata(map_) if map_.has_nodata and not rgb else None
    layout = Layout(
        raster.height,
        raster.width,
        3 if rgb else 1,
        raster.georeference,
        alpha=rgb and map_.has_nodata,
        colormap=None if rgb else map_.palette.colormap,
        nodata=nodata,
    )
    with row_writer(copy, layout) as writer:
        for chunk in writer.missing():
            indices = map_.read(chunk)
            writer.write(chunk, _colors(indices, map_) if rgb else _values(indices, map_.palette, nodata))
        if not state().items() <= copy.options.items():
            raise RasterError(f"{raster.path} changed while it was read; make the copy again with --overwrite")


def _nodata(classes: ClassMap) -> int:
    """Return the nodata value of a copy: the mask's, or the highest value that no class has."""
    if classes.coding != "colors" and classes.nodata is not None and 0 <= classes.nodata <= 255:
        return classes.nodata
    return classes.palette.nodata


def _values(indices: NDArray[np.uint8], palette: Palette, nodata: int | None) -> NDArray[np.uint8]:
    values = palette.to_values(indices)
    if nodata not in (None, palette.nodata):
        values = np.where(indices == UNKNOWN, np.uint8(nodata), values)
    return values[np.newaxis]


def _colors(indices: NDArray[np.uint8], classes: ClassMap) -> NDArray[np.uint8]:
    rgb = classes.palette.to_rgb(indices)
    if not classes.has_nodata:
        return rgb
    alpha = np.where(indices == UNKNOWN, np.uint8(0), np.uint8(255))
    return np.concatenate([rgb, alpha[np.newaxis]])
