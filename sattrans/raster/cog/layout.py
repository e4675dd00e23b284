"""Assembling a cloud-optimised GeoTIFF from encoded blocks, without decoding or encoding them again.

Directories come first, then the blocks of the smallest overview, of the next one, and so on up to those of the full
resolution, each with its size before it: https://gdal.org/en/stable/drivers/raster/cog.html#file-format
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from sattrans.raster.cog.tiff import (
    HEIGHT,
    LITTLE_ENDIAN,
    LONG,
    STRIP_OFFSETS,
    STRIP_SIZES,
    SUBFILE_TYPE,
    TILE_OFFSETS,
    TILE_SIZES,
    WIDTH,
    Directory,
    Tag,
    TiffVariant,
    read_directories,
    read_directory,
)

STRUCTURAL_METADATA = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
GHOST_AREA = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(STRUCTURAL_METADATA) + STRUCTURAL_METADATA
"""GDAL's name for what it reads between header and directory, which saves requests over a network."""

BLOCK_TRAILER = b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED"

BLOCK_MARGIN = 4
"""Bytes before a block, which hold its size, and after it, which repeat its last ones."""

FULL_RESOLUTION_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 42112)
"""Georeference and metadata, which overviews do not have."""

MAX_CLASSIC_BYTES = 4_000_000_000
"""A larger file needs the offsets of BigTIFF."""


@dataclass(frozen=True)
class Level:
    """The full resolution or an overview: its size in pixels, and the sizes in bytes of its blocks, row by row."""

    height: int
    width: int
    block_sizes: Sequence[int]

    @property
    def length(self) -> int:
        """The bytes that its blocks take in the file."""
        return sum(self.block_sizes) + 2 * BLOCK_MARGIN * len(self.block_sizes)


def blocks_of(geotiff: bytes | memoryview) -> Iterator[memoryview]:
    """Yield the encoded blocks of a tiled GeoTIFF, row by row."""
    tags, view = read_directory(geotiff), memoryview(geotiff)
    for offset, size in zip(tags[TILE_OFFSETS].values, tags[TILE_SIZES].values, strict=True):
        yield view[offset : offset + size]


def block_sizes(geotiff: bytes | memoryview) -> list[int]:
    """Return the size in bytes of each block of a tiled GeoTIFF."""
    return read_directory(geotiff)[TILE_SIZES].values


def needs_bigtiff(levels: Sequence[Level]) -> bool:
    """Return whether the file is too large for 32-bit offsets."""
    return sum(level.length + 16 * len(level.block_sizes) for level in levels) > MAX_CLASSIC_BYTES


def write_header(file: BinaryIO, template: bytes, levels: Sequence[Level], big: bool) -> None:
    """Write all that precedes the blocks, which then follow by `write_block`, those of the last level first.

    Args:
        file: The file, empty.
        template: A GeoTIFF without blocks, whose tags the file gets.
        levels: The full resolution, then overviews, each smaller than the one before.
        big: Whether the file is a BigTIFF.
    """
    variant = TiffVariant(big)
    tags = read_directory(template)
    directories = [_directory(tags, level, variant, is_overview=number > 0) for number, level in enumerate(levels)]
    first = variant.header + len(GHOST_AREA) + len(GHOST_AREA) % 2
    starts = [first]
    for directory in directories:
        starts.append(starts[-1] + variant.length(directory))
    position = starts[-1]
    for number in reversed(range(len(levels))):
        offsets = []
        for size in levels[number].block_sizes:
            offsets.append(position + BLOCK_MARGIN)
            position += size + 2 * BLOCK_MARGIN
        directories[number][TILE_OFFSETS] = Tag.of(variant.offset_type, offsets)
    file.write((variant.start(first) + GHOST_AREA).ljust(first, b"\0"))
    for number, directory in enumerate(directories):
        following = starts[number + 1] if number + 1 < len(directories) else 0
        file.write(variant.directory(directory, starts[number], following))


def write_block(file: BinaryIO, block: bytes | memoryview) -> None:
    """Write an encoded block, preceded by its size and followed by a copy of its last bytes."""
    file.write(struct.pack("<I", len(block)))
    file.write(block)
    file.write(bytes(block[-BLOCK_MARGIN:]).rjust(BLOCK_MARGIN, b"\0"))


def is_complete(path: Path) -> bool:
    """Return whether a GeoTIFF is as long as its directories say, so that nothing is missing at its end.

    Blocks are not read. Bytes that were overwritten, or that a failed copy left as zeros, are only noticed when pixels
    are decoded.
    """
    with path.open("rb") as file:
        try:
            with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                if data[:2] != LITTLE_ENDIAN:
                    return True
                margin = BLOCK_MARGIN if BLOCK_TRAILER in data[: len(GHOST_AREA) + 16] else 0
                return all(_end_of_blocks(tags) + margin <= len(data) for tags in read_directories(data))
        except (ValueError, KeyError, struct.error):  # empty, or cut within a directory
            return False


def _end_of_blocks(tags: Directory) -> int:
    offsets, sizes = (STRIP_OFFSETS, STRIP_SIZES) if STRIP_OFFSETS in tags else (TILE_OFFSETS, TILE_SIZES)
    return max(map(sum, zip(tags[offsets].values, tags[sizes].values, strict=True)))


def _directory(tags: Directory, level: Level, variant: TiffVariant, is_overview: bool) -> dict[int, Tag]:
    directory = {number: tag for number, tag in tags.items() if not (is_overview and number in FULL_RESOLUTION_TAGS)}
    directory[WIDTH], directory[HEIGHT] = Tag.of(LONG, [level.width]), Tag.of(LONG, [level.height])
    directory[TILE_SIZES] = Tag.of(LONG, level.block_sizes)
    # Offsets depend on the lengths of all directories, so that they are only known later.
    directory[TILE_OFFSETS] = Tag.of(variant.offset_type, [0] * len(level.block_sizes))
    if is_overview:
        directory[SUBFILE_TYPE] = Tag.of(LONG, [1])
    return directory
