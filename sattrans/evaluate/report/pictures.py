"""Pictures as data URIs, so that a page needs no other file."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sattrans.data.contact_sheet import png, to_picture
from sattrans.evaluate.report.page import Example, PageColumn, Picture
from sattrans.raster.palette import pack_rgb

LOSSLESS = 256
"""Images of at most this many pixels a side are PNG; larger ones are JPEG, whose loss is not visible there."""

QUALITY = 95

MAX_SIDE = 1024
"""Larger pictures are reduced by a whole number, so that the page stays small."""


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """A picture as a data URI, with its size in pixels."""

    uri: str
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class GeneratedPicture:
    """A column's picture of a tile, to swipe over the real image; or that of a floor, beside it."""

    column: str
    picture: EmbeddedPicture
    score: str


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """An example: map, real image, and generated images.

    `scores` are those that belong to no column; `reduction` is how many times smaller the pictures are than the tile.
    """

    title: str
    tile: str
    map: EmbeddedPicture | None
    real: EmbeddedPicture
    generated: Sequence[GeneratedPicture]
    scores: Sequence[tuple[str, str]]
    reduction: int
    floors: Sequence[GeneratedPicture] = ()


def example_row(example: Example, columns: Sequence[PageColumn], lossless: bool = True) -> ExampleRow:
    """Return an example with embedded pictures, in the order of the page's columns; `lossless` as in `embed_image`."""
    names = dict.fromkeys(column.name for column in columns)
    generated, floors = (
        [
            GeneratedPicture(name, embed_image(pictures[name], lossless), example.scores.get(name, ""))
            for name in shown
            if name in pictures
        ]
        for pictures, shown in ((example.generated, names), (example.floors, example.floors))
    )
    scores = [(name, text) for name, text in example.scores.items() if name not in {*names, *example.floors}]
    map_ = None if example.map is None else embed_map(example.map)
    real = embed_image(example.real, lossless)
    return ExampleRow(example.title, example.tile, map_, real, generated, scores, _reduction(example.real), floors)


def embed_image(picture: Picture, lossless: bool = True) -> EmbeddedPicture:
    """Embed a satellite image: PNG up to 256 px a side if `lossless`, else JPEG without chroma subsampling."""
    image = to_picture(picture)
    if (factor := _reduction(picture)) > 1:
        image = image.reduce(factor)
    if lossless and max(image.size) <= LOSSLESS:
        return _embed(image, png(image), "png")
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return _embed(image, data.getvalue(), "jpeg")


def embed_map(picture: Picture) -> EmbeddedPicture:
    """Embed a map losslessly: a PNG, with a colour table if it has at most 256 colours."""
    factor = _reduction(picture)
    picture = picture[:, factor // 2 :: factor, factor // 2 :: factor]
    colors, indices = np.unique(pack_rgb(picture), return_inverse=True)
    if len(colors) > 256:
        return _embed(to_picture(picture), png(to_picture(picture)), "png")
    paletted = Image.fromarray(indices.reshape(picture.shape[1:]).astype(np.uint8))
    paletted.putpalette(np.stack([colors >> 16, colors >> 8 & 255, colors & 255], 1).astype(np.uint8).tobytes())
    return _embed(paletted, png(paletted), "png")


def _reduction(picture: Picture) -> int:
    return int(np.ceil(max(picture.shape[1:]) / MAX_SIDE))


def _embed(image: Image.Image, data: bytes, kind: str) -> EmbeddedPicture:
    return EmbeddedPicture(f"data:image/{kind};base64,{base64.b64encode(data).decode()}", image.height, image.width)
