"""A tileset on disk, and whether a finished one was made from the current inputs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sattrans.data.tileset import INDEX, MANIFEST, VERSION, Tileset
from sattrans.errors import OutputExists, SattransError
from sattrans.tile.inputs import Input, changed
from sattrans.tile.journal import Journal
from sattrans.tile.plan import REASON_WITHOUT_SPLIT
from sattrans.tile.prepare import Prepared
from sattrans.utils.atomic import now
from sattrans.utils.console import pluralize
from sattrans.utils.folder_output import FolderOutput
from sattrans.utils.manifest import begun_of
from sattrans.utils.output import REPLACE

if TYPE_CHECKING:
    from pydantic import BaseModel


class TilesetOutput(FolderOutput):
    """A tileset that `tile` writes. A replaced tileset is in `.NAME.before` until the new one is complete."""

    manifest = MANIFEST
    kind = "tileset"
    version = VERSION
    journals = (INDEX,)

    def __init__(self, job: Prepared, overwrite: bool = False) -> None:
        super().__init__(job.folder, job.recorded_options, overwrite=overwrite)
        self.sets_aside = not self.destination
        self.job = job
        self.created = now()
        self.earlier: Mapping[str, Any] = {}
        """What an earlier run, which is resumed, wrote in its manifest."""
        self.entries: tuple[dict[str, Any], ...] = ()
        """What it wrote in its journal."""

    def schema(self, begun: bool) -> "type[BaseModel]":
        """See `FolderOutput`."""
        from sattrans.data.schemas import BegunTilesetManifest, CutTilesetManifest

        return BegunTilesetManifest if begun else CutTilesetManifest

    @property
    def journal(self) -> Journal:
        """The journal of the unfinished tileset."""
        return Journal(begun_of(self.path / INDEX))

    def begin(self, resumed: bool) -> None:
        """Make the folder, or read what an earlier run left in it; `write_inputs` then writes the manifest."""
        if resumed:
            self.earlier = self.read(self.begun_manifest)
            self.created, self.entries = self.earlier["created"], tuple(self.journal.read())
        super().begin(resumed)

    def write_inputs(self, inputs: Sequence[Input], **found: Any) -> None:
        """Write the manifest of the unfinished tileset, with the current inputs and the results so far."""
        recorded = [item.to_json() for item in inputs]
        self.write_begun({"created": self.created, "options": self.options, "inputs": recorded, **found})

    def progress(self) -> str:
        """The tiles that need not be cut again."""
        count = sum(len(entry.get("tiles", ())) for entry in self.journal.read())
        return pluralize(count, "tile is", "tiles are") if count else ""

    def compare(self, recorded: Mapping[str, Any]) -> SattransError | None:
        """See `Output`. Other options count first, then what changed in the inputs, then missing tiles."""
        refusal = super().compare(recorded)
        if refusal:
            return refusal
        tileset = Tileset.open(self.records)
        changes = _changed_since(tileset, self.job)
        if changes:
            return OutputExists(f"{self.path} was made from other inputs ({changes}); {REPLACE}")
        files = [path for tile in tileset.tiles for path in (tile.image, tile.map) if path]
        missing = [path for path in files if not self.holds(path)]
        if missing:
            more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
            return OutputExists(
                f"{self.path} is incomplete: {missing[0]} is missing{more}; make it again with --overwrite"
            )
        return None


def _as_typed(path: str) -> str:
    """Return a file's path relative to the current folder if it is in there."""
    with suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return path


def _changed_since(done: Tileset, job: Prepared) -> str:
    """Return a phrase on what has changed since a tileset was finished; empty if nothing has."""
    differing = changed(job.inputs, {item["path"]: Input(**item) for item in done.manifest["inputs"]})
    if differing:
        more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
        return f"{_as_typed(differing[0])} has changed since{more}"
    gone = {item["path"] for item in done.manifest["inputs"]} - {item.path for item in job.inputs}
    if gone:
        return f"{_as_typed(min(gone))} is gone since"
    if done.palette != job.palette:
        return f"classes {done.palette} before, {job.palette} now, or other colours"
    georeferences = {source.record.id: source.record.georeference for source in job.sources}
    for scene in done.scenes.values():
        if scene.georeference != georeferences.get(scene.id):
            return f"{scene.image} lies elsewhere since"
    splits = {f"{cell.scene}_{cell.cell.k}": cell.split for cell in job.plan.cells}
    for tile in done.tiles:
        if tile.split != splits.get(tile.id):
            return f"tile {tile.id} is {tile.split} before, {splits.get(tile.id, 'in no split')} now"
    listed = [
        dropped.get(REASON_WITHOUT_SPLIT[job.plan.scheme], 0)
        for dropped in (done.manifest["dropped"], job.plan.dropped)
    ]
    if listed[0] == listed[1]:
        return ""
    return (
        f"{pluralize(listed[0], 'cell was', 'cells were')} in no split before, {pluralize(listed[1], 'is', 'are')} now"
    )
