"""The gate every raster passes: a file is opened as what its first bytes say it is, and as nothing else."""

import os
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from sattrans.errors import RasterError
from sattrans.raster.cog.tiff import GEO_KEYS, LITTLE, Directory, read_directory
from sattrans.raster.georeference import Georeference
from sattrans.raster.sidecar import read_aux_xml, read_world_file
from sattrans.raster.window import Window

# Python's filters belong to the process: two threads that set and restore them undo each other's.
_turn = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep quiet about missing georeference while a raster is opened; one thread at a time."""
    with _turn, catch_warnings():
        simplefilter("ignore", NotGeoreferencedWarning)
        yield


MAGIC = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",  # BigTIFF
    b"MM\0+": "GTiff",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",  # the bare codestream
}
"""First bytes of a file, and the one GDAL driver that then opens it."""

REMOTE = ("https://", "http://", "s3://", "gs://", "az://")

MOST_BLOCK_BYTES = 1 << 30
"""The largest piece GDAL may have to decode at once. A giant in tiles or strips streams; one in a single
block would have to fit into memory whole, and is what a decompression bomb looks like."""

MOST_SEQUENTIAL_PIXELS = 2_000_000_000
"""The largest PNG, JPEG or JPEG 2000: they are decoded from the top, whatever part is wanted."""

STRICT_GDAL = {
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",  # it reads a PNG that is cut short as whatever was in memory
}
ALONE_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # look at nothing beside the file: no .ovr, .msk, .aux.xml
    "GDAL_PAM_ENABLED": "NO",
}


CACHE_MEGABYTES = 64
"""Of decoded blocks, for all threads together: a row of tiles is read once, so GDAL's own 5 % of the machine's
memory would fill up and serve nobody."""


BAND_PIXELS = 1 << 22

_in_session = threading.local()


@contextmanager
def session(files_only: bool = False) -> Iterator[None]:
    """Do much with rasters at a time: GDAL is set up once, and its cache is bounded unless the user said otherwise.

    The cache belongs to the process and is bounded by the first session; the rest holds for one thread. With
    `files_only` every raster in it is a file that was found, a `Path`: GDAL is told once how to treat those.
    """
    bounds = {} if "GDAL_CACHEMAX" in os.environ else {"GDAL_CACHEMAX": CACHE_MEGABYTES}
    settings = {**STRICT_GDAL, **ALONE_GDAL} if files_only else {}
    with rasterio.Env(**bounds, **settings):
        before = getattr(_in_session, "settings", None)
        _in_session.settings = settings if files_only else before
        try:
            yield
        finally:
            _in_session.settings = before


def _under(settings: Mapping[str, str]) -> AbstractContextManager[object]:
    """Have GDAL do as `settings` say: nothing needs to be done where the session does already."""
    if getattr(_in_session, "settings", None) == settings:
        return nullcontext()
    env: AbstractContextManager[object] = rasterio.Env(**settings)
    return env


@dataclass(frozen=True)
class Raster:
    """An open raster, or a part of one. Reading raises `RasterError` with the path in it, whatever GDAL finds wrong."""

    path: str
    src: DatasetReader
    georeference: Georeference
    part: Window | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """GDAL's, for opening and for reading. They hold for one thread and the time of a call: a raster may be held
    open, and be closed by another thread."""

    def cropped(self, part: Window) -> "Raster":
        """Return the part of it within a window, as a raster of its own."""
        return replace(self, georeference=self.georeference.at(part), part=part)

    @property
    def height(self) -> int:
        """Rows."""
        return self.part.height if self.part else int(self.src.height)

    @property
    def width(self) -> int:
        """Columns."""
        return self.part.width if self.part else int(self.src.width)

    @property
    def bands(self) -> int:
        """How many bands there are, an alpha band included."""
        return int(self.src.count)

    @property
    def window(self) -> Window:
        """All of it."""
        return Window(0, 0, self.height, self.width)

    @property
    def dtype(self) -> str:
        """The type of the first band's pixels, by its numpy name."""
        return str(self.src.dtypes[0])

    @property
    def lossy(self) -> bool:
        """Whether the pixels went through JPEG, which changes values near every edge."""
        compression = self.src.compression
        return self.src.driver == "JPEG" or (compression is not None and "jpeg" in str(compression.value).lower())

    @property
    def nodata(self) -> float | None:
        """The declared nodata value."""
        return None if self.src.nodata is None else float(self.src.nodata)

    @property
    def alpha_band(self) -> int | None:
        """The number of the alpha band, counted from 1, if there is one."""
        for number, meaning in enumerate(self.src.colorinterp, 1):
            if meaning == rasterio.enums.ColorInterp.alpha:
                return number
        return None

    def colormap(self) -> dict[int, tuple[int, int, int]] | None:
        """Return the colour table (value to red, green, blue) of a paletted raster, or None."""
        table = self.color_table()
        return {value: (red, green, blue) for value, (red, green, blue, _) in table.items()} if table else None

    def color_table(self) -> dict[int, tuple[int, int, int, int]] | None:
        """Return the colour table with alpha (0 is transparent) of a paletted raster, or None."""
        try:
            return dict(self.src.colormap(1))
        except ValueError:
            return None

    def tags(self) -> dict[str, str]:
        """Return the raster's metadata items."""
        return dict(self.src.tags())

    def bands_of_rows(self, height: int | None = None) -> Iterator[Window]:
        """Yield windows of so many whole rows, from the top: to read all of a large raster.

        By default 256 to 1024, fewer in a wide one: whoever reads them may need eight bytes a pixel.
        """
        height = height or min(1024, max(256, BAND_PIXELS // max(self.width, 1) // 256 * 256))
        for top in range(0, self.height, height):
            yield Window(top, 0, min(height, self.height - top), self.width)

    def read(
        self, window: Window | None = None, bands: Sequence[int] | None = None, interleaved: bool = False
    ) -> NDArray[np.generic]:
        """Return pixels as (bands, rows, columns); bands are counted from 1.

        With `interleaved` they lie in memory pixel by pixel, as encoders of pictures want them. Never reduced: for
        a reduced read GDAL follows the `OVERVIEW_FILE` that a TIFF's own metadata names.
        """
        window = window or self.window
        numbers = list(bands or self.src.indexes)
        left, top = (self.part.col, self.part.row) if self.part else (0, 0)
        place = RasterioWindow(left + window.col, top + window.row, window.width, window.height)
        try:
            with _under(self.settings):
                shape = window.height, window.width, len(numbers)
                room = np.empty(shape, self.dtype).transpose(2, 0, 1) if interleaved else None
                pixels: NDArray[np.generic] = self.src.read(numbers, window=place, out=room)
        except (RasterioError, MemoryError) as error:
            raise RasterError(
                f"{self.path}: rows {window.row} to {window.bottom} cannot be read, the file is damaged or "
                f"cut short ({_reason(error)}): fetch or make it again"
            ) from error
        return pixels


def check_there(source: str | Path) -> None:
    """Raise `RasterError` for a file that is not there, before other work is done for it; no address is asked."""
    if not (isinstance(source, str) and source.startswith(REMOTE)) and not Path(source).exists():
        raise RasterError(f"{source}: no such file")


@contextmanager
def open_raster(source: str | Path) -> Iterator[Raster]:
    """Open a raster for reading.

    A `Path` is a file found somewhere: it is opened by the driver its first bytes name, whatever its suffix,
    and nothing beside it is read but a CRS and a transform. A `str` is what a user typed: it may also be a
    `.vrt`, an `https://` or an `s3://` address. Raises `RasterError`.
    """
    if isinstance(source, str) and source.startswith(REMOTE):
        with _opened(source, None, STRICT_GDAL) as src:
            yield Raster(source, src, Georeference.of(src.crs, src.transform), settings=STRICT_GDAL)
        return
    path = Path(source)
    driver = _driver(path, typed=isinstance(source, str))
    settings = STRICT_GDAL if driver == "VRT" else {**STRICT_GDAL, **ALONE_GDAL}
    with _opened(str(path), driver, settings) as src:
        crs, transform = src.crs, src.transform
        if crs is None or transform.is_identity:
            aux_crs, aux_transform = read_aux_xml(path)
            crs = crs or aux_crs
            if transform.is_identity:
                transform = aux_transform or read_world_file(path) or transform
        if not np.isfinite(transform[:6]).all():
            raise RasterError(f"{path} has a geotransform of numbers that are none: mend it first")
        if transform.is_degenerate:
            raise RasterError(f"{path} has a geotransform that maps all of it to one line or point: mend it first")
        yield Raster(str(path), src, Georeference.of(crs, transform), settings=settings)


_last_crs: tuple[Directory, CRS | None] = {}, None


class _TiffReader(DatasetReader):  # type: ignore[misc]
    """Takes over the CRS of the TIFF before where the same bytes tell it: to ask PROJ takes longer than the rest."""

    def read_crs(self) -> CRS | None:
        """Return the CRS; rasterio calls this once, when it opens the file."""
        global _last_crs
        keys, crs = _last_crs
        own = _geo_keys(Path(self.name))
        if not own or own != keys:
            crs = super().read_crs()
            _last_crs = own, crs
        return crs


def _geo_keys(path: Path) -> Directory:
    """Return the tags that tell a TIFF's CRS; none where that is not as simple."""
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return read_directory(data, GEO_KEYS) if data[:2] == LITTLE else {}
    except (OSError, ValueError, KeyError, StopIteration, struct.error):
        return {}


@contextmanager
def _opened(name: str, driver: str | None, settings: Mapping[str, str]) -> Iterator[DatasetReader]:
    try:
        with _under(settings), quiet():
            reader = _TiffReader if driver == "GTiff" else rasterio.open
            src = reader(name, driver=driver, sharing=False)
    except UnicodeEncodeError:
        raise RasterError(f"{name}: its name is not UTF-8; rename it") from None
    except (RasterioError, OSError) as error:
        raise RasterError(f"{name} cannot be opened as a raster ({_reason(error)}): is it whole?") from error
    with closing(src):  # not `with src`, which would enter an Env of this thread until it is closed
        _check_sizes(name, src)
        yield src


def _driver(path: Path, typed: bool) -> str:
    if path.is_fifo() or path.is_socket():  # to open one waits until somebody writes to it
        raise RasterError(f"{path} is a pipe or a socket, a raster file is needed")
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except FileNotFoundError:
        raise RasterError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise RasterError(f"{path} is a folder, a raster file is needed") from None
    except OSError as error:
        raise RasterError(f"{path} cannot be read: {error.strerror}") from error
    for magic, driver in MAGIC.items():
        if start.startswith(magic):
            return driver
    if b"<VRTDataset" in start:
        if typed and path.suffix.lower() == ".vrt":
            return "VRT"
        raise RasterError(f"{path} is a VRT, which may point anywhere: name it yourself, as a .vrt, to have it read")
    what = "is empty" if not start else "is no GeoTIFF, PNG, JPEG or JPEG 2000"
    raise RasterError(f"{path} {what}")


def _check_sizes(name: str, src: DatasetReader) -> None:
    if src.dtypes[0].startswith("complex"):
        raise RasterError(
            f"{name} holds {src.dtypes[0]} pixels: neither an image nor a map holds complex numbers; make one of it "
            "first, such as of its amplitude"
        )
    itemsize = np.dtype(src.dtypes[0]).itemsize
    if src.driver in ("PNG", "JPEG", "JP2OpenJPEG"):
        if src.width * src.height > MOST_SEQUENTIAL_PIXELS:
            raise RasterError(
                f"{name} declares {src.width} wide × {src.height} high as {src.driver}: too large "
                "to decode; convert it to a tiled GeoTIFF"
            )
        return
    rows, cols = src.block_shapes[0]
    bands = src.count if str(src.profile.get("interleave")) == "pixel" else 1
    if rows * cols * bands * itemsize > MOST_BLOCK_BYTES:
        raise RasterError(
            f"{name} has blocks of {cols} wide × {rows} high, {bands} bands: each would take over "
            f"{MOST_BLOCK_BYTES >> 20} MiB; convert it to a tiled GeoTIFF"
        )


def _reason(error: BaseException) -> str:
    text = str(error.__cause__ or error) or type(error).__name__
    return text.splitlines()[0]
