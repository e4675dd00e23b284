"""A folder of tiles, each window a GeoTIFF of its own: what `mosaic` joins."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sattrans.errors import OutputExists
from sattrans.generate.schemas import GeneratedManifest
from sattrans.generate.stream import Stream
from sattrans.generate.update import reasons_of
from sattrans.generate.windows import WindowPlan
from sattrans.raster.bands import to_uint8
from sattrans.raster.cog.layout import is_complete
from sattrans.raster.geotiff import write_geotiff
from sattrans.raster.window import Window
from sattrans.utils.console import log, pluralize
from sattrans.utils.folder_output import FolderOutput
from sattrans.utils.output import difference

MANIFEST = "generated.json"
VERSION = 1


class GeneratedTiles(FolderOutput):
    """A folder of generated tiles. If some are missing or cut short, it counts as unfinished."""

    manifest = MANIFEST
    kind = "generated"
    version = VERSION

    def __init__(
        self, path: Path, options: Mapping[str, Any], plan: WindowPlan, stem: str, *, overwrite: bool = False
    ) -> None:
        super().__init__(path, options, overwrite=overwrite)
        self.plan, self.stem = plan, stem

    def schema(self, begun: bool) -> type[BaseModel]:
        """See `FolderOutput`."""
        return GeneratedManifest

    def check_own(self) -> None:
        """See `FolderOutput`."""
        if self.path.exists() and not self.path.is_dir():
            raise OutputExists(f"{self.path} is a file; give a name that ends in .tif, or a folder")
        super().check_own()

    def read_finished(self) -> Mapping[str, Any] | None:
        """See `Output`."""
        recorded = super().read_finished()
        if recorded is not None and not difference(self.path, recorded, self.options) and self.incomplete():
            return None
        return recorded

    def read_unfinished(self) -> Mapping[str, Any] | None:
        """See `Output`."""
        recorded = super().read_unfinished()
        return recorded if recorded or self.overwrite or self.published else super().read_finished()

    def reasons_for(self, recorded: Mapping[str, Any]) -> Mapping[str, str]:
        """See `Output`."""
        if "starts" not in recorded:
            return reasons_of(recorded)
        before, now = recorded["map"][0], self.options["map"][0]
        source = "before the file of the map changed" if before == now else f"from another map, {before}"
        return {**reasons_of(recorded), "map": source}

    def is_finished(self, dry_run: bool = False) -> bool:
        """See `Output`; counts the tiles that are missing."""
        finished = super().is_finished(dry_run)
        if not finished and not self.overwrite and self.finished_manifest.is_file():
            log.info("%s: %s missing or damaged", self.path, pluralize(len(self.missing()), "tile is", "tiles are"))
        return finished

    def begin(self, resumed: bool) -> None:
        """Make the folder and write its manifest."""
        super().begin(resumed)
        self.write_begun({"options": dict(self.options)})
        if not self.published:
            self.finished_manifest.unlink(missing_ok=True)

    def progress(self) -> str:
        """The tiles that need not be generated again."""
        count = sum(1 for _ in self.path.glob("*.tif"))
        return pluralize(count, "tile is", "tiles are") if count else ""

    def incomplete(self) -> bool:
        """Whether a finished folder lacks tiles."""
        if not self.published:
            return bool(self.missing())
        return not all(self.holds(_path_of(self.path, self.plan, self.stem, *i).name) for i in self.plan.indices)

    def missing(self) -> list[tuple[int, int]]:
        """Return the windows whose tiles are not there, or were cut short."""
        paths = {place: _path_of(self.path, self.plan, self.stem, *place) for place in self.plan.indices}
        return [place for place, path in paths.items() if not (path.is_file() and is_complete(path))]


def write_windows(
    stream: Stream,
    folder: Path,
    stem: str,
    places: Sequence[tuple[int, int]],
    on_window: Callable[[], object] = lambda: None,
) -> None:
    """Write each of these windows as a tile, cut at the part's edge."""
    map_, plan = stream.map, stream.plan
    for (row, col), pixels in stream.translated(places):
        window = plan.place(row, col)
        inside = window.intersection(Window(0, 0, map_.height, map_.width)) or window
        image = to_uint8(pixels[(slice(None), *inside.shifted(-window.row, -window.col).slices)])
        write_geotiff(_path_of(folder, plan, stem, row, col), image, map_.georeference.at(inside))
        on_window()


def _path_of(folder: Path, plan: WindowPlan, stem: str, row: int, col: int) -> Path:
    return folder / f"{stem}_{plan.rows.starts[row]:06d}_{plan.cols.starts[col]:06d}.tif"
