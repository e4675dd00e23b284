"""A cloud-optimised GeoTIFF put together from encoded blocks, none of which is decoded or encoded again.

Directories first, then the blocks of the smallest overview, of the next, and of the whole at last, as
https://gdal.org/en/stable/drivers/raster/cog.html#file-format describes it, each block with its size before it.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from sattrans.raster.cog.tiff import (
    HEIGHT,
    LITTLE,
    LONG,
    STRIP_OFFSETS,
    STRIP_SIZES,
    SUBFILE_TYPE,
    TILE_OFFSETS,
    TILE_SIZES,
    WIDTH,
    Directory,
    Form,
    Tag,
    read_directories,
    read_directory,
)

PROMISES = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
GHOST = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(PROMISES) + PROMISES
"""What GDAL reads between header and directory: readers over a network need fewer requests."""

PLACED = (33550, 33922, 34264, 34735, 34736, 34737, 42112)
"""Tags that say where the whole lies, and its metadata: overviews have none."""

TRAILER = b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED"

AROUND = 4
"""Bytes before a block, its size, and after it, its last ones once more."""

MOST_CLASSIC = 4_000_000_000
"""A larger file needs BigTIFF's offsets."""


@dataclass(frozen=True)
class Level:
    """The whole, or an overview: its size in pixels, and the sizes in bytes of its blocks, row by row."""

    height: int
    width: int
    sizes: Sequence[int]

    @property
    def length(self) -> int:
        """How many bytes its blocks take in the file."""
        return sum(self.sizes) + 2 * AROUND * len(self.sizes)


def blocks_of(piece: bytes | memoryview) -> Iterator[memoryview]:
    """Yield the encoded blocks of a tiled GeoTIFF, row by row."""
    tags, view = read_directory(piece), memoryview(piece)
    for offset, size in zip(tags[TILE_OFFSETS].values, tags[TILE_SIZES].values, strict=True):
        yield view[offset : offset + size]


def block_sizes(piece: bytes | memoryview) -> list[int]:
    """Return how many bytes each block of a tiled GeoTIFF takes."""
    return read_directory(piece)[TILE_SIZES].values


def needs_big(levels: Sequence[Level]) -> bool:
    """Say whether the file is too large for 32-bit offsets."""
    return sum(level.length + 16 * len(level.sizes) for level in levels) > MOST_CLASSIC


def write_head(file: BinaryIO, template: bytes, levels: Sequence[Level], big: bool) -> None:
    """Write all that stands before the blocks; `levels` begin with the whole, each is smaller than the one before.

    `template` is a GeoTIFF, without blocks, whose tags the whole takes over. The blocks follow by `write_block`, those
    of the last level first.
    """
    form = Form(big)
    tags = read_directory(template)
    directories = [_directory(tags, level, form, overview=number > 0) for number, level in enumerate(levels)]
    first = form.header + len(GHOST) + len(GHOST) % 2
    places = [first]
    for directory in directories:
        places.append(places[-1] + form.length(directory))
    at = places[-1]
    for number in reversed(range(len(levels))):
        offsets = []
        for size in levels[number].sizes:
            offsets.append(at + AROUND)
            at += size + 2 * AROUND
        directories[number][TILE_OFFSETS] = Tag.of(form.offsets, offsets)
    file.write((form.start(first) + GHOST).ljust(first, b"\0"))
    for number, directory in enumerate(directories):
        following = places[number + 1] if number + 1 < len(directories) else 0
        file.write(form.directory(directory, places[number], following))


def write_block(file: BinaryIO, block: bytes | memoryview) -> None:
    """Write one encoded block, its size before it and its last bytes behind it once more."""
    file.write(struct.pack("<I", len(block)))
    file.write(block)
    file.write(bytes(block[-AROUND:]).rjust(AROUND, b"\0"))


def is_whole(path: Path) -> bool:
    """Say whether a GeoTIFF is as long as its directories say: nothing was cut from its end.

    No block is read. What was overwritten within the file, or came as zeros of the right length from a copy that
    failed, is not noticed here, but where pixels are decoded.
    """
    with path.open("rb") as file:
        try:
            with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                around = AROUND if TRAILER in data[: len(GHOST) + 16] else 0
                return data[:2] != LITTLE or all(_end_of(tags) + around <= len(data) for tags in read_directories(data))
        except (ValueError, KeyError, struct.error):  # empty, or cut within a directory
            return False


def _end_of(tags: Directory) -> int:
    """Return where the last block of a directory ends."""
    offsets, sizes = (STRIP_OFFSETS, STRIP_SIZES) if STRIP_OFFSETS in tags else (TILE_OFFSETS, TILE_SIZES)
    return max(map(sum, zip(tags[offsets].values, tags[sizes].values, strict=True)))


def _directory(tags: Directory, level: Level, form: Form, overview: bool) -> dict[int, Tag]:
    own = {number: tag for number, tag in tags.items() if not (overview and number in PLACED)}
    own[WIDTH], own[HEIGHT] = Tag.of(LONG, [level.width]), Tag.of(LONG, [level.height])
    own[TILE_SIZES] = Tag.of(LONG, level.sizes)
    own[TILE_OFFSETS] = Tag.of(form.offsets, [0] * len(level.sizes))  # until it is known how long all of it is
    if overview:
        own[SUBFILE_TYPE] = Tag.of(LONG, [1])
    return own
