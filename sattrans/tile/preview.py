"""The preview of a tileset: a contact sheet of examples of each class, and the class shares of its splits."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sattrans.data.contact_sheet import FAINT, INK, font, percent, shortened, swatch, to_picture, write_picture
from sattrans.data.dataset import SPLITS
from sattrans.data.tileset import Tile, Tileset
from sattrans.raster.bands import choose_bands
from sattrans.raster.class_map import class_map
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.palette import RGB, UNKNOWN
from sattrans.raster.rgb_map import rgb_map
from sattrans.utils.console import pluralize

SIDE = 192
"""Longest side of a tile on the sheet, in pixels; smaller tiles are enlarged by a whole factor."""

EXAMPLES = 4
"""The largest number of tiles in a row."""

ALONE = 2 * EXAMPLES - 1
"""The largest number of images without maps in a row; one fewer than fits without the additional gaps."""

EDGE, GAP, SEAM = 20, 14, 2
LABEL = 250
HEAD = 104
TITLE, TEXT, SMALL = 24, 15, 13
LINE = 20
NOTHING = (225, 225, 225)
"""The colour of nodata in a map."""


@dataclass(frozen=True)
class _Example:
    """A tile on the sheet: its image, its map beside it, and a `caption` below."""

    pictures: tuple[Image.Image, ...]
    caption: str


@dataclass(frozen=True)
class _Row:
    """A row of the sheet: title, subtitle, the share of a class in each split (None for an empty split), examples."""

    title: str
    about: str
    color: RGB | None
    balance: tuple[tuple[str, float | None], ...]
    pairs: tuple[_Example, ...]


def write_preview(tileset: Tileset, path: Path) -> None:
    """Write a contact sheet of a tileset as a PNG, atomically; the same tileset gives the same bytes.

    There is one row per class: its colour, its share of the pixels of all tiles and of each split, and up to four
    tiles with the largest shares, from several scenes if possible, each image beside its map. Without classes there is
    one row per split. The last row shows unpaired tiles. Only the tiles on the sheet are read. Raises `RasterError` if
    one of them cannot be read.
    """
    reader = _Reader(tileset)
    rows = _class_rows(tileset, reader) if tileset.palette else _split_rows(tileset, reader)
    unpaired = tileset.split("unpaired")
    if unpaired:
        examples = tuple(reader.pair(tile, tile.id) for tile in _spaced(unpaired, ALONE))
        rows.append(_Row("unpaired", f"{pluralize(len(unpaired), 'image')} without a map", None, (), examples))
    write_picture(path, _draw(tileset, rows))


# Contents of the sheet


def _class_rows(tileset: Tileset, reader: "_Reader") -> list[_Row]:
    assert tileset.palette
    paired = [tile for tile in tileset.tiles if tile.split != "unpaired"]
    whole = _shares(paired)
    of_split = {split: _shares([tile for tile in paired if tile.split == split]) for split in SPLITS}
    rows = []
    for item in tileset.palette.classes:
        chosen = _most_of_class(paired, item.name)
        pairs = tuple(
            reader.pair(tile, f"{percent(tile.shares[item.name])}, {tile.split}, {tile.id}") for tile in chosen
        )
        balance = tuple((split, held.get(item.name, 0.0) if held else None) for split, held in of_split.items())
        about = f"value {item.value}, {percent(whole.get(item.name, 0.0))} of all pixels"
        rows.append(_Row(item.name, about, item.color, balance, pairs))
    return rows


def _split_rows(tileset: Tileset, reader: "_Reader") -> list[_Row]:
    rows = []
    for split in SPLITS:
        tiles = tileset.split(split)
        pairs = tuple(reader.pair(tile, tile.id) for tile in _spaced(tiles, EXAMPLES))
        rows.append(_Row(split, pluralize(len(tiles), "tile"), None, (), pairs))
    return rows


def _shares(tiles: Sequence[Tile]) -> dict[str, float]:
    """Return the share of each class in the pixels with a class; empty if there are no such pixels."""
    pixels: dict[str, float] = {}
    for tile in tiles:
        for name, share in tile.shares.items():
            pixels[name] = pixels.get(name, 0.0) + share * tile.window.height * tile.window.width
    total = sum(pixels.values())
    return {name: count / total for name, count in pixels.items()} if total else {}


def _most_of_class(tiles: Sequence[Tile], name: str) -> list[Tile]:
    """Return the tiles with the largest shares of a class; scenes already chosen get a lower priority."""
    left = [tile for tile in tiles if tile.shares.get(name, 0) > 0]
    taken: Counter[str] = Counter()
    chosen: list[Tile] = []
    while left and len(chosen) < EXAMPLES:
        best = min(left, key=lambda tile: (-tile.shares[name] / (1 + taken[tile.scene]), tile.id))
        chosen.append(best)
        left.remove(best)
        taken[best.scene] += 1
    return chosen


def _spaced(tiles: Sequence[Tile], count: int) -> list[Tile]:
    """Return `count` tiles at equal steps along the index, which is sorted by scene."""
    count = min(count, len(tiles))
    return [tiles[(2 * number + 1) * len(tiles) // (2 * count)] for number in range(count)]


class _Reader:
    """Reads tiles as pictures, each file once."""

    def __init__(self, tileset: Tileset) -> None:
        self.tileset = tileset
        self._read: dict[str, tuple[Image.Image, ...]] = {}

    def pair(self, tile: Tile, caption: str) -> _Example:
        """Return a tile's image, and its map if it has one, scaled for the sheet."""
        if tile.id not in self._read:
            self._read[tile.id] = self._pictures(tile)
        return _Example(self._read[tile.id], caption)

    def _pictures(self, tile: Tile) -> tuple[Image.Image, ...]:
        folder = self.tileset.folder
        with open_raster(tile.image_path(folder)) as raster:
            pixels = _rgb(raster)
        averaged, nearest = Image.Resampling.BOX, Image.Resampling.NEAREST
        if self.tileset.side_by_side and tile.split != "unpaired":  # map and image in one file, left and right
            middle = pixels.shape[2] // 2
            drawn = nearest if self.tileset.palette else averaged
            return _fitted(pixels[:, :, middle:], averaged), _fitted(pixels[:, :, :middle], drawn)
        image = _fitted(pixels, averaged)
        if tile.map is None:
            return (image,)
        with open_raster(tile.map_path(folder)) as raster:
            if self.tileset.palette is None:
                return image, _fitted(rgb_map(raster).read(), averaged)
            indices = class_map(raster, self.tileset.palette).read()
        nothing = indices == UNKNOWN
        colors = self.tileset.palette.to_rgb(indices)
        colors = np.where(nothing, np.array(NOTHING, np.uint8)[:, np.newaxis, np.newaxis], colors)
        return image, _fitted(colors, nearest)


