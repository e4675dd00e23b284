"""Tiles held open: each is opened once, where the machine lets so many files be open."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from sattrans.raster.alignment import Grid, kernel_of, on_grid
from sattrans.raster.open import Raster, open_raster

MOST_OPEN = 256
"""Tiles that are held open at the most; half of what the system lets this process open, where that is less."""


@dataclass(frozen=True, slots=True)
class Warp:
    """What a tile is warped onto: `grid`, as a map of classes or as an image; `empty` stands for "nothing here"."""

    grid: Grid
    own: Grid
    is_map: bool
    empty: float | None


@dataclass
class _Held:
    """An open tile. GDAL lets one thread at a time use it."""

    turn: Lock = field(default_factory=Lock)
    users: int = 0
    files: ExitStack = field(default_factory=ExitStack)
    raster: Raster | None = None
    warped: Raster | None = None


class Shelf:
    """Gives open tiles to one thread at a time; use it as a context manager, which closes them in the end."""

    def __init__(self, most: int | None = None) -> None:
        self._most = _most_open() if most is None else most
        self._turn = Lock()
        self._held: dict[Path, _Held] = {}

    def __enter__(self) -> "Shelf":
        return self

    def __exit__(self, *_: object) -> None:
        for held in self._held.values():
            held.files.close()
        self._held.clear()

    @contextmanager
    def glanced_at(self, path: Path) -> Iterator[Raster]:
        """Give a tile, and hold it open only while there is room: those that come first are needed first."""
        if len(self._held) < self._most:
            with self.opened(path) as raster:
                yield raster
        else:
            with open_raster(path) as raster:
                yield raster

    @contextmanager
    def opened(self, path: Path, warp: Warp | None = None) -> Iterator[Raster]:
        """Give a tile, as it is or warped; another thread that wants the same one waits."""
        with self._turn:
            held = self._held.pop(path, None) or _Held()
            self._held[path] = held  # the last used stands last
            held.users += 1
            surplus = self._surplus()
        for other in surplus:
            other.files.close()
        try:
            with held.turn:
                if held.raster is None:
                    held.raster = held.files.enter_context(open_raster(path))
                if warp is None:
                    yield held.raster
                    return
                if held.warped is None:
                    raster = Raster(
                        held.raster.path, held.raster.src, warp.own.georeference, settings=held.raster.settings
                    )
                    kernel = kernel_of(raster, warp.grid, warp.is_map)
                    held.warped = held.files.enter_context(on_grid(raster, warp.grid, kernel, warp.empty))
                yield held.warped
        finally:
            with self._turn:
                held.users -= 1

    def _surplus(self) -> list[_Held]:
        idle = [path for path, held in self._held.items() if not held.users] if len(self._held) > self._most else []
        return [self._held.pop(path) for path in idle[: len(self._held) - self._most]]


def _most_open() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return MOST_OPEN // 4
    return max(1, min(MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
