"""Batches: a tileset's tiles as tensors, read once, then cropped and encoded on the training device."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sattrans.data.crops import Crop, Crops
from sattrans.data.sampling import tile_weights, weighted_order
from sattrans.data.tileset import Tile, Tileset
from sattrans.data.warp import displacements, warp
from sattrans.errors import ClassesError, RasterError, TrainingError
from sattrans.model import Batch, Pairing, SourceEncoding
from sattrans.raster.class_map import class_map
from sattrans.raster.open import open_raster
from sattrans.raster.palette import Palette
from sattrans.raster.rgb_map import rgb_map
from sattrans.utils.hashing import sha256

CoarseImages = Callable[[Sequence[int]], Tensor]
"""From indices of tiles to coarse images of them, (N, 3, S / refines, S / refines) uint8."""

CACHE_SHARE = 0.4
"""Largest share of a device's free memory, or of the machine's memory, that the tiles may take to be cached there."""


class TileStore:
    """Tiles as uint8 tensors: images (3, S, S), and maps of the tiles that have one.

    Maps are class indices (S, S), `UNKNOWN` where they are nodata; in a tileset without classes they are colours
    (3, S, S). Images are black where they are nodata. Each tile is read once and cached, on `device` if all tiles fit
    there, otherwise in memory; if they do not fit there either, tiles are read each time they are used.

    Args:
        tileset: The tileset that the tiles belong to.
        tiles: The tiles. Those without a map, of the split `unpaired`, come last.
        device: Where the tiles will be used.
    """

    def __init__(self, tileset: Tileset, tiles: Sequence[Tile], device: torch.device | None = None) -> None:
        self.tileset = tileset
        self.tiles = list(tiles)
        self.paired = sum(tile.map is not None for tile in self.tiles)
        """The number of tiles that have a map."""
        if any(tile.map is None for tile in self.tiles[: self.paired]):
            raise ValueError("tiles without a map must come last")
        bands = 3 if tileset.palette is None else 1
        needed = (len(self.tiles) * 3 + self.paired * bands) * tileset.size**2
        self.device = next((d for d in _cache_devices(device) if needed < CACHE_SHARE * _memory(d)), None)
        self._cached: set[int] = set()
        if self.device is not None:
            side = tileset.size
            shape = (self.paired, 3, side, side) if bands == 3 else (self.paired, side, side)
            self._images = torch.empty((len(self.tiles), 3, side, side), dtype=torch.uint8, device=self.device)
            self._maps = torch.empty(shape, dtype=torch.uint8, device=self.device)

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the image and the map of a paired tile. Raises `TrainingError`, naming the tile, if it has changed."""
        if self.device is None:
            return self._read_image(self.tiles[index]), self._read_map(self.tiles[index])
        self._cache(index)
        return self._images[index], self._maps[index]

    def _cache(self, index: int) -> None:
        if index not in self._cached:
            tile = self.tiles[index]
            self._images[index] = self._read_image(tile).to(self.device)
            if tile.map is not None:
                self._maps[index] = self._read_map(tile).to(self.device)
            self._cached.add(index)

    def _read_image(self, tile: Tile) -> Tensor:
        path = tile.image_path(self.tileset.folder)
        _check_hash(path, tile.image_sha256)
        try:
            with open_raster(path) as raster:
                image = raster.read().astype(np.uint8, copy=False)
        except RasterError as error:
            raise TrainingError(f"tile {tile.id} is not right ({error}): make the tileset again") from error
        if image.shape != (3, self.tileset.size, self.tileset.size):
            raise self._wrong_shape(tile)
        return torch.from_numpy(image)

    def _read_map(self, tile: Tile) -> Tensor:
        path, palette = tile.map_path(self.tileset.folder), self.tileset.palette
        _check_hash(path, tile.map_sha256)
        try:
            with open_raster(path) as raster:
                map_ = (class_map(raster, palette, "values") if palette else rgb_map(raster)).read()
        except (ClassesError, RasterError) as error:
            raise TrainingError(f"tile {tile.id} is not right ({error}): make the tileset again") from error
        if map_.shape[-2:] != (self.tileset.size, self.tileset.size):
            raise self._wrong_shape(tile)
        return torch.from_numpy(map_)

    def _wrong_shape(self, tile: Tile) -> TrainingError:
        size = self.tileset.size
        return TrainingError(f"tile {tile.id} is not {size} px, its image of three bands: make the tileset again")

    def stack(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the images (N, 3, S, S) and the maps (N, S, S) or (N, 3, S, S) of paired tiles, uint8."""
        if self.device is None:
            return self.images(indices), self.maps(indices)
        chosen = self._chosen(indices)
        return self._images[chosen], self._maps[chosen]

    def images(self, indices: Sequence[int]) -> Tensor:
        """Return the images of tiles, (N, 3, S, S) uint8."""
        if self.device is None:
            return torch.stack([self._read_image(self.tiles[index]) for index in indices])
        return self._images[self._chosen(indices)]

    def maps(self, indices: Sequence[int]) -> Tensor:
        """Return the maps of paired tiles, (N, S, S) or (N, 3, S, S) uint8."""
        if self.device is None:
            return torch.stack([self._read_map(self.tiles[index]) for index in indices])
        return self._maps[self._chosen(indices)]

    def _chosen(self, indices: Sequence[int]) -> Tensor:
        for index in indices:
            self._cache(index)
        return torch.tensor(list(indices), device=self.device)


def _check_hash(path: Path, recorded: str | None) -> None:
    if not path.is_file() or sha256(path) != recorded:
        raise TrainingError(
            f"tile {path} is missing or not the one that was made: make the tileset again, with --overwrite"
        )


def _cache_devices(device: torch.device | None) -> list[torch.device]:
    cpu = torch.device("cpu")
    return [device, cpu] if device and device.type == "cuda" else [cpu]


def _memory(device: torch.device) -> int:
    """Return the free bytes of a CUDA device, or all bytes of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def encode_color(maps: Tensor, palette: Palette | None) -> Tensor:
    """Encode maps, class indices (N, H, W) or colours (N, 3, H, W) from 0 to 255, as colours in [-1, 1], (N, 3, H, W).

    `UNKNOWN` becomes 0.0 in each channel. That lies between two grey levels, so no class can have this colour.
    """
    if palette is None:
        return to_target(maps)
    return _embed(maps, torch.tensor(palette.colors, dtype=torch.float32) / 127.5 - 1)


def encode_onehot(maps: Tensor, palette: Palette | None) -> Tensor:
    """Encode class indices (N, H, W) as one channel per class in {0, 1}, (N, classes, H, W); `UNKNOWN` is 0 in all."""
    return _embed(maps, torch.eye(source_channels("onehot", palette)))


def _embed(indices: Tensor, rows: Tensor) -> Tensor:
    """Replace each class index (N, H, W) by its row of `rows` (classes, C), `UNKNOWN` by zeros: (N, C, H, W)."""
    table = F.pad(rows, (0, 0, 0, 256 - len(rows))).to(indices.device)
    return F.embedding(indices.int(), table).permute(0, 3, 1, 2)  # channels last in memory, which convolutions prefer


ENCODINGS: dict[SourceEncoding, Callable[[Tensor, Palette | None], Tensor]] = {
    "color": encode_color,
    "onehot": encode_onehot,
}


def source_channels(encoding: SourceEncoding, palette: Palette | None) -> int:
    """Return the number of channels of a source; 0 if there are no classes for one channel per class."""
    return {"color": 3, "onehot": len(palette) if palette else 0}[encoding]


def to_picture(map_: Tensor, palette: Palette | None) -> NDArray[np.uint8]:
    """Return a map of a `TileStore` as red, green, blue (3, S, S) for display; `UNKNOWN` is grey."""
    color = encode_color(map_[None], palette)[0]
    picture: NDArray[np.uint8] = to_levels(color).cpu().numpy()
    return picture


def to_target(images: Tensor) -> Tensor:
    """Return images (N, 3, H, W) uint8 as float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_levels(images: Tensor) -> Tensor:
    """Return images of any shape in [-1, 1] as uint8 grey levels."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).byte()


@cache
def _reader() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "tiles")


