"""The skeleton of a TIFF, its directory of tags: read from a file of GDAL's, and written anew.

Formats: TIFF 6.0, and BigTIFF as https://www.awaresystems.be/imaging/tiff/bigtiff.html has it; little-endian.
"""

import struct
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap

import numpy as np

LITTLE = b"II"
"""How a little-endian TIFF begins: all that sattrans and GDAL make here."""
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value of each type."""
LONG, LONG8 = 4, 16
NUMBERS = {1: "u1", 3: "<u2", LONG: "<u4", LONG8: "<u8"}

SUBFILE_TYPE, WIDTH, HEIGHT, TILE_OFFSETS, TILE_SIZES = 254, 256, 257, 324, 325
STRIP_OFFSETS, STRIP_SIZES = 273, 279
GEO_KEYS = (34735, 34736, 34737)
"""Tags that tell the CRS."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One entry of a directory: its type, how many values, and their bytes."""

    kind: int
    count: int
    data: bytes

    @classmethod
    def of(cls, kind: int, values: Sequence[int]) -> "Tag":
        """Return a tag of whole numbers."""
        return cls(kind, len(values), np.asarray(values, NUMBERS[kind]).tobytes())

    @property
    def values(self) -> list[int]:
        """Its whole numbers."""
        numbers: list[int] = np.frombuffer(self.data, NUMBERS[self.kind]).tolist()
        return numbers


Directory = Mapping[int, Tag]


@dataclass(frozen=True, slots=True)
class Form:
    """What tells BigTIFF from TIFF: how wide offsets and counts are."""

    big: bool

    @property
    def header(self) -> int:
        """Bytes before the first directory may begin."""
        return 16 if self.big else 8

    @property
    def offsets(self) -> int:
        """The type of a tag that holds offsets."""
        return LONG8 if self.big else LONG

    def start(self, first: int) -> bytes:
        """Return the header of a file whose first directory lies at `first`."""
        return struct.pack("<2sHHHQ", b"II", 43, 8, 0, first) if self.big else struct.pack("<2sHI", b"II", 42, first)

    def _parts(self) -> tuple[str, str, int]:
        """Return how the count of entries is packed, how an entry is, and how many bytes of values fit into it."""
        return ("<Q", "<HHQ", 8) if self.big else ("<H", "<HHI", 4)

    def length(self, tags: Directory) -> int:
        """Return how many bytes a directory takes, its values included."""
        count, entry, room = self._parts()
        long = sum(_even(len(tag.data)) for tag in tags.values() if len(tag.data) > room)
        fixed = struct.calcsize(count) + len(tags) * (struct.calcsize(entry) + room) + room
        return _even(fixed) + long

    def directory(self, tags: Directory, at: int, following: int) -> bytes:
        """Return a directory that lies at `at`, with its long values behind it; `following` is where the next lies."""
        count, entry, room = self._parts()
        head = [struct.pack(count, len(tags))]
        fixed = struct.calcsize(count) + len(tags) * (struct.calcsize(entry) + room) + room
        place, long = at + _even(fixed), []
        for number, tag in sorted(tags.items()):
            value = tag.data
            if len(value) > room:
                long.append(value.ljust(_even(len(value)), b"\0"))
                value = place.to_bytes(room, "little")
                place += len(long[-1])
            head.append(struct.pack(entry, number, tag.kind, tag.count) + value.ljust(room, b"\0"))
        head.append(following.to_bytes(room, "little"))
        return b"".join(head).ljust(_even(fixed), b"\0") + b"".join(long)


def read_directory(data: bytes | memoryview | mmap, wanted: Container[int] | None = None) -> dict[int, Tag]:
    """Return the first directory of a little-endian TIFF or BigTIFF by the numbers of its tags, or those `wanted`."""
    return next(read_directories(data, wanted))


def read_directories(data: bytes | memoryview | mmap, wanted: Container[int] | None = None) -> Iterator[dict[int, Tag]]:
    """Yield the directories of a little-endian TIFF or BigTIFF, each by the numbers of its tags.

    Raises `ValueError` or `struct.error` where the data end before a directory does.
    """
    form = Form(big=struct.unpack_from("<2sH", data) == (b"II", 43))
    count, entry, room = form._parts()
    at = int.from_bytes(data[8:16] if form.big else data[4:8], "little")
    seen = {0}
    while at not in seen:
        seen.add(at)
        (entries,) = struct.unpack_from(count, data, at)
        at += struct.calcsize(count)
        tags = {}
        for _ in range(entries):
            number, kind, values = struct.unpack_from(entry, data, at)
            at += struct.calcsize(entry)
            if wanted is None or number in wanted:
                length = values * SIZES[kind]
                start = at if length <= room else int.from_bytes(data[at : at + room], "little")
                if start + length > len(data):
                    raise ValueError(f"tag {number} lies beyond the end")
                tags[number] = Tag(kind, values, bytes(data[start : start + length]))
            at += room
        yield tags
        at = int.from_bytes(data[at : at + room], "little")


def _even(length: int) -> int:
    return length + length % 2
