"""The life of a large GeoTIFF: chunks in `OUT.tif.part/` until all are complete. See `sattrans.utils.output`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sattrans.errors import OutputExists, RasterError, SattransError
from sattrans.raster.cog.layout import is_complete
from sattrans.raster.cog.options import CreationOptions
from sattrans.raster.open import gdal_session, open_raster
from sattrans.raster.tile_formats import IMAGE_SUFFIXES
from sattrans.utils.addresses import destination_of
from sattrans.utils.atomic import part_of, remove, sync
from sattrans.utils.console import log
from sattrans.utils.manifest import as_json, read_manifest, schema_with_options, write_manifest
from sattrans.utils.object_store import address_to_read, download, head
from sattrans.utils.output import REPLACE, RESUME, Output, not_made_by_sattrans
from sattrans.utils.published import mark_begun, publish_file, unmark
from sattrans.utils.records import parse_json

VERSION = 3
"""The format version of `rows.json`, and with it of the chunks."""

OPTIONS_TAG = "SATTRANS_OPTIONS"
"""The GeoTIFF tag that holds the recorded options, as JSON."""


def options_of(path: Path | str) -> dict[str, Any] | None:
    """Return the recorded options of a GeoTIFF; None if it is absent or was not made by sattrans."""
    try:
        with open_raster(path) as raster:
            return dict(parse_json(raster.tags().get(OPTIONS_TAG, "")))
    except (RasterError, ValueError, TypeError):
        return None


def _options_at(address: str) -> dict[str, Any] | None:
    """Return the recorded options of a GeoTIFF at an address, beside which nothing is looked for."""
    with gdal_session(files_only=True):
        return options_of(address_to_read(address))


MOST_LOOKED_AT = 20
"""Number of rasters in a folder whose origin is looked at, besides those that are to be replaced."""


def check_own_images(folder: Path, targets: Sequence[Path], besides: Sequence[Path] = ()) -> None:
    """Raise `OutputExists` if a folder for many images holds rasters that sattrans did not make, such as photos.

    Not even --overwrite replaces these: a command that names a folder names none of them. `besides` may lie there.
    """
    if not folder.is_dir():
        return
    rasters = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES)
    others = [path for path in rasters if path not in (*targets, *besides)]
    for path in (*targets, *others[:MOST_LOOKED_AT]):
        if path.is_file() and not path.name.startswith(".") and options_of(path) is None:
            raise OutputExists(
                f"{folder} holds {path.name}, which sattrans did not make or is damaged; choose another folder, or "
                "move the file away"
            )


class GeoTiffOutput(Output):
    """A large GeoTIFF.

    Its recorded options lie in a tag of the finished file and in `OUT.tif.part/rows.json` of the unfinished one.

    Args:
        path: the GeoTIFF.
        options: the recorded options, without those of the encoding.
        creation: how it is encoded, which counts among the recorded options.
        overwrite: see `Output`.
        reasons: see `Output`.
    """

    def __init__(
        self,
        path: Path,
        options: Mapping[str, Any],
        *,
        creation: CreationOptions | None = None,
        overwrite: bool = False,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self.creation = creation or CreationOptions()
        super().__init__(path, self.creation.added_to(options), overwrite=overwrite, reasons=reasons)

    @property
    def unfinished(self) -> Path:
        """The folder of chunks."""
        return part_of(self.path)

    @property
    def begun_manifest(self) -> Path:
        """The manifest of the folder of chunks."""
        return self.unfinished / "rows.json"

    def read_finished(self) -> Mapping[str, Any] | None:
        """See `Output`. A file whose end is missing is damaged; damage within is not noticed here."""
        if self.destination:
            return self._read_published(self.destination)
        if not self.path.exists():
            return None
        recorded = options_of(self.path)
        cut_short = self.path.is_file() and not is_complete(self.path)
        if recorded is None and cut_short:
            raise OutputExists(f"{self.path} exists and is damaged, or was not made by sattrans; {REPLACE}")
        if recorded is None:
            raise not_made_by_sattrans(self.path)
        if cut_short:
            raise RasterError(f"{self.path} is damaged, its end is missing; delete it, or replace it with --overwrite")
        return recorded

    def _read_published(self, address: str) -> Mapping[str, Any] | None:
        if head(address) is None:
            return None
        recorded = _options_at(address)
        if recorded is None:
            raise not_made_by_sattrans(address)
        return recorded

    @contextmanager
    def companion(self, path: Path) -> Iterator[None]:
        """Have a file beside the finished GeoTIFF at its path, as a copy if it lies at an address."""
        address = destination_of(path)
        if not address or not head(address):
            yield
            return
        download(address, path)
        try:
            yield
        finally:
            remove(path)

    def read_unfinished(self) -> Mapping[str, Any] | None:
        """See `Output`."""
        if not self.begun_manifest.exists():
            return None
        return dict(read_manifest(self.begun_manifest, "rows", VERSION, schema_with_options)["options"])

    def begin(self, resumed: bool) -> None:
        """Make the folder of chunks, unless there is one to resume."""
        if self.destination:
            mark_begun(self.destination, as_json(self.unfinished_options))
        if resumed:
            return
        if self.replaces:
            remove(self.unfinished)
        self.unfinished.mkdir(parents=True, exist_ok=True)
        write_manifest(self.begun_manifest, "rows", VERSION, {"options": as_json(self.unfinished_options)})

    def finish(self, whole: Path, companions: Mapping[str, Path]) -> None:
        """Give the GeoTIFF its name.

        Args:
            whole: the whole file, on the disk, in the folder of chunks.
            companions: files in that folder that belong beside the GeoTIFF, and their final paths.
        """
        if self.destination:
            beside = [(self.unfinished / name, str(destination_of(path))) for name, path in companions.items()]
            publish_file(whole, self.destination, beside)
            unmark(self.destination)
            remove(self.unfinished)
            return
        try:
            whole.replace(self.path)
        except OSError as error:
            whole.unlink(missing_ok=True)
            raise RasterError(
                f"cannot write {self.path} ({error.strerror}); its chunks are kept in {self.unfinished}; {RESUME}"
            ) from error
        sync(self.path.parent)
        for name, path in companions.items():
            (self.unfinished / name).replace(path)
        remove(self.unfinished)

    def needs_recovery(self) -> bool:
        """Whether the chunks of the finished file are there: of a run killed between the rename and the clean-up."""
        if self.overwrite or not self.unfinished.exists() or not (self.destination or self.path.exists()):
            return False
        recorded, begun = _options_at(self.destination) if self.destination else options_of(self.path), None
        try:
            begun = self.read_unfinished()
        except SattransError:
            return False
        return recorded is not None and (
            begun is None or all(begun.get(name) == value for name, value in recorded.items())
        )

    def recover(self) -> None:
        """Remove the chunks of the finished file."""
        if self.needs_recovery():
            remove(self.unfinished)

    def is_finished(self, dry_run: bool = False) -> bool:
        """See `Output`; says so if something of other options lies unfinished beside the file."""
        finished = super().is_finished(dry_run)
        if finished and self.unfinished.exists() and not self.needs_recovery():
            log.info("%s holds an unfinished output of other options", self.unfinished)
        return finished
