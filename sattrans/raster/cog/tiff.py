"""Reading and writing the directories of a TIFF, which are tables of tags.

Formats: TIFF 6.0, and BigTIFF (https://www.awaresystems.be/imaging/tiff/bigtiff.html); little-endian only.
"""

import struct
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap

import numpy as np

LITTLE_ENDIAN = b"II"
"""First bytes of a little-endian TIFF, the only ones that sattrans and GDAL write here."""
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of each type."""
LONG, LONG8 = 4, 16
DTYPES = {1: "u1", 3: "<u2", LONG: "<u4", LONG8: "<u8"}

SUBFILE_TYPE, WIDTH, HEIGHT, TILE_OFFSETS, TILE_SIZES = 254, 256, 257, 324, 325
STRIP_OFFSETS, STRIP_SIZES = 273, 279
GEO_KEYS = (34735, 34736, 34737)
"""Tags that encode the CRS."""


@dataclass(frozen=True, slots=True)
class Tag:
    """An entry of a directory: the type of its values, their number, and their bytes."""

    kind: int
    count: int
    data: bytes

    @classmethod
    def of(cls, kind: int, values: Sequence[int]) -> "Tag":
        """Return a tag of integers."""
        return cls(kind, len(values), np.asarray(values, DTYPES[kind]).tobytes())

    @property
    def values(self) -> list[int]:
        """Its integers."""
        numbers: list[int] = np.frombuffer(self.data, DTYPES[self.kind]).tolist()
        return numbers


Directory = Mapping[int, Tag]


@dataclass(frozen=True, slots=True)
class TiffVariant:
    """TIFF or BigTIFF, which differ in the width of offsets and counts."""

    big: bool

    @property
    def header(self) -> int:
        """The bytes of the header."""
        return 16 if self.big else 8

    @property
    def offset_type(self) -> int:
        """The type of a tag that holds offsets."""
        return LONG8 if self.big else LONG

    def start(self, first: int) -> bytes:
        """Return the header of a file whose first directory is at `first`."""
        if self.big:
            return struct.pack("<2sHHHQ", LITTLE_ENDIAN, 43, 8, 0, first)
        return struct.pack("<2sHI", LITTLE_ENDIAN, 42, first)

    def _formats(self) -> tuple[str, str, int]:
        """Return the struct formats of the number of entries and of an entry, and the bytes of an inline value."""
        return ("<Q", "<HHQ", 8) if self.big else ("<H", "<HHI", 4)

    def length(self, tags: Directory) -> int:
        """Return the bytes that a directory takes, including its values."""
        count, entry, inline = self._formats()
        outside = sum(_even(len(tag.data)) for tag in tags.values() if len(tag.data) > inline)
        fixed = struct.calcsize(count) + len(tags) * (struct.calcsize(entry) + inline) + inline
        return _even(fixed) + outside

    def directory(self, tags: Directory, start: int, following: int) -> bytes:
        """Return a directory that starts at `start`, with long values after it; the next one is at `following`."""
        count, entry, inline = self._formats()
        head = [struct.pack(count, len(tags))]
        fixed = struct.calcsize(count) + len(tags) * (struct.calcsize(entry) + inline) + inline
        position, outside = start + _even(fixed), []
        for number, tag in sorted(tags.items()):
            value = tag.data
            if len(value) > inline:
                outside.append(value.ljust(_even(len(value)), b"\0"))
                value = position.to_bytes(inline, "little")
                position += len(outside[-1])
            head.append(struct.pack(entry, number, tag.kind, tag.count) + value.ljust(inline, b"\0"))
        head.append(following.to_bytes(inline, "little"))
        return b"".join(head).ljust(_even(fixed), b"\0") + b"".join(outside)


def read_directory(data: bytes | memoryview | mmap, wanted: Container[int] | None = None) -> dict[int, Tag]:
    """Return the first directory of a little-endian TIFF or BigTIFF, tags by number; only those `wanted`, if given."""
    return next(read_directories(data, wanted))


def read_directories(data: bytes | memoryview | mmap, wanted: Container[int] | None = None) -> Iterator[dict[int, Tag]]:
    """Yield the directories of a little-endian TIFF or BigTIFF, tags by number.

    Raises `ValueError` or `struct.error` if the data end within a directory.
    """
    variant = TiffVariant(big=struct.unpack_from("<2sH", data) == (LITTLE_ENDIAN, 43))
    count, entry, inline = variant._formats()
    position = int.from_bytes(data[8:16] if variant.big else data[4:8], "little")
    seen = {0}
    while position not in seen:
        seen.add(position)
        (entries,) = struct.unpack_from(count, data, position)
        position += struct.calcsize(count)
        tags = {}
        for _ in range(entries):
            number, kind, values = struct.unpack_from(entry, data, position)
            position += struct.calcsize(entry)
            if wanted is None or number in wanted:
                length = values * SIZES[kind]
                first = position if length <= inline else int.from_bytes(data[position : position + inline], "little")
                if first + length > len(data):
                    raise ValueError(f"tag {number} is beyond the end")
                tags[number] = Tag(kind, values, bytes(data[first : first + length]))
            position += inline
        yield tags
        position = int.from_bytes(data[position : position + inline], "little")


def _even(length: int) -> int:
    return length + length % 2
