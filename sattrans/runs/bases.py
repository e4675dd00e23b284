"""The runs whose images a model refines: whether they fit, and their images of training tiles."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sattrans.data.batches import TileStore
from sattrans.data.tileset import Tileset
from sattrans.errors import OptionError, UsageError
from sattrans.model import Model
from sattrans.raster.bands import to_uint8
from sattrans.raster.cells import Floats, coarsened, mirrored
from sattrans.raster.palette import Palette
from sattrans.runs.calibration import stored_flat_field
from sattrans.runs.flat_field import FlatField
from sattrans.runs.run import Run
from sattrans.runs.translator import Translator

TOLERANCE = 0.03
"""Relative difference up to which resolutions count as equal."""

MOST_KEPT = 1 << 30
"""Bytes of coarse images that are kept in memory; others are made again each time they are used."""

APART = 1 << 20
"""Distance in pixels between the places of two tiles, so that noise differs from tile to tile."""


def check_base(
    base: Run, scale: int, palette: Palette | None, resolution: Sequence[float] | None, what: str, option: str
) -> None:
    """Raise `OptionError` if a model that refines cannot sharpen the images of a run.

    Args:
        base: The run that makes coarse images.
        scale: How many times finer the sharpened images are.
        palette: The classes of the finer maps; None if they are pictures.
        resolution: The shortest and the longest side of the finer pixels, in metres; None if they are unknown.
        what: What has the finer resolution, for messages.
        option: How the user named the base, for messages.
    """
    if base.kind.refines:
        raise OptionError(f"{option} sharpens images itself; name a run that makes images of maps")
    if base.kind.makes_maps:
        raise OptionError(f"{option} makes maps of images; name a run that makes images of maps")
    if _classes(base.palette) != _classes(palette):
        raise OptionError(
            f"{option} has other classes ({base.palette or 'pictures'}) than {what} ({palette or 'pictures'}); train "
            "both on maps of the same classes"
        )
    own = base.ground_resolution
    if own is None or resolution is None:
        return
    least, most = (scale * side for side in resolution)
    if own[1] < least * (1 - TOLERANCE) or own[0] > most * (1 + TOLERANCE):
        raise OptionError(
            f"{option} makes images of {own[0]:.4g} m, and {what} has pixels of {resolution[0]:.4g} m; to refine × "
            f"{scale} it takes a base of {least:.4g} m"
        )


def _classes(palette: Palette | None) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
    return None if palette is None else (tuple(palette.values), tuple(palette.names))


def open_bases(kind: type[Model], tileset: Tileset) -> list[Run]:
    """Open the runs whose images a model is trained to sharpen. Raises `UsageError` if one does not fit the tileset."""
    found = []
    for name in kind.bases:
        base = Run.open(Path(name))
        if not base.checkpoint("best").is_file():
            raise UsageError(f"base={name}: {base.checkpoint('best')} does not exist; finish that training first")
        assert kind.refines is not None
        check_base(base, kind.refines, tileset.palette, tileset.ground_resolution, f"{tileset.folder}", f"base={name}")
        found.append(base)
    return found


class BaseImages:
    """The images that runs make of the maps of tiles, made coarse; each is made when it is first used.

    Tiles take turns with the runs. An image depends on its tile and the run alone, so a resumed training sees the same.

    Args:
        bases: The runs.
        store: The tiles.
        scale: How many times coarser the images are than the tiles.
        device: The device that translates.
    """

    def __init__(self, bases: Sequence[Run], store: TileStore, scale: int, device: torch.device) -> None:
        self._store, self._scale = store, scale
        self._translators = [Translator(base, device) for base in bases]
        self._flat = [stored_flat_field(base, "run") or FlatField({}) for base in bases]
        self._kept: dict[int, Tensor] = {}
        self._most = MOST_KEPT // (3 * (store.tileset.size // scale) ** 2)

    def __call__(self, indices: Sequence[int]) -> Tensor:
        """Return the images of tiles, (N, 3, S / scale, S / scale) uint8."""
        return torch.stack([self._image(index) for index in indices])

    def _image(self, index: int) -> Tensor:
        image = self._kept.get(index)
        if image is None:
            image = torch.from_numpy(to_uint8(self._translated(index)))
            if len(self._kept) < self._most:
                self._kept[index] = image
        return image

    def _translated(self, index: int) -> Floats:
        """Return the image of a tile, (3, S / scale, S / scale), of windows side by side, mirrored beyond the tile."""
        map_ = coarsened(self._store.maps([index])[0].cpu().numpy(), self._scale)
        turn = index % len(self._translators)
        translator, flat = self._translators[turn], self._flat[turn]
        length, side = map_.shape[-1], translator.size
        if translator.model.margin is not None:
            side = max(side, -(-length // translator.model.stride) * translator.model.stride)
        image = np.zeros((3, length, length), np.float32)
        for row in range(0, length, side):
            for col in range(0, length, side):
                window = _window(map_, row, col, side)
                made = translator.tiles(window, [(row, index * APART + col)])
                part = image[:, row : row + side, col : col + side]
                part[:] = flat.correct(window, made)[0, :, : part.shape[1], : part.shape[2]]
        return image


def _window(map_: NDArray[np.uint8], row: int, col: int, side: int) -> NDArray[np.uint8]:
    length = map_.shape[-1]
    rows, cols = mirrored(row, row + side, length), mirrored(col, col + side, length)
    return np.ascontiguousarray(map_[..., rows, :][..., cols])[np.newaxis]
