"""The file of `--sources`: which training tile each part of an image is copied from, as polygons.

While an image is made, what each window is copied from is kept in `OUT.geojson.windows/`. When the image is
whole, windows that are missing there are asked for, and the file is written from all: so it does not depend on panels,
workers and interruptions.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sattrans.data.tileset import Tile
from sattrans.errors import OptionError, OutputExists, UsageError
from sattrans.generate.windows import WindowPlan
from sattrans.maps.open import Map
from sattrans.raster.cells import Floats
from sattrans.raster.outlines import outlines
from sattrans.raster.window import Window
from sattrans.runs.run import Run
from sattrans.runs.translator import Translator
from sattrans.utils.atomic import atomic, put, remove, write_bytes
from sattrans.utils.console import progress_bar
from sattrans.utils.hashing import hash_of
from sattrans.utils.manifest import as_json
from sattrans.utils.output import REPLACE, not_made_by_sattrans
from sattrans.utils.records import parse_json

if TYPE_CHECKING:
    from sattrans.generate.stream import Stream

SUFFIXES = (".geojson", ".json")
HEAD = '{"type": "FeatureCollection", "sattrans": '
"""How the file begins."""

IDENTITY = "identity"
"""The file that says which image windows belong to."""


def folder_of(path: Path) -> Path:
    """Return the folder in which windows are kept until the file is written."""
    return path.with_name(f"{path.name}.windows")


def check_sources(path: Path, output: Path) -> None:
    """Raise `UsageError` if a file of sources cannot be written, before anything heavy is loaded."""
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"--sources {path}: the file is GeoJSON; give a name that ends in .geojson")
    if path.is_dir():
        raise OutputExists(f"--sources {path} is a folder; give the name of a file")
    if path.resolve() == output.resolve():
        raise OptionError(f"--sources {path} is the image, too; give another name")
    _made_for(path)


def _made_for(path: Path) -> str | None:
    """Return which image a file was made for; None if there is no file.

    Raises `OutputExists` if sattrans did not write the file.
    """
    if not path.exists():
        return None
    with path.open(encoding="utf-8", errors="replace") as file:
        start = file.readline(1 << 16)
    if not start.startswith(HEAD):
        raise not_made_by_sattrans(path)
    try:
        return str(parse_json(start.removeprefix(HEAD).rstrip().removesuffix(', "features": [')).get("image", ""))
    except (ValueError, AttributeError):
        raise not_made_by_sattrans(path) from None


@dataclass(frozen=True)
class Recorder:
    """Translates windows, and keeps what each is copied from in a folder."""

    translator: Translator
    folder: Path

    def __call__(self, windows: NDArray[np.uint8], origins: Sequence[tuple[int, int]]) -> Floats:
        """Translate windows; see `Translator`."""
        images = self.translator(windows, origins)
        self.keep(windows, origins)
        return images

    def keep(self, windows: NDArray[np.uint8], origins: Sequence[tuple[int, int]]) -> None:
        """Keep what windows are copied from."""
        for origin, numbers in zip(origins, self.translator.sources(windows, origins), strict=True):
            path = _path_of(self.folder, origin)
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                put(path, zlib.compress(np.ascontiguousarray(numbers, "<i4").tobytes(), 1))


def _path_of(folder: Path, origin: tuple[int, int]) -> Path:
    return folder / str(origin[0]) / f"{origin[1]}.z"


class Sources:
    """Which training tile each part of an image is copied from.

    Args:
        path: The file.
        run: The run that makes the image.
        map_: The map of the image.
        plan: Its windows.
        recorded: What the image records of its options.
        seal: The hash of all that the image takes from its map.
        overwrite: Replace a file that was made for another image.
    """

    def __init__(
        self,
        path: Path,
        run: Run,
        map_: Map,
        plan: WindowPlan,
        recorded: Mapping[str, Any],
        seal: str,
        overwrite: bool,
    ) -> None:
        self.path, self._run, self._map, self._plan = path, run, map_, plan
        self.folder = folder_of(path)
        if not run.kind.copies:
            raise UsageError(
                f"--sources: model '{run.model_name}' copies no pixels of its training tiles; leave it out"
            )
        if map_.georeference.crs is None:
            raise UsageError("--sources writes polygons in longitude and latitude, and the map has no CRS: assign one")
        self._identity = hash_of(json.dumps(as_json(recorded), sort_keys=True), seal)
        before = _made_for(path)
        self.finished = before == self._identity
        if before is not None and not self.finished and not overwrite:
            raise OutputExists(f"{path} was made for another image; {REPLACE}")
        self._tiles = _training_tiles(run)

    def begin(self) -> None:
        """Make the folder of the windows; those of another image are deleted."""
        identity = self.folder / IDENTITY
        if self.folder.exists() and not (identity.is_file() and identity.read_text() == self._identity):
            remove(self.folder)
        if not identity.is_file():
            write_bytes(identity, self._identity.encode())

    def finish(self, stream: Callable[[], "Stream"]) -> None:
        """Write the file; windows that are not in the folder are translated by a stream."""
        missing = [place for place in self._plan.indices if not _path_of(self.folder, self._origin(place)).is_file()]
        if missing:
            with progress_bar(len(missing), "sources", "window") as progress:
                for _ in stream().translated(missing):
                    progress.update()
        about = {"image": self._identity, "run": self._run.name, **self._run.rights}
        with atomic(self.path) as part, part.open("w", encoding="utf-8") as file:
            file.write(f'{HEAD}{json.dumps(about, ensure_ascii=False)}, "features": [')
            for number, feature in enumerate(self._features()):
                file.write(("," if number else "") + "\n" + json.dumps(feature, ensure_ascii=False))
            file.write("\n]}\n")
        remove(self.folder)

    def _origin(self, place: tuple[int, int]) -> tuple[int, int]:
        rows, cols = self._plan.rows, self._plan.cols
        return rows.origin + rows.starts[place[0]], cols.origin + cols.starts[place[1]]

    def _features(self) -> Iterator[dict[str, Any]]:
        """Yield the features, window by window; what has no data in the map is left out."""
        part, rights = Window(0, 0, self._map.height, self._map.width), self._run.rights
        for place in self._plan.indices:
            window = self._plan.place(*place)
            inside = window.intersection(part)
            if inside is None:
                continue
            data = zlib.decompress(_path_of(self.folder, self._origin(place)).read_bytes())
            numbers = np.frombuffer(data, "<i4").reshape(window.height, window.width)
            shown = numbers[inside.shifted(-window.row, -window.col).slices].astype(np.int32)
            if self._map.has_nodata:
                shown = np.where(self._map.valid(inside), shown, np.int32(-1))
            for number, polygon in outlines(shown, self._map.georeference.at(inside)):
                tile = self._tiles[number]
                properties = {"tile": tile.id, "split": tile.split, "scene": tile.scene, **rights}
                yield {"type": "Feature", "geometry": polygon, "properties": properties}


def _training_tiles(run: Run) -> Sequence[Tile]:
    """Return the training tiles, in the order in which the model saw them."""
    try:
        return run.tileset().split("train")
    except UsageError as error:
        raise UsageError(
            f"--sources needs the tileset that {run.folder} was trained on, for the names of its tiles: "
            f"{str(error).removesuffix('; give its folder with --data')}"
        ) from error
