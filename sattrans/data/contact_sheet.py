"""Contact sheets: pictures side by side on one PNG, for looking."""

import io
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from sattrans.raster.palette import RGB
from sattrans.utils.atomic import write_bytes

GAP = 6
HEAD = 18
INK = "black"
FAINT = "#707070"


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write red, green, blue (3, H, W) as a PNG, atomically."""
    write_picture(path, to_picture(rgb))


def write_sheet(path: Path, rows: Sequence[Sequence[NDArray[np.uint8]]], titles: Sequence[str], kind: str = "") -> None:
    """Write rows of pictures, each (3, H, W) of one size, under column titles, as a PNG; `kind` as in `png`."""
    height, width = rows[0][0].shape[1:]
    columns = len(rows[0])
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, len(rows) * (height + GAP) + GAP + HEAD), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (width + GAP), 4), title, fill=INK)
    for number, row in enumerate(rows):
        for column, picture in enumerate(row):
            place = (GAP + column * (width + GAP), HEAD + GAP + number * (height + GAP))
            sheet.paste(to_picture(picture), place)
    write_bytes(path, png(sheet, kind))


def to_picture(rgb: NDArray[np.uint8]) -> Image.Image:
    """Return red, green, blue (3, H, W) as a picture to paste."""
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1)))


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as a PNG, atomically."""
    write_bytes(path, png(picture))


def png(picture: Image.Image, kind: str = "") -> bytes:
    """Return a picture as the bytes of a PNG; its text `sattrans` says which `kind` of picture of ours it is."""
    about = PngImagePlugin.PngInfo()
    if kind:
        about.add_text("sattrans", kind)
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True, pnginfo=about)
    return data.getvalue()


def png_kind(path: Path) -> str:
    """Return which kind of picture of ours a file is; nothing where it is none."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return str(picture.info.get("sattrans", ""))
    except OSError:
        return ""


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that Pillow brings: the same letters on every machine."""
    return ImageFont.load_default(size=size)


def legible(text: str) -> str:
    """Return a text in the letters that the font has, ASCII: accents go, another script becomes "?"."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return bare.translate(UNCOMPOSED).encode("ascii", "replace").decode()


UNCOMPOSED = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "æ": "ae", "Æ": "AE", "đ": "d", "Đ": "D"}
)
"""Letters that Unicode does not take apart into a letter and an accent."""


def shortened(text: str, size: int, width: int) -> str:
    """Return a text that is at most `width` pixels wide, in letters that the font has; its end is cut off for that."""
    text = legible(text)
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def swatch(draw: ImageDraw.ImageDraw, left: int, top: int, width: int, height: int, color: RGB) -> None:
    """Draw a field of a class's colour; it has an edge, so that white is seen too."""
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=color, outline=FAINT)


def percent(share: float) -> str:
    """Return a share (0 to 1) in per cent; what is there never reads as nothing."""
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"
