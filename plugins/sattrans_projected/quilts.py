"""Quilts: sketches that are images of the exemplar model, at half their resolution.

They are put together of larger pieces of training tiles than other sketches, whose edges follow the map, and take about
ten times as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sattrans.model import Noise, TileSpec
from sattrans_exemplar.blocks import CONTEXT as AROUND_BLOCK
from sattrans_exemplar.blocks import LARGEST, Blocks, Cache, Settings, cache_of_pieces
from sattrans_exemplar.cuts import Pieces, continued
from sattrans_exemplar.sources import UNKNOWN, Index, Sources, classes_of
from sattrans_projected.patches import DOT

EDGE = 64
"""Pixels around a window that are painted with it and thrown away: the receptive field of the generator has a radius of
59 px."""

CONTEXT = LARGEST + AROUND_BLOCK
"""Pixels of map around a window on which its image depends: the edge lies in the blocks beside the window."""

FIDELITY = 1.0
"""How much the map counts in exemplar, against the picture."""

MOST_KEPT = 2**25
"""Bytes of colours of blocks that are kept for their neighbours, at most: those of 680 blocks."""


class Quilt(nn.Module):
    """Puts the colours of maps together from training tiles, which it keeps.

    Args:
        spec: The tiles that are learned from.
    """

    def __init__(self, spec: TileSpec) -> None:
        super().__init__()
        self.sources = Sources(spec)
        self._kept: _Kept | None = None

    def forward(self, source: Tensor, noise: Noise, styles: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Put colours together.

        Args:
            source: Maps with one channel a class, (N, K, S + 2 * CONTEXT, …).
            noise: The seed, and where the windows of S px begin.
            styles: The scene that each map should look like, or -1 for none in particular.

        Returns:
            The maps with `EDGE` pixels around the windows, (N, K, S + 2 * EDGE, …), in which pixels without data are of
            the nearest class; and their colours in [-1, 1], (N, 3, S / 2 + EDGE, …).
        """
        found, classes = [], source.shape[1]
        for map_, origin, style in zip(classes_of(source), noise.origins, styles, strict=True):
            settings = Settings(noise.seed, None if style < 0 else style, FIDELITY)
            # A pixel of the edge without data is like the nearest one with data, which may lie as far beyond the edge.
            seen, colors = trimmed(map_, CONTEXT - 2 * EDGE), self._quilt(map_, origin, settings)
            missing = seen == UNKNOWN
            known, colors = continued(seen, missing), continued(colors, _pooled(missing))
            found.append((trimmed(known, EDGE), trimmed(colors, EDGE // DOT)))
        maps, quilts = (torch.from_numpy(np.stack(each)).to(source.device) for each in zip(*found, strict=True))
        one_hot = F.one_hot(maps.long().clamp(max=classes), classes + 1)[..., :classes]
        return one_hot.permute(0, 3, 1, 2).to(source), quilts.float() / 127.5 - 1

    def _quilt(self, map_: NDArray[np.uint8], origin: tuple[int, int], settings: Settings) -> NDArray[np.uint8]:
        """Return the colours of a window and twice its edge, (3, S / 2 + 2 * EDGE, …)."""
        size = len(map_) - 2 * CONTEXT
        side = min(LARGEST, size)
        around = -(-2 * EDGE // side) * side
        starts = range(-around, size + around, side)
        rows = [np.concatenate([self._block(map_, origin, settings, (r, c), side) for c in starts], 2) for r in starts]
        return trimmed(np.concatenate(rows, 1), (around - 2 * EDGE) // DOT)

    def _block(
        self,
        map_: NDArray[np.uint8],
        origin: tuple[int, int],
        settings: Settings,
        block: tuple[int, int],
        side: int,
    ) -> NDArray[np.uint8]:
        """Return the colours of a block, given where it lies from the window's first pixel, (3, side / 2, side / 2)."""
        row, col = (at + CONTEXT for at in block)
        seen = map_[row - AROUND_BLOCK : row + side + AROUND_BLOCK, col - AROUND_BLOCK : col + side + AROUND_BLOCK]
        digest = blake2b(np.ascontiguousarray(seen).data, digest_size=16).digest()
        key = settings, side, origin[0] + block[0], origin[1] + block[1], digest
        kept = self._kept_of(self.sources.index)

        def made() -> NDArray[np.uint8]:
            at = origin[0] - CONTEXT, origin[1] - CONTEXT
            image = Blocks(kept.index, kept.pieces, settings, map_, at, side).image(row, col)
            means = image.clip(0, 255).reshape(3, side // DOT, DOT, side // DOT, DOT).mean((2, 4))
            quilt: NDArray[np.uint8] = np.rint(means).astype(np.uint8)
            return quilt

        return kept.quilts.get(key, made)

    def _kept_of(self, index: Index) -> "_Kept":
        if self._kept is None or self._kept.index is not index:
            self._kept = _Kept(index, cache_of_pieces(), Cache(MOST_KEPT, lambda quilt: quilt.nbytes))
        return self._kept


@dataclass(frozen=True)
class _Kept:
    """What was put together last of the sources as they are: pieces of blocks, and the colours of whole blocks."""

    index: Index
    pieces: Cache[Pieces]
    quilts: Cache[NDArray[np.uint8]]

    def __deepcopy__(self, memo: object) -> "_Kept":
        return self  # a copy of the generator may share it


def trimmed(image: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """Return an image (…, H, W) without so many pixels on each side."""
    height, width = image.shape[-2:]
    return image[..., margin : height - margin, margin : width - margin]


def _pooled(missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which dots have no pixel with data."""
    height, width = missing.shape
    return np.asarray(missing.reshape(height // DOT, DOT, width // DOT, DOT).all((1, 3)))
