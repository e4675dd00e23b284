"""The orientation of a picture, as cameras write it: which of its edges is the top when it is shown upright.

Formats: Exif 2.32 (tag 274 of a TIFF directory), and where a JPEG, PNG or WebP file holds that directory.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sattrans.errors import RasterError

ORIENTATION, SHORT = 274, 3

TURNED = {
    2: "mirrored",
    3: "turned by 180°",
    4: "upside down",
    5: "mirrored and turned",
    6: "turned to the right",
    7: "mirrored and turned",
    8: "turned to the left",
}
"""How viewers show the stored pixels, by the value of the tag. 1 is upright."""

MOST_PARTS = 1000
"""The most parts of a file that are searched; those with an orientation come first."""


def check_upright(path: Path, driver: str) -> None:
    """Raise `RasterError` if viewers show a picture otherwise than its pixels are stored.

    Nothing tells whether a mask, or a world file beside it, was made for the stored or for the shown picture.
    """
    find = FINDERS.get(driver)
    if find is None:
        return
    try:
        with path.open("rb") as file:
            value = find(file)
    except (OSError, struct.error, ValueError):
        return  # a damaged tag says nothing; damaged pixels are found when they are read
    if value in TURNED:
        raise RasterError(
            f"{path} has EXIF orientation {value}: viewers show it {TURNED[value]}, other tools do not, so it is "
            "unclear which of the two its partner fits; store it upright (mogrify -auto-orient), or remove the tag "
            "(exiftool -Orientation=) if the stored pixels are right"
        )


def _of_tiff(file: BinaryIO) -> int:
    """Return the orientation in the first directory of a TIFF or BigTIFF of either byte order."""
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None:
        return 1
    big = struct.unpack_from(order + "H", start, 2) == (43,)
    counter, entry, inline = (order + "Q", order + "HHQ", 8) if big else (order + "H", order + "HHI", 4)
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)
    file.seek(offset)
    (count,) = struct.unpack(counter, file.read(struct.calcsize(counter)))
    length = struct.calcsize(entry) + inline
    directory = file.read(min(count, MOST_PARTS) * length)
    for at in range(0, len(directory) - length + 1, length):
        number, kind, _ = struct.unpack_from(entry, directory, at)
        if number == ORIENTATION:
            value = struct.unpack_from(order + ("H" if kind == SHORT else "I"), directory, at + length - inline)[0]
            return int(value)
    return 1


def _of_jpeg(file: BinaryIO) -> int:
    file.seek(2)
    for _ in range(MOST_PARTS):
        marker, length = struct.unpack(">HH", file.read(4))
        if marker == 0xFFDA or marker >> 8 != 0xFF:  # the pixels begin
            return 1
        if marker == 0xFFE1:
            part = file.read(length - 2)
            if part.startswith(b"Exif\0\0"):
                return _of_tiff(io.BytesIO(part[6:]))
        else:
            file.seek(length - 2, io.SEEK_CUR)
    return 1


def _of_png(file: BinaryIO) -> int:
    file.seek(8)
    return _of_parts(_parts(file, ">I4s", 4), b"eXIf", b"IDAT")


def _of_webp(file: BinaryIO) -> int:
    file.seek(12)
    return _of_parts(_parts(file, "<4sI", 0), b"EXIF", b"")


def _parts(file: BinaryIO, head: str, trailer: int) -> Iterator[tuple[bytes, BinaryIO]]:
    """Yield the name of each part of a file, which is then at the part's content."""
    for _ in range(MOST_PARTS):
        start = file.read(8)
        if len(start) < 8:
            return
        first, second = struct.unpack(head, start)
        name, length = (first, second) if isinstance(first, bytes) else (second, first)
        after = file.tell() + length + trailer + (length % 2 if not trailer else 0)
        yield name, io.BytesIO(file.read(min(length, 1 << 16))) if name in (b"eXIf", b"EXIF") else file
        file.seek(after)


def _of_parts(parts: Iterator[tuple[bytes, BinaryIO]], wanted: bytes, last: bytes) -> int:
    for name, content in parts:
        if name == wanted:
            data = content.read()
            return _of_tiff(io.BytesIO(data.removeprefix(b"Exif\0\0")))
        if name == last:
            break
    return 1


FINDERS = {"GTiff": _of_tiff, "JPEG": _of_jpeg, "PNG": _of_png, "WEBP": _of_webp}
"""What reads the orientation in a file, by GDAL's driver of the format."""
