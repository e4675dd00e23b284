"""Batches: a tileset's tiles as tensors - read once, jittered and encoded on the training device."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sattrans.errors import TrainingError
from sattrans.files import sha256
from sattrans.model import Batch, Pairing, SourceEncoding
from sattrans.palette import UNKNOWN, Palette
from sattrans.raster.gate import open_raster
from sattrans.tileset import Tile, Tileset

JITTER = 286 / 256
"""pix2pix resizes to 286, then crops 256: the same ratio at any size (512: 572)."""

MOST_KEPT_BYTES = 4 << 30
"""Tiles are kept in memory once read, up to so many bytes; beyond, they are read again each epoch."""


class TileStore:
    """The tiles of one split as uint8: images (3, S, S), and maps as class indices (S, S)."""

    def __init__(self, tileset: Tileset, tiles: Sequence[Tile]) -> None:
        self.tileset = tileset
        self.tiles = list(tiles)
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        self._room = MOST_KEPT_BYTES

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return image and map of a tile. Raises `TrainingError`, naming the tile, where it is not as recorded."""
        if index in self._kept:
            return self._kept[index]
        pair = self._read(self.tiles[index])
        self._room -= sum(tensor.numel() for tensor in pair)
        if self._room >= 0:
            self._kept[index] = pair
        return pair

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
        with open_raster(tile.image_path(folder)) as raster:
            image = raster.read().astype(np.uint8, copy=False)
        with open_raster(tile.map_path(folder)) as raster:
            indices = self.tileset.palette.from_values(raster.read()[0].astype(np.uint8, copy=False))
        if image.shape != (3, size, size) or indices.shape != (size, size) or (indices == UNKNOWN).any():
            raise TrainingError(f"tile {tile.id} is not {size} px of three bands and known classes: make it again")
        return torch.from_numpy(image), torch.from_numpy(indices)

    def stack(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return images (N, 3, S, S) and class indices (N, S, S) of several tiles, uint8."""
        pairs = [self[index] for index in indices]
        return torch.stack([image for image, _ in pairs]), torch.stack([map_ for _, map_ in pairs])


def encode_color(indices: Tensor, palette: Palette) -> Tensor:
    """Class indices (N, H, W) as colours in [-1, 1], (N, 3, H, W)."""
    colors = torch.tensor(palette.colors, dtype=torch.float32, device=indices.device) / 127.5 - 1
    return colors[indices.long()].permute(0, 3, 1, 2).contiguous()


def encode_onehot(indices: Tensor, palette: Palette) -> Tensor:
    """Class indices (N, H, W) as one channel a class in {0, 1}, (N, classes, H, W)."""
    return F.one_hot(indices.long(), len(palette)).permute(0, 3, 1, 2).float().contiguous()


ENCODINGS: dict[SourceEncoding, Callable[[Tensor, Palette], Tensor]] = {
    "color": encode_color,
    "onehot": encode_onehot,
}


def source_channels(encoding: SourceEncoding, palette: Palette) -> int:
    """Return how many channels a source has."""
    return {"color": 3, "onehot": len(palette)}[encoding]


def to_target(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) uint8 as [-1, 1]."""
    return images.float() / 127.5 - 1


def jitter(images: Tensor, indices: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Enlarge by 286/256, crop at random, flip left to right at random: the same for image and map.

    Images (N, 3, S, S) by bilinear interpolation, class indices (N, S, S) by nearest neighbour.
    """
    size = images.shape[-1]
    large = round(size * JITTER)
    smooth = F.interpolate(images.float(), size=(large, large), mode="bilinear", align_corners=False)
    nearest = F.interpolate(indices[:, None].float(), size=(large, large), mode="nearest-exact")[:, 0]
    rows, cols = torch.randint(0, large - size + 1, (2, len(images)), generator=generator).tolist()
    flips = torch.randint(0, 2, (len(images),), generator=generator).tolist()
    cut_images, cut_indices = [], []
    for n, (row, col, flip) in enumerate(zip(rows, cols, flips, strict=True)):
        image, map_ = smooth[n, :, row : row + size, col : col + size], nearest[n, row : row + size, col : col + size]
        cut_images.append(image.flip(-1) if flip else image)
        cut_indices.append(map_.flip(-1) if flip else map_)
    return torch.stack(cut_images), torch.stack(cut_indices).to(indices.dtype)


class Batches:
    """Batches of a split. The order of an epoch, and what jitter draws, depend on `seed` and the step alone."""

    def __init__(
        self,
        store: TileStore,
        encoding: SourceEncoding,
        batch_size: int,
        device: torch.device,
        seed: int = 0,
        pairing: Pairing = "aligned",
    ) -> None:
        self.store = store
        self.encoding = encoding
        self.batch_size = min(batch_size, max(1, len(store)))
        self.device = device
        self.seed = seed
        self.pairing = pairing

    @property
    def per_epoch(self) -> int:
        """Batches in an epoch of training; the incomplete last one is left out."""
        return max(1, len(self.store) // self.batch_size)

    def _order(self, epoch: int, stream: int) -> list[int]:
        return torch.randperm(len(self.store), generator=self._generator(epoch, stream)).tolist()

    def _generator(self, number: int, stream: int) -> torch.Generator:
        # One number from three: the same step draws the same, however often training was interrupted.
        mixed = np.random.SeedSequence([self.seed, stream, number]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(mixed >> np.uint64(1)))

    def tiles_of(self, step: int) -> list[int]:
        """Return the indices of the tiles that make up the batch of a training step, counted from 0."""
        epoch, position = divmod(step, self.per_epoch)
        return self._order(epoch, stream=0)[position * self.batch_size :][: self.batch_size]

    def train(self, step: int) -> Batch:
        """Return the jittered batch of a training step."""
        images, indices = self._stack(self.tiles_of(step))
        if self.pairing == "unaligned":
            epoch, position = divmod(step, self.per_epoch)
            drawn = self._order(epoch, stream=1)[position * self.batch_size :][: self.batch_size]
            images, _ = self._stack(drawn)
        images, indices = jitter(images, indices, self._generator(step, stream=2))
        return Batch(self.encode(indices), to_target(images))

    def plain(self, at_most: int | None = None) -> Iterator[Batch]:
        """Yield the split's tiles in order, as they are; the last batch may be smaller."""
        count = min(len(self.store), at_most or len(self.store))
        for start in range(0, count, self.batch_size):
            yield self.pick(range(start, min(start + self.batch_size, count)))

    def pick(self, indices: Sequence[int]) -> Batch:
        """Return certain tiles, as they are."""
        images, maps = self._stack(indices)
        return Batch(self.encode(maps), to_target(images))

    def _stack(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        images, maps = self.store.stack(indices)
        return images.to(self.device), maps.to(self.device)

    def encode(self, indices: Tensor) -> Tensor:
        """Return class indices as sources."""
        return ENCODINGS[self.encoding](indices, self.store.tileset.palette)
