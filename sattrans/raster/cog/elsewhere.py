"""Chunks of a large GeoTIFF that other processes write: each opens the folder of chunks, and reports block sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sattrans.raster.cog.options import CreationOptions
from sattrans.raster.cog.overviews import Chunk
from sattrans.raster.cog.writer import Layout, RowWriter
from sattrans.utils.executor import Pool

BlockSizes = Mapping[Chunk, Sequence[int]]
"""The chunks that were written, and the size in bytes of each of their encoded blocks."""


@dataclass(frozen=True, slots=True)
class WriterElsewhere:
    """What another process needs to write chunks of a `RowWriter`'s raster. Picklable; `folder` is absolute."""

    folder: Path
    layout: Layout
    creation: CreationOptions

    @classmethod
    def of(cls, writer: RowWriter) -> "WriterElsewhere":
        """Return it for a writer of this process, which assembles the chunks in the end."""
        return cls(writer.folder.absolute(), writer.layout, writer.creation)

    def open(self) -> RowWriter:
        """Return a writer of the same chunks, which cannot assemble them."""
        return RowWriter(self.folder, self.layout, {}, self.creation)


@dataclass(frozen=True, slots=True)
class OverviewUnit:
    """A chunk of an overview whose children are written. Picklable."""

    writer: WriterElsewhere
    chunk: Chunk


def make_overviews(writer: RowWriter, pool: Pool) -> None:
    """Make all overviews that are missing, those of one level after those of the level before."""
    elsewhere = WriterElsewhere.of(writer)
    for chunks in writer.missing_overviews():
        for _, written in pool.as_done(_make, [OverviewUnit(elsewhere, chunk) for chunk in chunks]):
            writer.adopt(written)


def _make(unit: OverviewUnit) -> BlockSizes:
    writer = unit.writer.open()
    writer.make_overview(unit.chunk)
    return writer.written
