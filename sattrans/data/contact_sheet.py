"""Contact sheets: pictures side by side in one PNG."""

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
            corner = (GAP + column * (width + GAP), HEAD + GAP + number * (height + GAP))
            sheet.paste(to_picture(picture), corner)
    write_bytes(path, png(sheet, kind))


def to_picture(rgb: NDArray[np.uint8]) -> Image.Image:
    """Return red, green, blue (3, H, W) as a picture to paste."""
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1)))


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as a PNG, atomically."""
    write_bytes(path, png(picture))


def png(picture: Image.Image, kind: str = "") -> bytes:
    """Return a picture as the bytes of a PNG; `kind`, such as that of a preview, is stored in its text `sattrans`."""
    about = PngImagePlugin.PngInfo()
    if kind:
        about.add_text("sattrans", kind)
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True, pnginfo=about)
    return data.getvalue()


def png_kind(path: Path) -> str:
    """Return the `kind` that `png` stored in a file; empty for any other file."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return str(picture.info.get("sattrans", ""))
    except OSError:
        return ""


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with Pillow, so that sheets look the same on every machine."""
    return ImageFont.load_default(size=size)


def legible(text: str) -> str:
    """Return a text in ASCII, which is what the font contains: accents are removed, other scripts become "?"."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return bare.translate(UNCOMPOSED).encode("ascii", "replace").decode()


UNCOMPOSED = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "æ": "ae", "Æ": "AE", "đ": "d", "Đ": "D"}
)
"""Letters that Unicode does not decompose into a letter and an accent."""


def shortened(text: str, size: int, width: int) -> str:
    """Return a text in ASCII that is at most `width` pixels wide; a longer text is cut off and ends with "..."."""
    text = legible(text)
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def swatch(draw: ImageDraw.ImageDraw, left: int, top: int, width: int, height: int, color: RGB) -> None:
    """Draw a rectangle in a class's colour; its outline makes white visible, too."""
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=color, outline=FAINT)


def percent(share: float) -> str:
    """Return a share (0 to 1) in per cent; a share above 0 is never shown as 0."""
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"
