"""Contact sheets: pictures side by side on one PNG, for looking."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sattrans.files import write_bytes

GAP = 6
HEAD = 18


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write red, green, blue (3, H, W) as a PNG, atomically."""
    _write(path, Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1))))


def write_sheet(path: Path, rows: Sequence[Sequence[NDArray[np.uint8]]], titles: Sequence[str]) -> None:
    """Write rows of pictures, each (3, H, W) of one size, under column titles, as a PNG."""
    height, width = rows[0][0].shape[1:]
    columns = len(rows[0])
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, len(rows) * (height + GAP) + GAP + HEAD), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (width + GAP), 4), title, fill="black")
    for number, row in enumerate(rows):
        for column, picture in enumerate(row):
            place = (GAP + column * (width + GAP), HEAD + GAP + number * (height + GAP))
            sheet.paste(Image.fromarray(np.ascontiguousarray(np.moveaxis(picture, 0, -1))), place)
    _write(path, sheet)


def _write(path: Path, picture: Image.Image) -> None:
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    write_bytes(path, data.getvalue())
