"""Generate a georeferenced image from a map of any size: overlapping windows, blended, streamed to disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.blend import RAMPS, Blend, RollingRows, reaches, to_uint8, window_weight
from sattrans.dataset import IMAGE_SUFFIXES
from sattrans.errors import ClassesError, OptionError, OutputExists
from sattrans.files import begun_of, check_same_options, lock, read_manifest, remove, write_manifest
from sattrans.grid import Window, cover_starts
from sattrans.mapping.opened import Map, open_map
from sattrans.mapping.options import MapOptions
from sattrans.plugins import model_class
from sattrans.progress import bar, log
from sattrans.raster.rows import Layout, RowWriter, is_finished, row_writer
from sattrans.raster.write import write_tile
from sattrans.run import Run
from sattrans.translator import Translator
from sattrans.version import __version__

RASTER_SUFFIXES = (".tif", ".tiff")
FOLDER_MANIFEST = "generated.json"
FOLDER_VERSION = 1


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """What `generate` may be told. `overlap` is a number of pixels, or a part of the tile size such as "25%"."""

    overlap: str = "25%"
    blend: Blend = "hann"
    batch_size: int = 4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """The output, the run that made it, its size in pixels, and what a user should know.

    `made` is False where the output was there already.
    """

    output: Path
    run: Run
    height: int
    width: int
    windows: int
    notices: tuple[str, ...]
    made: bool


def generate(
    map_: str | Path,
    output: Path,
    run: Path | None = None,
    options: GenerateOptions | None = None,
    device: str = "auto",
    overwrite: bool = False,
    map_options: MapOptions | None = None,
) -> GenerateResult:
    """Translate a map into a GeoTIFF (`output` ends in .tif) or a folder of tiles, with the map's georeference.

    The map holds class values, a colour table, or the classes' colours; for a run that was trained on pictures it
    is a picture, in three 8-bit bands or one with a colour table. It may also be a vector map, which is drawn by
    rules. `map_options` say which part of it is meant, which class is which, and at which ground resolution; the
    run's is taken where nothing is told. Where the map holds nothing, the image is transparent.
    `run` is a run's folder, or the newest finished run under `runs/`. Memory is bounded by the map's width, never by
    its height; what was killed is taken up by the same call. Raises `ClassesError` where map and run know different
    classes, `RasterError` for a map that is no picture where one is needed.
    """
    options = options or GenerateOptions()
    if options.batch_size < 1:
        raise OptionError(f"--batch-size {options.batch_size}: at least 1 is needed")
    if options.blend not in RAMPS:
        raise OptionError(f"--blend {options.blend}: one of {', '.join(RAMPS)} is needed")
    as_file = output.suffix.lower() in RASTER_SUFFIXES
    if not as_file and output.suffix.lower() in IMAGE_SUFFIXES:
        raise OptionError(f"-o {output}: the image is a GeoTIFF, give a name that ends in .tif, or a folder")
    opened = Run.open(run) if run else Run.newest()
    log.info("run %s (%s)", opened.folder, opened.model_name)
    with open_map(map_, map_options or MapOptions(), opened.palette, opened.ground_resolution) as read_map:
        overlap = parse_overlap(options.overlap, opened.spec.size, model_class(opened.model_name).stride)
        told = {
            **read_map.identity,
            "run": opened.name,
            "run_created": opened.manifest["created"],
            "overlap": overlap,
            "blend": options.blend,
            "seed": options.seed,
            "batch_size": options.batch_size,
        }
        if as_file and output.is_dir():
            raise OutputExists(f"{output} is a folder: give a file name, or a folder without .tif")
        windows = [len(cover_starts(n, opened.spec.size, overlap)) for n in (read_map.height, read_map.width)]

        def result(notices: Sequence[str], made: bool) -> GenerateResult:
            size = read_map.height, read_map.width
            return GenerateResult(output, opened, *size, windows[0] * windows[1], tuple(notices), made)

        if output.exists() and Path(map_).exists() and output.samefile(map_):
            raise OutputExists(f"{output} is the map itself: choose another output")
        finished = not overwrite and is_finished(output, told) if as_file else _folder_finished(output, told, overwrite)
        if finished:
            return result((), made=False)
        try:
            read_map.check()
        except ClassesError as error:
            raise ClassesError(f"{error} (the classes of run {opened.folder})") from error
        job = _Job(read_map, Translator(opened, device, options.seed), overlap, options.blend, options.batch_size)
        if as_file:
            tags = {"SATTRANS_RUN": opened.name, "SATTRANS_MODEL": opened.model_name, "SATTRANS_VERSION": __version__}
            layout = Layout(read_map.height, read_map.width, 3, read_map.georeference, read_map.partial, tags=tags)
            with row_writer(output, layout, told, overwrite) as writer:
                job.stream(writer)
        else:
            _write_folder(job, output, told, Path(str(map_)).stem, overwrite)
        return result(read_map.notices, made=True)


def parse_overlap(text: str, size: int, stride: int = 1) -> int:
    """Return an overlap in pixels, from "64" or "25%" of the tile size. Raises `OptionError`.

    It is made larger until windows start at multiples of the model's `stride`.
    """
    try:
        pixels = round(float(text[:-1]) / 100 * size) if text.endswith("%") else int(text)
    except (ValueError, OverflowError):
        raise OptionError(f"--overlap {text}: a number of pixels or a part such as 25% is needed") from None
    if not 0 <= pixels <= size * 3 // 4:
        raise OptionError(f"--overlap {text} is {pixels} px: 0 to {size * 3 // 4} fit the run's tiles of {size} px")
    return size - max(stride, (size - pixels) // stride * stride)


@dataclass
class _Job:
    """One map being translated: rows of windows from the top, each in batches of one shape."""

    map: Map
    translator: Translator
    overlap: int
    blend: Blend
    batch_size: int
    size: int = field(init=False)
    rows: range = field(init=False)
    cols: range = field(init=False)

    def __post_init__(self) -> None:
        self.size = self.translator.size
        self.rows = cover_starts(self.map.height, self.size, self.overlap)
        self.cols = cover_starts(self.map.width, self.size, self.overlap)

    def band(self, row: int) -> NDArray[np.uint8]:
        """Return the map under a row of windows, (…, H, W), mirrored beyond the map's edge."""
        raster = self.map
        height = min(self.size, raster.height - row)
        pixels = self.map.read(Window(row, 0, height, raster.width))
        below, right = self.size - height, self.cols[-1] + self.size - raster.width
        bands = [(0, 0)] * (pixels.ndim - 2)
        return np.pad(pixels, (*bands, (0, below), (0, max(0, right))), mode="symmetric")

    def translated(self, row: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (column, pixels) of each window in a row. The last batch is filled up: one shape throughout."""
        band = self.band(row)
        for start in range(0, len(self.cols), self.batch_size):
            cols = list(self.cols[start : start + self.batch_size])
            filled = cols + [cols[-1]] * (self.batch_size - len(cols))
            windows = np.stack([band[..., col : col + self.size] for col in filled])
            pixels = self.translator(windows, [(row, col) for col in filled])
            yield from zip(cols, pixels, strict=False)

    def stream(self, writer: RowWriter) -> None:
        """Translate what the writer misses, and hand it over in pieces."""
        missing = writer.missing()
        if not missing:
            return
        raster, last_row, last_col = self.map, self.rows[-1], self.cols[-1]
        first = reaches(self.rows, self.size, missing[0].row)
        blocks = iter([row for row in writer.layout.rows if row.row >= missing[0].row])
        block = next(blocks)
        rolling = RollingRows(3, raster.height, raster.width, block.row)
        total = len(self.rows) * len(self.cols)
        with bar(total, "generate", "window", first * len(self.cols)) as progress:
            for position, row in enumerate(self.rows[first:], first):
                for col, pixels in self.translated(row):
                    weight = window_weight(
                        self.size, self.overlap, self.blend, row == 0, col == 0, row == last_row, col == last_col
                    )
                    rolling.add(row, col, pixels, weight)
                    progress.update()
                finished = raster.height if row == last_row else self.rows[position + 1]
                while block.bottom <= finished:
                    mean, _ = rolling.take(block.height)
                    wanted = [piece for piece in missing if piece.row == block.row]
                    if wanted:
                        finished_row = self._with_alpha(to_uint8(mean), block)
                        for piece in wanted:
                            writer.write(piece, finished_row[..., piece.col : piece.right])
                    following = next(blocks, None)
                    if following is None:
                        break
                    block = following

    def _with_alpha(self, pixels: NDArray[np.uint8], block: Window) -> NDArray[np.uint8]:
        if not self.map.partial:
            return pixels
        alpha = np.where(self.map.valid(block), 255, 0).astype(np.uint8)
        return np.concatenate([np.where(alpha, pixels, 0), alpha[np.newaxis]]).astype(np.uint8)


def _folder_finished(folder: Path, told: Mapping[str, Any], overwrite: bool) -> bool:
    """Say whether the tiles are all there. Raises `OutputExists` for other things, and for other options' tiles."""
    if folder.exists() and not folder.is_dir():
        raise OutputExists(f"{folder} is a file: give a name that ends in .tif, or a folder")
    finished = folder / FOLDER_MANIFEST
    manifest = next((path for path in (finished, begun_of(finished)) if path.is_file()), None)
    if manifest is None:
        if folder.is_dir() and any(folder.iterdir()):
            raise OutputExists(f"{folder} holds other files: choose an empty folder")
        return False
    if overwrite:
        return False
    check_same_options(folder, read_manifest(manifest, "generated", FOLDER_VERSION)["options"], told)
    return manifest == finished


def _write_folder(job: _Job, folder: Path, told: Mapping[str, Any], stem: str, overwrite: bool) -> None:
    """Write each window as a GeoTIFF of its own, cut at the map's edge: input for `mosaic`."""
    raster = job.map
    with lock(folder):
        if overwrite:
            remove(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(begun_of(folder / FOLDER_MANIFEST), "generated", FOLDER_VERSION, {"options": dict(told)})
        with bar(len(job.rows) * len(job.cols), "generate", "window") as progress:
            for row in job.rows:
                paths = {col: folder / f"{stem}_{row:06d}_{col:06d}.tif" for col in job.cols}
                if not all(path.exists() for path in paths.values()):
                    for col, pixels in job.translated(row):
                        height, width = min(job.size, raster.height - row), min(job.size, raster.width - col)
                        window = Window(row, col, height, width)
                        write_tile(paths[col], to_uint8(pixels[:, :height, :width]), raster.georeference.at(window))
                progress.update(len(job.cols))
        begun_of(folder / FOLDER_MANIFEST).replace(folder / FOLDER_MANIFEST)
