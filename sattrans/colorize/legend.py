"""The legend of maps: a PNG with the colour, value, name and share of each class."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from sattrans.data.contact_sheet import FAINT, INK, font, legible, percent, png, swatch
from sattrans.raster.palette import Palette
from sattrans.utils.atomic import write_bytes
from sattrans.utils.output import not_made_by_sattrans

KIND = "legend"
TEXT = 16
ROW = 28
EDGE = 14
SWATCH = (36, 18)


def check_legend(path: Path) -> None:
    """Raise `OutputExists` if `path` exists and is not a legend made by sattrans."""
    if not path.exists():
        return
    try:
        with Image.open(path) as there:
            ours = there.info.get("sattrans") == KIND
    except OSError:  # a folder, or no picture at all
        ours = False
    if not ours:
        raise not_made_by_sattrans(path)


def write_legend(path: Path, palette: Palette, pixels: Sequence[int]) -> bool:
    """Write the legend of maps as a PNG.

    Args:
        path: The PNG to write.
        palette: The classes.
        pixels: Number of pixels of each class, in the palette's order, and last the number of pixels without data.

    Returns:
        Whether the file was written; False if it exists with the same content.
    """
    data = png(_draw(palette, pixels), KIND)
    if path.is_file() and path.read_bytes() == data:
        return False
    write_bytes(path, data)
    return True


def _draw(palette: Palette, pixels: Sequence[int]) -> Image.Image:
    total = max(1, sum(pixels))
    rows = [
        (item.color, str(item.value), legible(item.name), percent(count / total), INK if count else FAINT)
        for item, count in zip(palette.classes, pixels, strict=False)
    ]
    if pixels[-1]:
        rows.append(((255, 255, 255), "", "(no data)", percent(pixels[-1] / total), FAINT))
    heads = ("value", "class", "share")
    widths = [
        round(max(font(TEXT).getlength(text) for text in column))
        for column in zip(heads, *(row[1:4] for row in rows), strict=True)
    ]
    # Values and shares are aligned to the right, names to the left.
    value = EDGE + SWATCH[0] + 18 + widths[0]
    name = value + 18
    share = name + widths[1] + 28 + widths[2]
    picture = Image.new("RGB", (share + EDGE, 2 * EDGE + ROW * (len(rows) + 1)), "white")
    draw = ImageDraw.Draw(picture)
    lines = [(None, *heads, FAINT), *rows]
    for number, (color, *texts, ink) in enumerate(lines):
        top = EDGE + number * ROW
        middle = top + ROW // 2
        if color is not None:
            swatch(draw, EDGE, middle - SWATCH[1] // 2, *SWATCH, color)
        for text, x, anchor in zip(texts, (value, name, share), ("rm", "lm", "rm"), strict=True):
            draw.text((x, middle), text, fill=ink, font=font(TEXT), anchor=anchor)
    draw.line((EDGE, EDGE + ROW, share, EDGE + ROW), fill="#d0d0d0")
    return picture
