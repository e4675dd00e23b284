"""A finished tileset: whether it is what is asked for, or was made from what has changed since."""

from contextlib import suppress
from pathlib import Path

from sattrans.data.tileset import MANIFEST, Tileset
from sattrans.errors import OutputExists
from sattrans.tile.inputs import Input, changed
from sattrans.tile.plan import REASON_WITHOUT_SPLIT
from sattrans.tile.prepare import Prepared
from sattrans.utils.console import pluralize
from sattrans.utils.manifest import check_same_options


def finished(job: Prepared) -> Tileset | None:
    """Return the tileset where it is there already; None where it is not.

    Raises `OutputExists` where it was made with other options, from files, classes, splits or places that have
    changed since, or where tiles of it are missing.
    """
    if not (job.folder / MANIFEST).is_file():
        return None
    done = Tileset.open(job.folder)
    check_same_options(job.folder, done.manifest["options"], job.told)
    what = _changed_since(done, job)
    if what:
        raise OutputExists(
            f"{job.folder} was made from other inputs ({what}); choose another output, or replace it with --overwrite"
        )
    missing = [path for t in done.tiles for path in (t.image, t.map) if path and not (job.folder / path).is_file()]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise OutputExists(f"{job.folder} is not whole: {missing[0]} is missing{more}; --overwrite makes it again")
    return done


def _as_typed(path: str) -> str:
    """Return a file's name from the current folder, where it lies below that."""
    with suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return path


def _changed_since(done: Tileset, job: Prepared) -> str:
    """Return what has changed since a tileset was finished, in words, or nothing."""
    differing = changed(job.inputs, {item["path"]: Input(**item) for item in done.manifest["inputs"]})
    if differing:
        more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
        return f"{_as_typed(differing[0])} has changed since{more}"
    gone = {item["path"] for item in done.manifest["inputs"]} - {item.path for item in job.inputs}
    if gone:
        return f"{_as_typed(min(gone))} is gone since"
    if done.palette != job.palette:
        return f"classes {done.palette} before, {job.palette} now, or other colours"
    places = {source.record.id: source.record.georeference for source in job.sources}
    for scene in done.scenes.values():
        if scene.georeference != places.get(scene.id):
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
