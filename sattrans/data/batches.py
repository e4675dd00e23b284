"""Batches: a tileset's tiles as tensors - read once, jittered and encoded on the training device."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sattrans.data.tileset import Tile, Tileset
from sattrans.errors import ClassesError, RasterError, TrainingError
from sattrans.model import Batch, Pairing, SourceEncoding
from sattrans.raster.class_map import class_map
from sattrans.raster.open import open_raster
from sattrans.raster.palette import Palette
from sattrans.raster.rgb_map import picture_map
from sattrans.utils.hashing import sha256

JITTER = 286 / 256
"""pix2pix resizes to 286, then crops 256: the same ratio at any size (512: 572)."""

KEPT_PART = 0.4
"""Of the memory that is free on the device, or there is here, for tiles that are kept once they are read."""


class TileStore:
    """The tiles of one split as uint8: images (3, S, S), and maps.

    Maps are class indices (S, S), `UNKNOWN` where they have their nodata value and so hold nothing; in a tileset
    without classes they are colours (3, S, S). Images are black where nothing is. Each tile is read once and kept,
    on the device where all fit, else in memory; where they do not fit there either, tiles are read as needed.
    """

    def __init__(self, tileset: Tileset, tiles: Sequence[Tile], device: torch.device | None = None) -> None:
        self.tileset = tileset
        self.tiles = list(tiles)
        colors = 3 if tileset.palette is None else 1
        needed = len(self.tiles) * (3 + colors) * tileset.size**2
        self.device = next((place for place in _places(device) if needed < KEPT_PART * _room(place)), None)
        self._there: set[int] = set()
        if self.device is not None:
            shape = (len(self.tiles), 3, tileset.size, tileset.size)
            self._images = torch.empty(shape, dtype=torch.uint8, device=self.device)
            self._maps = torch.empty(
                shape if colors == 3 else (shape[0], *shape[2:]), dtype=torch.uint8, device=self.device
            )

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return image and map of a tile. Raises `TrainingError`, naming the tile, where it is not as recorded."""
        if self.device is None:
            return self._read(self.tiles[index])
        self._keep(index)
        return self._images[index], self._maps[index]

    def _keep(self, index: int) -> None:
        if index not in self._there:
            image, map_ = self._read(self.tiles[index])
            self._images[index], self._maps[index] = image.to(self.device), map_.to(self.device)
            self._there.add(index)

    def _read(self, tile: Tile) -> tuple[Tensor, Tensor]:
        folder, size = self.tileset.folder, self.tileset.size
        for path, recorded in (
            (tile.image_path(folder), tile.image_sha256),
            (tile.map_path(folder), tile.map_sha256),
        ):
            if not path.is_file() or sha256(path) != recorded:
                raise TrainingError(
                    f"tile {path} is missing or not the one that was made: make the tileset again, with --overwrite"
                )
        palette = self.tileset.palette
        try:
            with open_raster(tile.image_path(folder)) as raster:
                image = raster.read().astype(np.uint8, copy=False)
            with open_raster(tile.map_path(folder)) as raster:
                map_ = (class_map(raster, palette, "values") if palette else picture_map(raster)).read()
        except (ClassesError, RasterError) as error:
            raise TrainingError(f"tile {tile.id} is not right ({error}): make the tileset again") from error
        if image.shape != (3, size, size) or map_.shape[-2:] != (size, size):
            raise TrainingError(f"tile {tile.id} is not {size} px, its image of three bands: make the tileset again")
        return torch.from_numpy(image), torch.from_numpy(map_)

    def stack(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return images (N, 3, S, S) and maps (N, S, S) or (N, 3, S, S) of several tiles, uint8."""
        if self.device is None:
            pairs = [self._read(self.tiles[index]) for index in indices]
            return torch.stack([image for image, _ in pairs]), torch.stack([map_ for _, map_ in pairs])
        for index in indices:
            self._keep(index)
        chosen = torch.tensor(list(indices), device=self.device)
        return self._images[chosen], self._maps[chosen]


def _places(device: torch.device | None) -> list[torch.device]:
    here = torch.device("cpu")
    return [device, here] if device and device.type == "cuda" else [here]


def _room(place: torch.device) -> int:
    """Return the bytes that are free on a device, or that this machine has."""
    if place.type == "cuda":
        return int(torch.cuda.mem_get_info(place)[0])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def encode_color(maps: Tensor, palette: Palette | None) -> Tensor:
    """Maps as colours in [-1, 1], (N, 3, H, W): class indices (N, H, W), or colours of 0 to 255 (N, 3, H, W).

    `UNKNOWN` becomes 0.0 in each channel, between two grey levels: no colour that a class can have.
    """
    if palette is None:
        return to_target(maps)
    return _looked_up(maps, torch.tensor(palette.colors, dtype=torch.float32) / 127.5 - 1)


def encode_onehot(maps: Tensor, palette: Palette | None) -> Tensor:
    """Class indices (N, H, W) as one channel a class in {0, 1}, (N, classes, H, W); `UNKNOWN` is 0 in all of them."""
    return _looked_up(maps, torch.eye(source_channels("onehot", palette)))


def _looked_up(indices: Tensor, rows: Tensor) -> Tensor:
    """Put a row of `rows` (classes, C) in place of each class index (N, H, W), zeros for `UNKNOWN`: (N, C, H, W)."""
    table = F.pad(rows, (0, 0, 0, 256 - len(rows))).to(indices.device)
    return F.embedding(indices.int(), table).permute(0, 3, 1, 2)  # laid out channels last, as convolutions like it


ENCODINGS: dict[SourceEncoding, Callable[[Tensor, Palette | None], Tensor]] = {
    "color": encode_color,
    "onehot": encode_onehot,
}


def source_channels(encoding: SourceEncoding, palette: Palette | None) -> int:
    """Return how many channels a source has: 0 for one channel a class where there are no classes."""
    return {"color": 3, "onehot": len(palette) if palette else 0}[encoding]


def to_picture(map_: Tensor, palette: Palette | None) -> NDArray[np.uint8]:
    """Return a map of a `TileStore` as red, green, blue (3, S, S), for looking; grey where it holds nothing."""
    color = encode_color(map_[None], palette)[0]
    picture: NDArray[np.uint8] = ((color + 1) * 127.5).round().byte().cpu().numpy()
    return picture


def to_target(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) uint8 as [-1, 1]."""
    return images.float() / 127.5 - 1


def enlarge(pixels: Tensor, size: int) -> Tensor:
    """Resize to `size` px: class indices (N, S, S) by nearest neighbour, colours (N, 3, S, S) bilinearly, to float."""
    if pixels.ndim == 3:
        nearest = F.interpolate(pixels[:, None].float(), size=(size, size), mode="nearest-exact")
        return nearest[:, 0].to(pixels.dtype)
    return F.interpolate(pixels.float(), size=(size, size), mode="bilinear", align_corners=False)


Place = tuple[int, int, bool]
"""Of a tile in its enlarged self: first row, first column, and whether it is flipped."""


def draw_jitter(count: int, size: int, generator: torch.Generator) -> list[Place]:
    """Draw where each of `count` tiles of `size` px is cropped from the enlarged one, and whether it is flipped."""
    beyond = round(size * JITTER) - size
    rows, cols = torch.randint(0, beyond + 1, (2, count), generator=generator).tolist()
    flips = torch.randint(0, 2, (count,), generator=generator).tolist()
    return list(zip(rows, cols, map(bool, flips), strict=True))


def jitter(images: Tensor, maps: Tensor, places: Sequence[Place]) -> tuple[Tensor, Tensor]:
    """Enlarge by 286/256, crop, flip left to right: the same for image and map.

    Images are (N, 3, S, S), maps class indices (N, S, S) or colours (N, 3, S, S); see `enlarge`.
    """
    size = images.shape[-1]

    def cut(pixels: Tensor) -> Tensor:
        pieces = []
        for whole, (row, col, flip) in zip(enlarge(pixels, round(size * JITTER)), places, strict=True):
            piece = whole[..., row : row + size, col : col + size]
            pieces.append(piece.flip(-1) if flip else piece)
        return torch.stack(pieces)

    return cut(images), cut(maps)


@cache
def _reader() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "tiles")


