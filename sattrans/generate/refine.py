"""Refining: a run makes a coarse image of the map, and another run sharpens it by the map at its own resolution."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sattrans.errors import OptionError
from sattrans.generate.options import GenerateOptions
from sattrans.generate.task import Task, task_of
from sattrans.generate.tiles import GeneratedTiles
from sattrans.generate.update import GeneratedImage
from sattrans.generate.windows import ChangedWindows
from sattrans.generate.write import WriteHere
from sattrans.maps.coarse_map import CoarseMap
from sattrans.maps.open import Map, files_of, open_map
from sattrans.metrics.seams import sampled_parts
from sattrans.raster.cells import cell_means, drawn
from sattrans.raster.cog.output import GeoTiffOutput
from sattrans.raster.cog.writer import RowWriter, row_writer
from sattrans.raster.open import Raster, gdal_session, open_raster
from sattrans.raster.window import Window
from sattrans.runs.bases import check_base
from sattrans.runs.run import Run
from sattrans.runs.translator import with_image
from sattrans.utils.console import progress_bar

BASE = "base.tif"
"""The coarse image, among the chunks of the refined one until that is finished."""

OF_BASE = ("run", "run_created", "blend", "flat_field", "calibration", "style")
"""What a refined image records of how its coarse image was made."""


def open_refiner(folder: Path, base: Run) -> Run:
    """Open a run that sharpens the images of a base. Raises `OptionError` if it does not, or they do not fit."""
    opened = Run.open(folder)
    scale = opened.kind.refines
    if not scale:
        raise OptionError(
            f"--refine {folder}: model '{opened.model_name}' makes images of maps and sharpens none; name a run of a "
            "model that does, and this one with --run"
        )
    what = f"the run {opened.folder}"
    check_base(base, scale, opened.palette, opened.ground_resolution, what, f"--run {base.folder}")
    return opened


@contextmanager
def open_refined(
    map_: str | Path, base: Run, opened: Run, options: GenerateOptions, device: torch.device, store: bool = True
) -> Iterator[Task]:
    """Open a map for a run that refines and its base; see `open_task`. The task has the base's task as `base`."""
    scale, margin = opened.kind.refines, opened.kind.margin
    assert scale is not None and margin is not None
    state = files_of(map_)
    with gdal_session(), open_map(map_, options, opened.palette, opened.ground_resolution) as fine:
        if fine.enlarged:
            raise OptionError(
                f"{map_} has pixels of {fine.enlarged[0]:.4g} m, and --refine {opened.folder} needs a map of "
                f"{fine.enlarged[1]:.4g} m or finer, because it takes edges from the map; use such a map, or leave out "
                "--refine"
            )
        coarse = task_of(CoarseMap(fine, scale, margin), base, options, device, False, store)
        own = task_of(fine, opened, replace(options, style="auto", blend=None), device, False, store)
        recorded = {
            **own.recorded,
            **{name: value for name, value in coarse.recorded.items() if name in OF_BASE},
            "base_window": coarse.plan.size,
            "base_overlap": coarse.plan.overlap,
            "refine": opened.name,
            "refine_created": opened.manifest["created"],
        }
        yield replace(own, recorded=recorded, base=coarse, files=state, source=map_)


class MapWithImage:
    """A map with the coarse image that a run made of it: what a model that refines translates. See `Map`."""

    def __init__(self, fine: Map, coarse: CoarseMap, image: Raster, scale: int) -> None:
        self._fine, self._image, self._scale = fine, image, scale
        self.offset = coarse.offset
        self.height, self.width, self.whole = fine.height, fine.width, fine.whole
        self.georeference, self.identity, self.enlarged = fine.georeference, fine.identity, None
        self.has_nodata, self.notices, self.check, self.valid = fine.has_nodata, fine.notices, fine.check, fine.valid

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the map, and the image as three further bands, (4, H, W) or (6, H, W).

        The image is black where nothing depends on it: farther from the part than the model looks.
        """
        scale, (row, col) = self._scale, self.offset
        cells = _cells_of(window.shifted(-row, -col), scale)
        inside = cells.intersection(self._image.window)
        pixels = np.zeros((3, cells.height, cells.width), np.uint8)
        if inside is not None:
            pixels[:, *inside.shifted(-cells.row, -cells.col).slices] = self._image.read(window=inside)[:3]
        at = window.shifted(-row - cells.row * scale, -col - cells.col * scale)
        return with_image(self._fine.read(window), drawn(pixels, scale)[:, *at.slices])


def _cells_of(window: Window, scale: int) -> Window:
    """Return the cells that a window touches."""
    row, col = window.row // scale, window.col // scale
    return Window(row, col, -(-window.bottom // scale) - row, -(-window.right // scale) - col)


@dataclass(frozen=True)
class WriteRefined:
    """Writes a refined image by the networks of this process: first the coarse image, then what is made of it."""

    task: Task
    options: GenerateOptions
    devices: Sequence[torch.device]

    def image(self, image: GeneratedImage, writer: RowWriter, change: ChangedWindows | None) -> None:
        """See `Write`; `GenerateOptions` refuses a change."""
        with self._coarse(image) as coarse:
            stream = replace(self.task.stream(self.options, self.devices), map=coarse)
            WriteHere(stream, "refine").image(image, writer, change)

    def tiles(self, tiles: GeneratedTiles, stem: str) -> None:
        """Never called: `check_request` refuses tiles."""
        raise NotImplementedError

    @contextmanager
    def _coarse(self, image: GeneratedImage) -> Iterator[MapWithImage]:
        """Make the coarse image, unless it is there, and yield the map with it."""
        base = self.task.base
        assert base is not None and isinstance(base.map, CoarseMap)
        output = GeoTiffOutput(image.unfinished / BASE, base.recorded)
        if not output.is_finished():
            with row_writer(output, base.layout) as writer:
                stream, missing = base.stream(self.options, self.devices), writer.missing()
                with progress_bar(stream.count_windows(missing), "base image", "window") as progress:
                    stream.write(writer, missing, on_window=progress.update)
        with open_raster(output.path) as raster:
            yield MapWithImage(self.task.map, base.map, raster, self._scale)

    @property
    def _scale(self) -> int:
        scale = self.task.run.kind.refines
        assert scale is not None
        return scale

    def consistency(self, image: GeneratedImage, writer: RowWriter) -> float | None:
        """Return how far the refined image, made coarse again, is from the coarse image: the mean of grey levels.

        It is computed from some parts of a large image, evenly spaced, and from whole valid pixels of the coarse image;
        None if there is none.
        """
        scale, map_ = self._scale, self.task.map
        total, count = 0.0, 0
        with self._coarse(image) as coarse:
            row, col = coarse.offset
            for part in sampled_parts(writer.layout.chunks):
                # The cells that lie in the part as a whole.
                top, left = -(-(part.row - row) // scale) * scale + row, -(-(part.col - col) // scale) * scale + col
                window = Window(top, left, (part.bottom - top) // scale * scale, (part.right - left) // scale * scale)
                if window.height <= 0 or window.width <= 0:
                    continue
                refined = cell_means(writer.read(window)[:3].astype(np.float32), scale)
                before = coarse.read(window)[-3:, ::scale, ::scale]
                valid = map_.valid(window).astype(np.float32)[np.newaxis] if map_.has_nodata else None
                differences = np.abs(refined - before).mean(axis=0)
                if valid is not None:
                    differences = differences[cell_means(valid, scale)[0] == 1]
                total, count = total + float(differences.sum(dtype=np.float64)), count + differences.size
        return total / count if count else None
