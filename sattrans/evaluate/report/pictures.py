"""Pictures: pixels as data URIs, so that a page needs no other file."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sattrans.data.contact_sheet import png, to_picture
from sattrans.evaluate.report.page import Column, Example, Picture
from sattrans.raster.palette import pack_rgb

LOSSLESS = 256
"""Photos of at most this many pixels a side are PNG; above that JPEG, where its loss is not to be seen."""

QUALITY = 95


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture to show: its data URI, its size in pixels."""

    uri: str
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A column's picture of a tile, to lay over the real one."""

    column: str
    picture: Shown
    score: str


@dataclass(frozen=True, slots=True)
class Row:
    """An example: map, real image, and what was generated; `scores` are those that belong to no column."""

    title: str
    tile: str
    map: Shown | None
    real: Shown
    pairs: Sequence[Pair]
    scores: Sequence[tuple[str, str]]


def row(example: Example, columns: Sequence[Column]) -> Row:
    """Return an example as it is shown, in the order of the page's columns."""
    names = dict.fromkeys(column.name for column in columns)
    pairs = [
        Pair(name, photo(example.generated[name]), example.scores.get(name, ""))
        for name in names
        if name in example.generated
    ]
    scores = [(name, text) for name, text in example.scores.items() if name not in names]
    drawn = None if example.map is None else drawing(example.map)
    return Row(example.title, example.tile, drawn, photo(example.real), pairs, scores)


def photo(picture: Picture) -> Shown:
    """Return a photo: PNG up to 256 px a side, above that JPEG without subsampled colours."""
    if max(picture.shape[1:]) <= LOSSLESS:
        return _shown(picture, png(to_picture(picture)), "png")
    data = io.BytesIO()
    to_picture(picture).save(data, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return _shown(picture, data.getvalue(), "jpeg")


def drawing(picture: Picture) -> Shown:
    """Return a map: a PNG, with a colour table where it has at most 256 colours; no pixel changes."""
    colors, indices = np.unique(pack_rgb(picture), return_inverse=True)
    if len(colors) > 256:
        return _shown(picture, png(to_picture(picture)), "png")
    paletted = Image.fromarray(indices.reshape(picture.shape[1:]).astype(np.uint8))
    paletted.putpalette(np.stack([colors >> 16, colors >> 8 & 255, colors & 255], 1).astype(np.uint8).tobytes())
    return _shown(picture, png(paletted), "png")


def _shown(picture: Picture, data: bytes, kind: str) -> Shown:
    height, width = picture.shape[1:]
    return Shown(f"data:image/{kind};base64,{base64.b64encode(data).decode()}", height, width)
