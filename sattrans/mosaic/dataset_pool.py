"""A pool of open tiles: each file is opened once, if the system allows that many open files."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from sattrans.raster.alignment import Grid, choose_resampling, warp_to_grid
from sattrans.raster.open import Raster, open_raster

MAX_OPEN = 256
"""Maximum number of open tiles; half of the process's limit on open files, if that is less."""


@dataclass(frozen=True, slots=True)
class Warp:
    """How a tile is warped: from its own grid `source` to `target`, as a class map or as an image.

    `nodata` is the value of pixels without data, None if the tile has none.
    """

    target: Grid
    source: Grid
    is_map: bool
    nodata: float | None


@dataclass
class _OpenTile:
    """An open tile. GDAL allows one thread at a time to use it."""

    lock: Lock = field(default_factory=Lock)
    users: int = 0
    files: ExitStack = field(default_factory=ExitStack)
    raster: Raster | None = None
    warped: Raster | None = None


class DatasetPool:
    """Lends open tiles to one thread at a time. As a context manager, it closes all tiles at its end."""

    def __init__(self, max_open: int | None = None) -> None:
        self._max_open = _max_open() if max_open is None else max_open
        self._lock = Lock()
        self._tiles: dict[Path, _OpenTile] = {}  # in the order of their last use

    def __enter__(self) -> "DatasetPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all tiles."""
        for tile in self._tiles.values():
            tile.files.close()
        self._tiles.clear()

    @contextmanager
    def inspect(self, path: Path) -> Iterator[Raster]:
        """Yield a tile, and leave it open only if the pool is not full: the first tiles are read first afterwards."""
        if len(self._tiles) < self._max_open:
            with self.open(path) as raster:
                yield raster
        else:
            with open_raster(path) as raster:
                yield raster

    @contextmanager
    def open(self, path: Path, warp: Warp | None = None) -> Iterator[Raster]:
        """Yield a tile, warped if `warp` is given; another thread that opens the same tile waits."""
        with self._lock:
            tile = self._tiles.pop(path, None) or _OpenTile()
            self._tiles[path] = tile
            tile.users += 1
            closing = self._least_recently_used()
        for unused in closing:
            unused.files.close()
        try:
            with tile.lock:
                if tile.raster is None:
                    tile.raster = tile.files.enter_context(open_raster(path))
                if warp is None:
                    yield tile.raster
                    return
                if tile.warped is None:
                    raster = replace(tile.raster, georeference=warp.source.georeference)
                    kernel = choose_resampling(raster, warp.target, warp.is_map)
                    tile.warped = tile.files.enter_context(warp_to_grid(raster, warp.target, kernel, warp.nodata))
                yield tile.warped
        finally:
            with self._lock:
                tile.users -= 1

    def _least_recently_used(self) -> list[_OpenTile]:
        """Remove tiles that no thread uses until the pool is within its limit, and return them for closing."""
        if len(self._tiles) <= self._max_open:
            return []
        unused = [path for path, tile in self._tiles.items() if not tile.users]
        return [self._tiles.pop(path) for path in unused[: len(self._tiles) - self._max_open]]


def _max_open() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return MAX_OPEN // 4
    return max(1, min(MAX_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
