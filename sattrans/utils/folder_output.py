"""The life of a folder with a manifest, such as a tileset or a run. See `sattrans.utils.output`."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sattrans.errors import ClusterLost, OutputExists
from sattrans.utils.atomic import check_writable, part_of, remove, sync
from sattrans.utils.console import log
from sattrans.utils.lock import has_lock_file
from sattrans.utils.manifest import as_json, begun_of, read_manifest, schema_with_options, write_manifest
from sattrans.utils.output import RESUME, Output, check_folder

if TYPE_CHECKING:
    from pydantic import BaseModel

    from sattrans.utils.published import PublishedFolder


class FolderOutput(Output):
    """A folder that is finished once its manifest has its final name.

    While the folder is filled, the manifest is named `<manifest>.begun`. A subclass says which manifest it is, what
    `kind` of output it describes, in which `version` of the format, and which `journals` lie beside it meanwhile.
    With `sets_aside`, a finished folder that is replaced lies in `.<name>.before` until the new one is whole.
    """

    manifest: str
    kind: str
    version: int
    journals: tuple[str, ...] = ()
    sets_aside = False

    @property
    def unfinished(self) -> Path:
        """The folder itself."""
        return self.path

    @cached_property
    def published(self) -> "PublishedFolder | None":
        """What lies at the address of the folder, if it has one."""
        if not self.destination:
            return None
        from sattrans.utils.published import PublishedFolder

        return PublishedFolder(self.destination, self.path, (self.manifest, *self.journals))

    @property
    def records(self) -> Path:
        """The folder with the manifest of the finished folder, and what else describes it."""
        return self.published.records if self.published else self.path

    @property
    def finished_manifest(self) -> Path:
        """The manifest of the finished folder."""
        return self.records / self.manifest

    @property
    def begun_manifest(self) -> Path:
        """The manifest of the folder while it is filled."""
        return begun_of(self.path / self.manifest)

    def holds(self, name: str) -> bool:
        """Whether the finished folder has a file."""
        return name in self.published.objects if self.published else (self.path / name).is_file()

    @property
    def aside(self) -> Path:
        """Where a finished folder lies until the one that replaces it is whole."""
        return self.path.with_name(f".{self.path.name}.before")

    def read_finished(self) -> Mapping[str, Any] | None:
        """See `Output`."""
        self.check_own()
        return self._options_in(self.finished_manifest)

    def read_unfinished(self) -> Mapping[str, Any] | None:
        """See `Output`."""
        return self._options_in(self.begun_manifest)

    def _options_in(self, manifest: Path) -> Mapping[str, Any] | None:
        if not manifest.is_file():
            return None
        return dict(self.read(manifest)["options"])

    def read(self, manifest: Path) -> dict[str, Any]:
        """Read the manifest of the finished or of the unfinished folder. Raises `SattransError` if it is damaged."""
        return read_manifest(manifest, self.kind, self.version, lambda: self.schema(manifest == self.begun_manifest))

    def schema(self, begun: bool) -> "type[BaseModel]":
        """Return what the fields of the manifest must be."""
        return schema_with_options()

    def check_own(self) -> None:
        """Raise `OutputExists` for a folder that holds files but no such manifest, finished or begun."""
        if self.published:
            self.published.check_own()
            return
        own = [self.finished_manifest, self.begun_manifest]
        if not self.path.is_dir() or any(path.is_file() for path in own):
            return
        if set(self.path.iterdir()) - {part_of(path) for path in own}:  # a kill may leave the first file's part
            raise OutputExists(f"{self.path} holds files that sattrans did not make; choose another output")

    def is_finished(self, dry_run: bool = False) -> bool:
        """See `Output`. What a kill left in the cache of a folder that is published is removed."""
        finished = super().is_finished(dry_run)
        if finished and self.published and self.path.exists() and not dry_run:
            with self.locked():
                self.discard(self.path)
        return finished

    def check(self) -> None:
        """See `Output`."""
        check_folder(self.path)
        super().check()
        check_writable(self.path / self.manifest)

    def begin(self, resumed: bool) -> None:
        """Make way and make the folder; a subclass then calls `write_begun`."""
        if self.replaces and self.finished_manifest.is_file() and not self.published:
            if self.sets_aside:
                self.path.rename(self.aside)
            else:
                self.discard(self.path)
        elif self.replaces and not resumed and self.begun_manifest.is_file():
            self.discard(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        if self.published:
            self.published.mark_begun(as_json(self.options))

    def write_begun(self, body: Mapping[str, Any]) -> None:
        """Write the manifest of the unfinished folder."""
        write_manifest(self.begun_manifest, self.kind, self.version, body)

    def finish(self, body: Mapping[str, Any] | None = None) -> None:
        """Make the folder a finished one, with `body` in its manifest or with that of the unfinished folder."""
        if body is None:
            self.begun_manifest.replace(self.path / self.manifest)
        else:
            write_manifest(self.path / self.manifest, self.kind, self.version, body)
        if self.published:
            self._publish()
            return
        self._clean_up()
        if self.sets_aside:
            self.discard(self.aside)

    def _publish(self) -> None:
        """Publish the folder, which is whole, and remove it here."""
        assert self.published
        self.published.publish([path.name for path in self._begun_files()])
        self.discard(self.path)

    def _begun_files(self) -> list[Path]:
        return [begun_of(self.path / name) for name in (self.manifest, *self.journals)]

    def _clean_up(self) -> None:
        sync(self.path)
        for path in self._begun_files():
            path.unlink(missing_ok=True)

    def needs_recovery(self) -> bool:
        """See `Output`."""
        if self.published:  # a whole folder that was not published to the end
            return (self.path / self.manifest).is_file()
        finished = self.finished_manifest.is_file()
        if finished and (has_lock_file(self.path) or any(path.exists() for path in self._begun_files())):
            return True
        return self.sets_aside and self.aside.exists() and (finished or not self.path.exists())

    def recover(self) -> None:
        """Clean up after a folder that was finished but for that, and put one back that was only set aside."""
        if self.published:
            if self.needs_recovery():
                self._publish()
            return
        finished = self.finished_manifest.is_file()
        if finished:
            self._clean_up()
        if not self.sets_aside:
            return
        if finished or not (self.aside / self.manifest).is_file():
            self.discard(self.aside)
        elif not self.path.exists():
            self.aside.rename(self.path)

    def progress(self) -> str:
        """Return what an unfinished folder holds that is worth keeping, such as "12 tiles", or nothing."""
        return ""

    def abandon(self, error: BaseException) -> None:
        """Put back what was set aside, or keep what was written if it is worth it.

        A signal leaves all as it is, and so does a lost cluster, whose workers may still write there.
        """
        if not isinstance(error, Exception) or isinstance(error, ClusterLost) or (self.path / self.manifest).is_file():
            return
        progress = self.progress()
        if self.sets_aside and self.aside.exists():
            self.discard(self.path)
            self.aside.rename(self.path)
        elif progress:
            log.info("%s kept in %s; %s", progress, self.path, RESUME)
        else:
            self.discard(self.path)

    def discard(self, folder: Path) -> None:
        """Delete an output's folder, so that after a kill the rest counts as unfinished: never as whole nor foreign.

        A folder that cannot be deleted, such as one that something is mounted on, stays and is empty.
        """
        if not folder.is_dir():
            return
        finished, begun = folder / self.manifest, begun_of(folder / self.manifest)
        if finished.is_file():
            finished.replace(begun)
        for path in folder.iterdir():
            if path != begun:
                remove(path)
        begun.unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()
