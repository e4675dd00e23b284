"""Join all chunks of a mosaic that are missing: by threads of this process, or in units that workers elsewhere do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce

from sattrans.mosaic.dataset_pool import DatasetPool
from sattrans.mosaic.layout import ChunkJoiner, MosaicPlan
from sattrans.mosaic.options import Method
from sattrans.raster.cog.elsewhere import BlockSizes, WriterElsewhere, make_overviews
from sattrans.raster.cog.writer import RowWriter
from sattrans.raster.window import Window
from sattrans.utils.console import progress_bar
from sattrans.utils.executor import Pool


@dataclass(frozen=True, slots=True)
class JoinUnit:
    """Chunks that lie beside each other, and all that a process elsewhere needs to join them. Picklable.

    `plan` has the tiles that overlap the chunks; the other fields are as in `ChunkJoiner`.
    """

    writer: WriterElsewhere
    chunks: Sequence[Window]
    plan: MosaicPlan
    method: Method
    all_valid: bool
    is_map: bool


def join_missing(joiner: ChunkJoiner, writer: RowWriter, pool: Pool) -> None:
    """Join the tiles on each chunk that is not written yet, with a progress bar."""
    missing, total = writer.missing(), len(writer.layout.chunks)
    with progress_bar(total, "mosaic", "chunk", total - len(missing)) as progress:
        if not pool.elsewhere:
            for _ in pool.as_done(partial(joiner.write, writer), missing):
                progress.update()
            return
        for _, written in pool.as_done(_join, _units(joiner, writer)):
            writer.adopt(written)
            progress.update(sum(chunk.level == 0 for chunk in written))
    make_overviews(writer, pool)


def _units(joiner: ChunkJoiner, writer: RowWriter) -> Iterator[JoinUnit]:
    elsewhere = WriterElsewhere.of(writer)
    for chunks in writer.missing_by_parent():
        near = joiner.plan.tiles_over(reduce(Window.union, chunks))
        tiles = [replace(tile, path=tile.path.absolute()) for tile in near]
        plan = MosaicPlan(joiner.plan.grid, tiles)
        yield JoinUnit(elsewhere, chunks, plan, joiner.method, joiner.all_valid, joiner.is_map)


def _join(unit: JoinUnit) -> BlockSizes:
    """Join the chunks of a unit, and the overviews that they are enough for."""
    writer = unit.writer.open()
    # Its own pool: a worker outlives the command, and a tile that is replaced afterwards must be opened anew.
    with DatasetPool() as datasets:
        joiner = ChunkJoiner(unit.plan, unit.writer.layout, unit.method, datasets, unit.all_valid, unit.is_map)
        for chunk in unit.chunks:
            joiner.write(writer, chunk)
    return writer.written