def _rgb(raster: Raster) -> NDArray[np.uint8]:
    """Return red, green, blue (3, H, W); a single band is used for all three."""
    return raster.read(bands=choose_bands(raster).bands).astype(np.uint8, copy=False)


def _fitted(rgb: NDArray[np.uint8], resampling: Image.Resampling) -> Image.Image:
    picture = to_picture(rgb)
    longest = max(picture.size)
    if longest > SIDE:
        return picture.resize(
            cast(tuple[int, int], tuple(max(1, n * SIDE // longest) for n in picture.size)), resampling
        )
    factor = SIDE // longest
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


# Drawing


def _draw(tileset: Tileset, rows: Sequence[_Row]) -> Image.Image:
    pictures = [picture for row in rows for pair in row.pairs for picture in pair.pictures]
    wide = max((picture.width for picture in pictures), default=SIDE)
    high = max((picture.height for picture in pictures), default=SIDE)
    step = max(high + LINE, 6 * LINE) + GAP
    width = 2 * EDGE + LABEL + EXAMPLES * (2 * wide + SEAM + GAP)
    sheet = Image.new("RGB", (width, HEAD + len(rows) * step + EDGE), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((EDGE, EDGE), shortened(tileset.name, TITLE, width - 2 * EDGE), fill=INK, font=font(TITLE))
    draw.text((EDGE, EDGE + 34), shortened(_about(tileset), TEXT, width - 2 * EDGE), fill=FAINT, font=font(TEXT))
    if any(len(pair.pictures) > 1 for row in rows for pair in row.pairs):
        for left in range(EDGE + LABEL, width - 2 * wide, 2 * wide + SEAM + GAP):
            for name, start in (("image", left), ("map", left + wide + SEAM)):
                draw.text((start, HEAD - GAP), name, fill=INK, font=font(SMALL), anchor="lb")
    most = max((share or 0.0 for row in rows for _, share in row.balance), default=0.0)
    for number, row in enumerate(rows):
        top = HEAD + number * step
        draw.line((EDGE, top - GAP // 2, width - EDGE, top - GAP // 2), fill="#d0d0d0")
        _draw_label(draw, row, top, most)
        left = EDGE + LABEL
        if not row.pairs:
            draw.text((left, top + high // 2), "absent", fill=FAINT, font=font(TEXT), anchor="lm")
        for pair in row.pairs:
            _draw_pair(sheet, draw, pair, left, top, wide)
            left += len(pair.pictures) * (wide + SEAM) - SEAM + GAP
    return sheet


def _draw_label(draw: ImageDraw.ImageDraw, row: _Row, top: int, most: float) -> None:
    """Draw the label of a row, with a bar per split; `most` is the largest share on the sheet, drawn at full length."""
    left = EDGE
    if row.color:
        swatch(draw, left, top + 1, 28, 18, row.color)
        left += 38
    available = EDGE + LABEL - GAP - left
    draw.text((left, top + 10), shortened(row.title, TEXT + 2, available), fill=INK, font=font(TEXT + 2), anchor="lm")
    draw.text((EDGE, top + 36), shortened(row.about, SMALL, LABEL - GAP), fill=INK, font=font(SMALL), anchor="lm")
    bar, longest = EDGE + 44, 110
    for number, (name, share) in enumerate(row.balance):
        middle = top + 60 + number * LINE
        draw.text((EDGE, middle), name, fill=FAINT, font=font(SMALL), anchor="lm")
        text = "no tiles" if share is None else percent(share)
        draw.rectangle((bar, middle - 5, bar + longest, middle + 5), fill="#eeeeee")
        if share:
            draw.rectangle((bar, middle - 5, bar + max(1, round(longest * share / most)), middle + 5), fill="#4a6fa5")
        draw.text((bar + longest + 60, middle), text, fill=INK, font=font(SMALL), anchor="rm")


def _draw_pair(sheet: Image.Image, draw: ImageDraw.ImageDraw, pair: _Example, left: int, top: int, wide: int) -> None:
    for number, picture in enumerate(pair.pictures):
        sheet.paste(picture, (left + number * (wide + SEAM), top))
    available = len(pair.pictures) * (wide + SEAM) - SEAM
    below = top + max(picture.height for picture in pair.pictures) + LINE // 2
    draw.text((left, below), shortened(pair.caption, SMALL, available), fill=FAINT, font=font(SMALL), anchor="lm")


def _about(tileset: Tileset) -> str:
    """Return the number, the size and the resolution of the tiles."""
    counts = Counter(tile.split for tile in tileset.tiles)
    parts = [f"{counts[split]} {split}" for split in SPLITS]
    parts += [f"{counts['unpaired']} unpaired"] if counts["unpaired"] else []
    return (
        f"{pluralize(len(tileset.tiles), 'tile')} ({', '.join(parts)}) of {tileset.size} x {tileset.size} px, "
        f"{_resolution(tileset)}, from {pluralize(len(tileset.scenes), 'scene')}"
    )


def _resolution(tileset: Tileset) -> str:
    found = [scene.georeference.ground_resolution for scene in tileset.scenes.values()]
    known = sorted(resolution for resolution in found if resolution)
    if not known or len({unit for _, unit in known}) > 1:
        return "of several units a pixel" if known else "ground resolution not known"
    (least, unit), (largest, _) = known[0], known[-1]
    sides = dict.fromkeys((f"{least:.3g}", f"{largest:.3g}"))
    return f"{' to '.join(sides)} {unit} a pixel"
