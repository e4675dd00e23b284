"""Sketches: the colours of an image at half its resolution, put together for a map from training tiles.

A map does not tell which field is bare, how dense a town is or how dark a lake. A sketch takes that from places of the
training tiles whose maps look alike, patch by patch, and each class takes the colours of its own class there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sattrans.model import Batch, Noise, TileSpec
from sattrans_projected.patches import BLOCK, CELL, DOT, PATCH, Patches, patches_of, taken, unit

PIXELS = 2**22
"""Pixels of training tiles that are kept, at most; more are sampled evenly."""

LARGEST = 256
"""Side in pixels of the part that is kept of a larger tile: so there is room for more scenes."""

PLACES = 2**14
"""Places of the training tiles that a patch may be taken from, at most."""

OPENINGS = (3, 7)
"""Sides in cells of squares: what of a class such a square fits into. A class often means two things, such as lakes
and the land between houses, and their shape tells which."""

BOXES = (5, 13, 23)
"""Sides in cells of the squares around a place whose class shares describe it."""

LEVELS = 126
"""Largest value of a descriptor. Descriptors are whole numbers: so distances are exact in single precision, and a
window of any size chooses the same patches."""

LIKE = 1e-5
"""Mean squared difference of descriptors, in units of a whole class, below which places are equally good."""

FAR_AWAY = 10.0
"""What a place costs that may not be taken, in the same units."""

FOREIGN = 0.01
"""What a place of another scene than that of the style costs, in the same units."""

ANY = -1
"""Stands for no scene in particular."""

COHERENCE = 1.0
"""Weight of a cell of distance from where the patches of a block would be one piece of a training tile, as a
difference of descriptors: neighbours then continue each other, above all where a place is as good as another."""

TILE_CHANCE, PLACE_CHANCE = 0.4, 0.1
"""Largest part by which chance raises the cost of a tile for a block, and of a place for a patch."""

CHANCES = 16, 61
"""Number of different draws of chance for the tiles, and for the places."""

EDGE = 0.1
"""Weight of a pixel at the edge of a class, where there are none inside that class nearby."""

SMOOTH = 9
"""Side in cells of the box, used twice, that splits colours into coarse tones, which patches blend, and the rest."""

PICTURE_COLORS = 8
"""Commonest colours of maps without classes, which are then taken for classes."""


@dataclass(frozen=True)
class _Index:
    """What is derived from the kept tiles; see `Sketches._index`."""

    descriptors: Tensor
    lengths: Tensor
    tile: Tensor
    cell: Tensor
    tones: Tensor
    rest: Tensor
    tile_factors: Tensor
    place_factors: Tensor

    def __deepcopy__(self, memo: object) -> "_Index":
        return self  # fixed: a copy of the generator shares it


class Sketches(nn.Module):
    """Puts sketches together from training tiles, which it keeps at half their resolution.

    Args:
        spec: The tiles that are learned from.
        has_classes: Whether a source has a channel for each class; else sources are colours.
    """

    colors: Tensor
    shares: Tensor
    scenes: Tensor
    centers: Tensor
    kept: Tensor

    def __init__(self, spec: TileSpec, has_classes: bool) -> None:
        super().__init__()
        self.has_classes = has_classes
        self.classes = spec.source_channels if has_classes else PICTURE_COLORS
        side = min(spec.size, LARGEST)
        dots, cells = side // DOT, side // CELL
        tiles = max(1, min(spec.tiles, PIXELS // side**2))
        self.register_buffer("colors", torch.zeros(tiles, dots, dots, self.classes * 3, dtype=torch.uint8))
        self.register_buffer("shares", torch.zeros(tiles, self.classes, cells, cells, dtype=torch.uint8))
        self.register_buffer("scenes", torch.zeros(tiles, dtype=torch.long))
        self.register_buffer("centers", torch.zeros(PICTURE_COLORS, 3))
        self.register_buffer("kept", torch.zeros((), dtype=torch.long))
        self._cached: _Index | None = None
        self._class_weights: Tensor | None = None

    def keep(self, tiles: Sequence[Batch]) -> None:
        """Keep training tiles, given as batches of one: as many as there is room for, evenly chosen."""
        count = min(len(tiles), len(self.colors))
        chosen = [_part(tiles[number * len(tiles) // count], number) for number in range(count)]
        if not self.has_classes:
            self.centers.copy_(_commonest(torch.stack([_picture(tile.source)[0] for tile in chosen])))
        totals = torch.zeros(self.classes, 3, device=self.colors.device)
        counts = torch.zeros(self.classes, 1, device=self.colors.device)
        for tile in chosen:
            classes = self._classes(tile.source)[0]
            totals += torch.einsum("khw,chw->kc", classes, tile.target[0])
            counts += classes.sum((1, 2))[:, None]
        overall = totals.sum(0) / counts.sum().clamp(min=1)
        means = torch.where(counts > 0, totals / counts.clamp(min=1), overall)
        for slot, tile in enumerate(chosen):
            classes = self._classes(tile.source)[0]
            extended = _extended(_inner(classes), tile.target[0], means)
            self.colors[slot] = ((extended + 1) * 127.5).round().clamp(0, 255).byte().permute(2, 3, 0, 1).flatten(2)
            self.shares[slot] = _counts(classes[None], CELL)[0].byte()
            self.scenes[slot] = 0 if tile.scene is None else tile.scene[0]
        self.kept.fill_(count)
        self._cached = self._class_weights = None

    def _load_from_state_dict(self, *args: object, **options: object) -> None:
        self._cached = self._class_weights = None
        super()._load_from_state_dict(*args, **options)

    def forward(self, source: Tensor, noise: Noise, styles: Sequence[int], elsewhere: bool = False) -> Tensor:
        """Put sketches together.

        Args:
            source: Maps (N, C, H, W).
            noise: The seed and the windows' positions, multiples of 32 px.
            styles: The scene that each map should look like, or `ANY`.
            elsewhere: Take nothing from that scene if there are others; nothing from half the tiles, if not. Training
                asks for this, so that no map finds its own tile.

        Returns:
            Colours (N, 3, H / 2, W / 2) in [-1, 1].
        """
        if not int(self.kept):
            return torch.zeros(len(source), 3, *(side // DOT for side in source.shape[-2:]), device=source.device)
        with torch.no_grad(), torch.autocast(source.device.type, enabled=False):
            classes = self._classes(source.float())
            sketches = [
                self._sketch(one[None], noise.seed, row // CELL, col // CELL, style, elsewhere)
                for one, (row, col), style in zip(classes, noise.origins, styles, strict=True)
            ]
        return torch.stack(sketches)

    def _classes(self, source: Tensor) -> Tensor:
        """Return a channel for each class: of pictures, for the nearest of the commonest colours."""
        if self.has_classes:
            return source
        distance = (source[:, None] - self.centers[None, :, :, None, None]).square().sum(2)
        return F.one_hot(distance.argmin(1), self.classes).permute(0, 3, 1, 2).float()

    def _sketch(self, classes: Tensor, seed: int, row: int, col: int, style: int, elsewhere: bool) -> Tensor:
        """Return the sketch of a map (1, K, H, W) whose first cell lies at (row, col)."""
        index = self._index()
        shares = _counts(classes, CELL)
        side = shares.shape[-2:]
        patches = patches_of(seed, row, col, side, shares.device)
        numbers, points = patches.numbers, patches.points
        inside = [points[:, axis].clamp(0, side[axis] - 1) for axis in (0, 1)]
        asked = self._descriptors(shares)[0][:, inside[0], inside[1]].t()
        # Where a patch's place would be if the patches of a block were one piece of a training tile.
        room = [max(1, length - BLOCK * PATCH) for length in self.shares.shape[-2:]]
        piece = [(unit(patches.blocks, 3 + axis) * room[axis]).long() for axis in (0, 1)]
        asked = torch.cat([asked, ((torch.stack(piece, 1) + patches.within) * COHERENCE).round()], 1)
        cost = torch.full_like(index.lengths, LIKE)
        others = self.scenes[index.tile] != style
        if not elsewhere:
            cost += FOREIGN * others
        elif others.any():
            cost += FAR_AWAY * ~others
        else:
            cost += FAR_AWAY * ((index.tile + seed) % 2)
        found = _nearest(index, asked, patches, cost)
        # A dot lies as far from its patch's place in the training tile as from its patch's point in the map.
        ratio = CELL // DOT
        dots = [
            taken(of, points * ratio, index.tile[found], index.cell[found] * ratio, self.colors.shape[1:3]).flatten()
            for of in numbers
        ]
        # The squares of the two shares sum to 1, so that texture keeps its contrast where two patches are mixed.
        nearer = patches.nearer.flatten()[:, None]
        nearer, farther = (of / (nearer**2 + (1 - nearer) ** 2).sqrt() for of in (nearer, 1 - nearer))
        nearest = numbers[0, ::ratio, ::ratio]
        cells = taken(nearest, points, index.tile[found], index.cell[found], self.shares.shape[-2:])
        counts = _softened(_counts(classes, DOT))[0].flatten(1)
        counts = torch.where(counts.sum(0) > 0, counts, 1)  # where no class is known: their mean
        sketch = torch.zeros(3, counts.shape[1], device=counts.device)
        for number, count in enumerate(counts):  # most dots are of one class
            some = count.nonzero()[:, 0]
            if not len(some):
                continue
            tones = _smooth(index.tones[number, cells.flatten()].float().t().reshape(1, 3, *cells.shape))
            tones = F.interpolate(tones, scale_factor=ratio, mode="bilinear", align_corners=False)
            sketch[:, some] += count[some] * tones.view(3, -1)[:, some]
            for of, by in zip(dots, (nearer, farther), strict=True):
                sketch[:, some] += count[some] * (by[some] * index.rest[number, of[some]]).t()
        return (sketch / counts.sum(0) / 127.5 - 1).clamp(-1, 1).view(3, *numbers.shape[1:])

    def _index(self) -> _Index:
        """Return what is derived from the kept tiles, made once."""
        if self._cached is not None and self._cached.rest.device == self.colors.device:
            return self._cached
        kept = int(self.kept)
        device = self.colors.device
        height, width = self.shares.shape[-2:]
        spread = [
            torch.arange(edge, side - edge, 2, device=device)
            for side, edge in ((side, min(7, (side - 1) // 2)) for side in (height, width))
        ]
        rows, cols = (grid.flatten() for grid in torch.meshgrid(*spread, indexing="ij"))
        described = [
            self._descriptors(self.shares[number : number + 1].float())[0][:, rows, cols].t() for number in range(kept)
        ]
        descriptors = torch.cat(described)
        tile = torch.arange(kept, device=device).repeat_interleave(len(rows))
        cell = torch.stack([rows, cols], 1).repeat(kept, 1)
        random = torch.Generator().manual_seed(0)
        descriptors = torch.cat([descriptors, (cell * COHERENCE).round()], 1)
        if len(tile) > PLACES:
            some = torch.randperm(len(tile), generator=random)[:PLACES].sort().values.to(device)
            descriptors, tile, cell = descriptors[some], tile[some], cell[some]
        colors = self.colors[:kept].unflatten(3, (self.classes, 3)).permute(3, 0, 4, 1, 2).float()
        tones = [_smooth(F.avg_pool2d(of_class, CELL // DOT)).round() for of_class in colors]
        rest = [
            of_class - F.interpolate(of_tones, scale_factor=CELL // DOT, mode="bilinear", align_corners=False)
            for of_class, of_tones in zip(colors, tones, strict=True)
        ]
        factors = [
            1 / 2 + chance * torch.rand(draws, many, generator=random)
            for chance, draws, many in zip((TILE_CHANCE, PLACE_CHANCE), CHANCES, (kept, len(tile)), strict=True)
        ]
        self._cached = _Index(
            descriptors,
            descriptors.square().sum(1),
            tile,
            cell,
            torch.stack(tones).byte().permute(0, 1, 3, 4, 2).flatten(1, 3),
            torch.stack(rest).round().short().permute(0, 1, 3, 4, 2).flatten(1, 3),
            factors[0].to(device)[:, tile],
            factors[1].to(device),
        )
        return self._cached

    def _weights(self) -> Tensor:
        """Return the weight of each class in descriptors: a rare one counts more."""
        if self._class_weights is None or self._class_weights.device != self.shares.device:
            total = self.shares.sum((0, 2, 3)).float()
            weights = (total / total.sum().clamp(min=1) + 1e-3).rsqrt()
            self._class_weights = (weights / weights.min()).clamp(1, 4).sqrt() / 2
        return self._class_weights

    def _descriptors(self, shares: Tensor) -> Tensor:
        """Describe each cell by the class shares of squares around it, as whole numbers (N, D, h, w)."""
        weights = self._weights()
        layers = torch.cat([shares, *(_opened(shares, side) for side in OPENINGS)], dim=1)
        scale = weights.repeat(1 + len(OPENINGS))[None, :, None, None] * (LEVELS / CELL**2)
        return torch.cat([(_box_sum(layers, side) * (scale / side**2)).floor() for side in BOXES], dim=1)


def _nearest(index: _Index, asked: Tensor, patches: Patches, cost: Tensor) -> Tensor:
    """Return the number of a place for each of P patches, chosen at random among those that are about as near."""
    # All numbers are whole, and exact whatever the order of the sums.
    base = index.lengths + (cost * (asked.shape[1] - 2) * (LEVELS / 2) ** 2).ceil()
    found = []
    for some in torch.arange(len(asked), device=asked.device).split(128):
        distance = torch.addmm(base, asked[some], index.descriptors.t(), alpha=-2)
        distance.add_(asked[some].square().sum(1)[:, None])
        factor = index.tile_factors[patches.blocks[some] % CHANCES[0]]
        factor.add_(index.place_factors[patches.keys[some] % CHANCES[1]])
        found.append(distance.mul_(factor).argmin(1))
    return torch.cat(found)


def _part(tile: Batch, number: int) -> Batch:
    """Return a part of a large tile, another part of each."""
    room = (tile.source.shape[-1] - LARGEST) // CELL + 1
    if room <= 1:
        return tile
    row, col = (number * step % room * CELL for step in (7, 11))
    rows, cols = slice(row, row + LARGEST), slice(col, col + LARGEST)
    return Batch(tile.source[..., rows, cols].clone(), tile.target[..., rows, cols].clone(), tile.scene)


def _softened(counts: Tensor) -> Tensor:
    """Return the sum of each square of 3 × 3 dots: edges of classes are softer in images than in maps."""
    return (F.avg_pool2d(F.pad(counts, (1, 1, 1, 1), mode="replicate"), 3, 1) * 9).round()


def _inner(classes: Tensor) -> Tensor:
    """Return how much a pixel's colour says of each class: little at a class's edge, where colours are mixed."""
    return -F.max_pool2d(-classes[None], 3, 1, 1)[0] + EDGE * classes


def _counts(classes: Tensor, side: int) -> Tensor:
    """Return the pixels of each class in each square of `side` pixels, (N, K, H / side, W / side)."""
    return (F.avg_pool2d(classes, side) * side**2).round()


def _extended(classes: Tensor, image: Tensor, means: Tensor) -> Tensor:
    """Return the colours of each class (K, 3, h, w), where it is not, those of its nearest surroundings that have it.

    Sums are pooled until one cell is left, and what is missing is filled in from the coarser level.
    """
    sums = [F.avg_pool2d(classes[:, None] * image[None], DOT)]
    counts = [F.avg_pool2d(classes[:, None], DOT)]
    while max(sums[-1].shape[-2:]) > 1:
        sums.append(F.avg_pool2d(sums[-1], 2, ceil_mode=True))
        counts.append(F.avg_pool2d(counts[-1], 2, ceil_mode=True))
    filled = means[:, :, None, None]
    for total, count in zip(reversed(sums), reversed(counts), strict=True):
        coarser = F.interpolate(filled, size=total.shape[-2:], mode="bilinear", align_corners=False)
        filled = (total + 0.02 * coarser) / (count + 0.02)
    return filled


def _opened(shares: Tensor, side: int) -> Tensor:
    """Return the morphological opening of class shares (N, K, h, w) by a square of `side` cells."""
    for sign in (-1, 1):
        for shape, padding in (((side, 1), (side // 2, 0)), ((1, side), (0, side // 2))):
            shares = sign * F.max_pool2d(sign * shares, shape, 1, padding)
    return shares


def _box_sum(maps: Tensor, side: int) -> Tensor:
    """Return sums over squares around each cell; exact for whole numbers below 2**24."""
    maps = F.pad(maps, (side // 2,) * 4, mode="replicate")
    for axis in (-2, -1):
        sums = F.pad(maps.cumsum(axis), (1, 0) if axis == -1 else (0, 0, 1, 0))
        length = maps.shape[axis] - side + 1
        maps = sums.narrow(axis, side, length) - sums.narrow(axis, 0, length)
    return maps


def _smooth(maps: Tensor) -> Tensor:
    """Return maps (N, C, h, w) blurred by a box, twice."""
    for shape, padding in (((SMOOTH, 1), (0, 0, SMOOTH // 2, SMOOTH // 2)), ((1, SMOOTH), (SMOOTH // 2,) * 2 + (0, 0))):
        for _ in range(2):
            maps = F.avg_pool2d(F.pad(maps, padding, mode="replicate"), shape, 1)
    return maps


def _picture(source: Tensor) -> Tensor:
    """Return some of a map's pixels, as they are."""
    return source[..., CELL // 2 :: CELL, CELL // 2 :: CELL]


def _commonest(pictures: Tensor) -> Tensor:
    """Return the commonest colours of pictures (N, 3, h, w) in [-1, 1]: (PICTURE_COLORS, 3), repeated if fewer."""
    pixels = pictures.permute(0, 2, 3, 1).reshape(-1, 3)
    bins = ((pixels + 1) * 3.999).long()
    key = (bins[:, 0] * 8 + bins[:, 1]) * 8 + bins[:, 2]
    order = torch.bincount(key, minlength=512).argsort(descending=True, stable=True)[:PICTURE_COLORS]
    centers = [pixels[key == bin_].mean(0) for bin_ in order if (key == bin_).any()]
    return torch.stack([centers[number % len(centers)] for number in range(PICTURE_COLORS)])
