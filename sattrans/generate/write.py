"""How the windows of a map become an image or tiles: by the networks of this process, or elsewhere."""

from dataclasses import dataclass
from typing import Protocol

from sattrans.generate.stream import Stream
from sattrans.generate.tiles import GeneratedTiles, write_windows
from sattrans.generate.update import GeneratedImage
from sattrans.generate.windows import ChangedWindows
from sattrans.raster.cog.writer import RowWriter
from sattrans.utils.console import progress_bar


class Write(Protocol):
    """Writes what is missing of an output."""

    def image(self, image: GeneratedImage, writer: RowWriter, change: ChangedWindows | None) -> None:
        """Write the chunks that `writer` lacks; with a `change`, those that it does not touch are copied."""

    def tiles(self, tiles: GeneratedTiles, stem: str) -> None:
        """Write the tiles of a folder that are missing."""


@dataclass(frozen=True)
class WriteHere:
    """Writes by the networks of this process."""

    stream: Stream
    what: str = "generate"

    def image(self, image: GeneratedImage, writer: RowWriter, change: ChangedWindows | None) -> None:
        """See `Write`."""
        missing = writer.missing()
        total = self.stream.count_windows(missing, change)
        with progress_bar(total, self.what, "window") as progress:
            self.stream.write(writer, missing, change, progress.update)

    def tiles(self, tiles: GeneratedTiles, stem: str) -> None:
        """See `Write`."""
        missing, total = tiles.missing(), tiles.plan.window_count
        with progress_bar(total, "generate", "window", total - len(missing)) as progress:
            write_windows(self.stream, tiles.path, stem, missing, progress.update)