class Batches:
    """Batches of a split. The order of an epoch, and the crops, depend on `seed` and the step alone.

    An epoch uses each map once, or as many random crops of it as cover it (`Crops.repeats`). With pairing "aligned"
    a batch holds the maps and the images of the same tiles, cropped and flipped alike, and tiles without a map are
    left out. With "unaligned" the images come from all tiles, those without a map included, in an order of their
    own that uses every image before any is repeated; they are cropped and flipped independently of the maps,
    because a shared crop or flip would be something that a map and an image have in common. `plain` and `pick`, for
    validation, return maps with the images of the same tiles for both.

    `balance` says how much a pixel of each class counts, by its name: maps are then drawn as often as their pixels
    count, and an epoch has some of them several times. `warp` is the largest displacement, in pixels, by which map and
    image are warped, together if they are aligned.

    If several `processes` train one model, a step's batch is `processes` times `batch_size`, and each takes the
    part of its `rank`: together they use the tiles that one process would use with a batch of that size.
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
        processes: int = 1,
        crop: int | None = None,
        scenes: Sequence[str] = (),
        balance: Mapping[str, float] | None = None,
        warp: int = 0,
        refines: int | None = None,
        coarse: CoarseImages | None = None,
    ) -> None:
        self.store = store
        self.crops = Crops(store.tileset.size, crop, refines or 1)
        self.coarse = coarse
        self.scenes = {name: number for number, name in enumerate(scenes)}
        self.encoding = encoding
        self.batch_size = self.crops.batch_size(batch_size, store.paired, processes)
        self.device = device
        self.seed = seed
        self.pairing = pairing
        self.rank, self.processes = rank, processes
        self.warp = warp
        self._weights = tile_weights(self.tiles, balance) if balance else None
        self._factors = torch.ones(256) if balance else None
        if self._factors is not None and balance and (palette := store.tileset.palette):
            self._factors[: len(palette)] = torch.tensor([balance.get(name, 1.0) for name in palette.names])
        self._ahead: tuple[int, Future[tuple[Tensor, Tensor]]] | None = None

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch of training; the incomplete last one is left out."""
        return self.crops.steps(self.store.paired, self._tiles_per_step)

    @property
    def tiles(self) -> list[Tile]:
        """The tiles that have a map."""
        return self.store.tiles[: self.store.paired]

    @property
    def _tiles_per_step(self) -> int:
        """Tiles in a step of all processes."""
        return self.batch_size * self.processes

    @property
    def _own(self) -> slice:
        """This process's part of a step's batch."""
        return slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)

    def _draw(self, step: int, count: int, stream: int) -> list[int]:
        """Return this process's part of the tiles of a step, drawn from `count` in the order of a random stream."""
        turn, position = divmod(step, self.crops.steps(count, self._tiles_per_step))
        crops = count * self.crops.repeats(count, self._tiles_per_step)
        generator = self._generator(turn, stream)
        if self._weights is not None and stream == 0:
            order = weighted_order(self._weights, crops, generator)
        else:
            order = torch.randperm(crops, generator=generator).tolist()
        chosen = order[position * self._tiles_per_step :][: self._tiles_per_step][self._own]
        return [number % count for number in chosen]

    def _generator(self, number: int, stream: int) -> torch.Generator:
        # Seeded by these three numbers alone, so that a step draws the same after any number of interruptions.
        mixed = np.random.SeedSequence([self.seed, stream, number]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(mixed >> np.uint64(1)))

    def maps_of(self, step: int) -> list[int]:
        """Return the indices of the tiles whose maps are in the batch of a training step, counted from 0."""
        return self._draw(step, self.store.paired, stream=0)

    def images_of(self, step: int) -> list[int]:
        """Return the indices of the tiles whose images are in the batch of a training step, counted from 0."""
        return self.maps_of(step) if self.pairing == "aligned" else self._draw(step, len(self.store), stream=1)

    def train(self, step: int) -> Batch:
        """Return the batch of a training step, cropped. Tiles that are not cached are read one step ahead."""
        ahead, self._ahead = self._ahead, None
        if self.store.device is None:
            self._ahead = (step + 1, _reader().submit(self._read, step + 1))
        images, maps = ahead[1].result() if ahead and ahead[0] == step else self._read(step)
        images, maps = images.to(self.device), maps.to(self.device)
        map_crops = self._map_crops(step, maps)
        image_crops = map_crops if self.pairing == "aligned" else self._crops(step, stream=3)
        images, maps = self.crops.take(images, image_crops), self.crops.take(maps, map_crops)
        if self.warp:
            images, maps = self._warped(step, images, maps)
        batch = self._batch(images, maps)
        scene = [self.scenes.get(self.store.tiles[index].scene, 0) for index in self.images_of(step)]
        return replace(batch, scene=torch.tensor(scene, device=self.device), coarse=self._coarse(step, image_crops))

    def _coarse(self, step: int, crops: Sequence[Crop]) -> Tensor | None:
        if self.coarse is None:
            return None
        images = self.coarse(self.images_of(step)).to(self.device)
        return to_target(self.crops.take(images, crops, self.crops.step))

    def _read(self, step: int) -> tuple[Tensor, Tensor]:
        if self.pairing == "aligned":
            return self.store.stack(self.maps_of(step))
        return self.store.images(self.images_of(step)), self.store.maps(self.maps_of(step))

    def _crops(self, step: int, stream: int) -> list[Crop]:
        return self.crops.draw(self._tiles_per_step, self._generator(step, stream))[self._own]

    def _map_crops(self, step: int, maps: Tensor) -> list[Crop]:
        crops = self._crops(step, stream=2)
        if self.crops.side is None or maps.ndim == 4:
            return crops
        return self.crops.richer(maps, crops, self._crops(step, stream=4), self._factors)

    def _warped(self, step: int, images: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        count, side = self._tiles_per_step, images.shape[-1]
        of_maps, of_images = (
            displacements(count, side, self.warp, self._generator(step, stream))[self._own]
            for stream in (5, 5 if self.pairing == "aligned" else 6)
        )
        return warp(images, of_images), warp(maps, of_maps)

    def plain(self, at_most: int | None = None) -> Iterator[Batch]:
        """Yield the paired tiles in order, whole; the last batch may be smaller."""
        count = min(self.store.paired, at_most or self.store.paired)
        for start in range(0, count, self.batch_size):
            yield self.pick(range(start, min(start + self.batch_size, count)))

    def pick(self, indices: Sequence[int]) -> Batch:
        """Return certain paired tiles, whole."""
        images, maps = self.store.stack(indices)
        return self._batch(images.to(self.device), maps.to(self.device))

    def whole(self) -> Sequence[Batch]:
        """Return the paired tiles, whole, as batches of one with their scene, each read when it is asked for."""
        return _WholeTiles(self)

    def _batch(self, images: Tensor, maps: Tensor) -> Batch:
        # The memory layout in which convolutions are fastest, on a CPU and on a GPU.
        source, target = self.encode(maps), to_target(images)
        return Batch(*(t.contiguous(memory_format=torch.channels_last) for t in (source, target)))

    def encode(self, maps: Tensor) -> Tensor:
        """Return maps as sources."""
        return ENCODINGS[self.encoding](maps, self.store.tileset.palette)


class _WholeTiles(Sequence[Batch]):
    """See `Batches.whole`."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return self._batches.store.paired

    def __getitem__(self, index: int) -> Batch:  # type: ignore[override]  # no slices are needed
        index = range(len(self))[index]
        scene = self._batches.scenes.get(self._batches.tiles[index].scene, 0)
        return replace(self._batches.pick([index]), scene=torch.tensor([scene], device=self._batches.device))
