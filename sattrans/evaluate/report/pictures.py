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


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """A picture as a data URI, with its size in pixels."""

    uri: str
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class GeneratedPicture:
    """A column's picture of a tile, to swipe over the real image."""

    column: str
    picture: EmbeddedPicture
    score: str


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """An example: map, real image, and generated images; `scores` are those that belong to no column."""

    title: str
    tile: str
    map: EmbeddedPicture | None
    real: EmbeddedPicture
    generated: Sequence[GeneratedPicture]
    scores: Sequence[tuple[str, str]]


def example_row(example: Example, columns: Sequence[PageColumn]) -> ExampleRow:
    """Return an example with embedded pictures, in the order of the page's columns."""
    names = dict.fromkeys(column.name for column in columns)
    generated = [
        GeneratedPicture(name, embed_image(example.generated[name]), example.scores.get(name, ""))
        for name in names
        if name in example.generated
    ]
    scores = [(name, text) for name, text in example.scores.items() if name not in names]
    map_ = None if example.map is None else embed_map(example.map)
    return ExampleRow(example.title, example.tile, map_, embed_image(example.real), generated, scores)


def embed_image(picture: Picture) -> EmbeddedPicture:
    """Embed a satellite image: PNG up to 256 px a side, above that JPEG without chroma subsampling."""
    if max(picture.shape[1:]) <= LOSSLESS:
        return _embed(picture, png(to_picture(picture)), "png")
    data = io.BytesIO()
    to_picture(picture).save(data, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return _embed(picture, data.getvalue(), "jpeg")


def embed_map(picture: Picture) -> EmbeddedPicture:
    """Embed a map losslessly: a PNG, with a colour table if it has at most 256 colours."""
    colors, indices = np.unique(pack_rgb(picture), return_inverse=True)
    if len(colors) > 256:
        return _embed(picture, png(to_picture(picture)), "png")
    paletted = Image.fromarray(indices.reshape(picture.shape[1:]).astype(np.uint8))
    paletted.putpalette(np.stack([colors >> 16, colors >> 8 & 255, colors & 255], 1).astype(np.uint8).tobytes())
    return _embed(picture, png(paletted), "png")


def _embed(picture: Picture, data: bytes, kind: str) -> EmbeddedPicture:
    height, width = picture.shape[1:]
    return EmbeddedPicture(f"data:image/{kind};base64,{base64.b64encode(data).decode()}", height, width)