class Batches:
    """Batches of a split. The order of an epoch, and what jitter draws, depend on `seed` and the step alone.

    Where several `ranks` train together a step's batch is `ranks` times `batch_size`, and each takes its part of
    it: together they see what one process would see with batches so large.
    """

    def __init__(
        self,
        store: TileStore,
        encoding: SourceEncoding,
        batch_size: int,
        device: torch.device,
        seed: int = 0,
        pairing: Pairing = "aligned",
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.store = store
        self.encoding = encoding
        self.batch_size = min(batch_size, max(1, len(store) // ranks))
        self.device = device
        self.seed = seed
        self.pairing = pairing
        self.rank, self.ranks = rank, ranks
        self._ahead: tuple[int, Future[tuple[Tensor, Tensor]]] | None = None

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch of training; the incomplete last one is left out."""
        return max(1, len(self.store) // self._whole)

    @property
    def _whole(self) -> int:
        """Tiles in a step, of all ranks."""
        return self.batch_size * self.ranks

    @property
    def _own(self) -> slice:
        """This rank's part of a step's batch."""
        return slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)

    def _drawn(self, step: int, stream: int) -> list[int]:
        """Return the indices of the tiles of a step's batch, of all ranks, in the order that a stream gives."""
        epoch, position = divmod(step, self.per_epoch)
        order = torch.randperm(len(self.store), generator=self._generator(epoch, stream)).tolist()
        return order[position * self._whole :][: self._whole]

    def _generator(self, number: int, stream: int) -> torch.Generator:
        # One number from three: the same step draws the same, however often training was interrupted.
        mixed = np.random.SeedSequence([self.seed, stream, number]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(mixed >> np.uint64(1)))

    def tiles_of(self, step: int) -> list[int]:
        """Return the indices of the tiles that make up the batch of a training step, counted from 0."""
        return self._drawn(step, stream=0)[self._own]

    def train(self, step: int) -> Batch:
        """Return the jittered batch of a training step. Tiles that are not kept are read one step ahead."""
        ahead, self._ahead = self._ahead, None
        if self.store.device is None and self.pairing == "aligned":
            self._ahead = (step + 1, _reader().submit(self.store.stack, self.tiles_of(step + 1)))
        if ahead and ahead[0] == step:
            images, maps = (pixels.to(self.device) for pixels in ahead[1].result())
        else:
            images, maps = self._stack(self.tiles_of(step))
        if self.pairing == "unaligned":
            images, _ = self._stack(self._drawn(step, stream=1)[self._own])
        places = draw_jitter(self._whole, images.shape[-1], self._generator(step, stream=2))
        images, maps = jitter(images, maps, places[self._own])
        return self._batch(images, maps)

    def plain(self, at_most: int | None = None) -> Iterator[Batch]:
        """Yield the split's tiles in order, as they are; the last batch may be smaller."""
        count = min(len(self.store), at_most or len(self.store))
        for start in range(0, count, self.batch_size):
            yield self.pick(range(start, min(start + self.batch_size, count)))

    def pick(self, indices: Sequence[int]) -> Batch:
        """Return certain tiles, as they are."""
        return self._batch(*self._stack(indices))

    def _batch(self, images: Tensor, maps: Tensor) -> Batch:
        # The layout that convolutions are quickest in, here and on a GPU.
        source, target = self.encode(maps), to_target(images)
        return Batch(*(t.contiguous(memory_format=torch.channels_last) for t in (source, target)))

    def _stack(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        images, maps = self.store.stack(indices)
        return images.to(self.device), maps.to(self.device)

    def encode(self, maps: Tensor) -> Tensor:
        """Return maps as sources."""
        return ENCODINGS[self.encoding](maps, self.store.tileset.palette)
