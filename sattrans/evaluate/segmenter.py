"""The segmenter: a small U-Net that learns the classes from real images, to check whether generated ones show them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
from pydantic import Field
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from sattrans.data.batches import TileStore, to_target
from sattrans.data.crops import Crops
from sattrans.data.tileset import Tile, Tileset
from sattrans.errors import SattransError, UsageError
from sattrans.raster.palette import UNKNOWN
from sattrans.runs.tensors import load_into, read_tensors
from sattrans.utils.atomic import write_bytes
from sattrans.utils.console import progress_bar
from sattrans.utils.hashing import sha256
from sattrans.utils.lock import lock
from sattrans.utils.records import checked, parse_json
from sattrans.utils.schemas import Name, Schema

WIDTH = 16
LEVELS = 3
STEPS = 500
BATCH = 12
RATE = 2e-3
SIDE = 64
"""Largest side of the training crops in pixels: of a larger tile, each step uses a part."""


class SmallUNet(nn.Module):
    """A U-Net of three levels, with about 120,000 weights: images (N, 3, H, W) to logits (N, classes, H, W).

    It uses group norm, so that the result of an image does not depend on the rest of the batch.
    """

    def __init__(self, classes: int, width: int = WIDTH) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(_block(i, o) for i, o in zip([3, *widths], widths, strict=False))
        self.up = nn.ModuleList(
            _block(coarse + fine, fine) for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits for images in [-1, 1]."""
        skips, x = [], images
        for level, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2, ceil_mode=True) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([F.interpolate(x, size=skip.shape[-2:]), skip], 1))
        logits: Tensor = self.head(x)
        return logits


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, 3, padding=1),
            nn.GroupNorm(8, out_channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class Examples(Protocol):
    """Images to train on, with the maps of their tiles; a `TileStore` of paired tiles is one."""

    @property
    def tiles(self) -> Sequence[Tile]:
        """Their tiles."""

    def stack(self, indices: Sequence[int], /) -> tuple[Tensor, Tensor]:
        """Return the images (N, 3, S, S) and the class indices (N, S, S) of some of them, uint8."""


class SegmenterState(Schema):
    """What a segmenter's file says about it."""

    classes: list[Name]
    width: Annotated[int, Field(ge=8, le=1024, multiple_of=8)]


@dataclass(frozen=True)
class Segmenter:
    """A trained segmenter.

    Attributes:
        path: Its file.
        network: Its network.
        about: How it was trained, as recorded in the file.
        hash: SHA-256 of the file.
    """

    path: Path
    network: nn.Module
    about: Mapping[str, Any]
    hash: str

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """Return the class index (H, W) of each pixel of an image (3, H, W) uint8."""
        device = next(self.network.parameters()).device
        indices: Tensor = self.network(to_target(image[None].to(device)))[0].argmax(0).byte().cpu()
        return indices

    @classmethod
    def open(cls, path: Path, tileset: Tileset, device: torch.device) -> "Segmenter":
        """Open a file that `train_segmenter` wrote. Raises `UsageError` for another file or other classes."""
        try:
            tensors, metadata = read_tensors(path)
            about = parse_json(metadata.get("segmenter", "null"))
        except (ValueError, OSError) as error:
            raise UsageError(f"{path} is not a segmenter ({error}): train one with --segmenter train") from error
        if about is None:
            raise UsageError(f"{path} contains other weights than a segmenter's: train one with --segmenter train")
        try:
            checked(SegmenterState, about)
        except ValueError as error:
            raise UsageError(f"{path} is damaged ({error}): train one with --segmenter train") from error
        palette = tileset.palette
        if palette is None or about["classes"] != list(palette.names):
            raise UsageError(
                f"{path} was trained on other classes than those of {tileset.folder}: "
                "train another one with --segmenter train"
            )
        network = SmallUNet(len(palette), about["width"])
        try:
            load_into(network, tensors)
        except ValueError as error:
            raise UsageError(f"{path} is damaged ({error}): train one with --segmenter train") from error
        return cls(path, network.to(device).eval(), about, sha256(path))


def segmenter_path(folder: Path, tileset: Tileset) -> Path:
    """Return the path of a tileset's segmenter: its name contains the hash of the tileset."""
    return folder / f"{tileset.name}-{tileset.hash[:12]}.safetensors"


def train_segmenter(
    path: Path,
    tileset: Tileset,
    device: torch.device,
    seed: int = 0,
    steps: int = STEPS,
    examples: Sequence[Examples] = (),
) -> Segmenter:
    """Train a segmenter on the real images of the train split or on other examples, unless `path` already exists.

    It minimises cross-entropy on crops of jittered tiles, with larger weights for rare classes, with Adam and a cosine
    schedule. Pixels of no class are left out. The same seed gives the same bytes on the CPU.

    Args:
        path: Where to write the segmenter; an existing one is opened instead.
        tileset: The tileset.
        device: The device to train on.
        seed: Determines the weights and the crops.
        steps: Number of training steps.
        examples: Sets of examples that fill equal parts of each batch; by default the real images of the train split.

    Returns:
        The segmenter.

    Raises:
        UsageError: If the tileset has no classes or no training tiles.
    """
    with lock(path):
        if not path.is_file():
            _train(path, tileset, device, seed, steps, examples)
        return Segmenter.open(path, tileset, device)


def _class_weights(names: Sequence[str], sets: Sequence[Sequence[Tile]]) -> Tensor:
    """Return 1/√share of each class, (classes,): without weights, a class of 1 % would never be predicted."""
    shares = [[sum(tile.shares.get(name, 0) for tile in tiles) / len(tiles) for name in names] for tiles in sets]
    return (torch.tensor(shares).mean(0) + 1e-3).rsqrt()


def _train(
    path: Path, tileset: Tileset, device: torch.device, seed: int, steps: int, examples: Sequence[Examples]
) -> None:
    palette, tiles = tileset.palette, tileset.split("train")
    if palette is None or not tiles:
        raise UsageError(
            f"{tileset.folder} has no {'classes' if palette is None else 'training tiles'} for a segmenter"
        )
    examples = examples or [TileStore(tileset, tiles)]
    part = BATCH // len(examples)
    side, crops = min(SIDE, tileset.size), Crops(tileset.size)
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SmallUNet(len(palette)).to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    weights = _class_weights(palette.names, [each.tiles for each in examples]).to(device)
    loss = torch.zeros(())
    with progress_bar(steps, "segmenter", "step") as progress:
        for step in range(steps):
            stacked = [e.stack(torch.randint(len(e.tiles), (part,), generator=draw).tolist()) for e in examples]
            drawn = crops.draw(part * len(examples), draw)
            images, maps = (crops.take(torch.cat(pixels), drawn) for pixels in zip(*stacked, strict=True))
            row, col = torch.randint(tileset.size - side + 1, (2,), generator=draw).tolist()
            images, maps = (pixels[..., row : row + side, col : col + side] for pixels in (images, maps))
            for group in optimizer.param_groups:
                group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
            truth = maps.long().to(device)
            if (truth == UNKNOWN).all():
                continue
            loss = F.cross_entropy(network(to_target(images.to(device))), truth, weights, ignore_index=UNKNOWN)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            progress.update()
    if not torch.isfinite(loss):
        raise SattransError("the segmenter's loss is not finite: try --device cpu")
    about = {
        "tileset": {"name": tileset.name, "hash": tileset.hash},
        "classes": list(palette.names),
        "width": WIDTH,
        "steps": steps,
        "seed": seed,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(path, save(tensors, {"segmenter": json.dumps(about)}))
