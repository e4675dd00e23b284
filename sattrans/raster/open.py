"""Opening a raster: a file is opened only by the driver that its first bytes name, and checked before it is read."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from sattrans.errors import RasterError
from sattrans.raster.driver import driver_of
from sattrans.raster.gate import check_place, check_sizes
from sattrans.raster.georeference import Georeference, suppress_warnings
from sattrans.raster.orientation import check_upright
from sattrans.raster.pages import check_pages
from sattrans.raster.points import place_by_points
from sattrans.raster.side_mask import SUFFIX, SideMask
from sattrans.raster.sidecar import read_aux_xml, read_world_file
from sattrans.raster.tiff_reader import TiffReader
from sattrans.raster.window import Window
from sattrans.utils.addresses import BUCKETS, SCHEMES

REMOTE_SCHEMES = tuple(f"{scheme}://" for scheme in SCHEMES)

STRICT_OPTIONS = {
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",  # else it returns uninitialised memory for the missing part of a truncated PNG
}
NO_SIDECAR_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # open no file beside the raster: no .ovr, .msk, .aux.xml
    "GDAL_PAM_ENABLED": "NO",
}

CACHE_MEGABYTES = 64
"""Size of GDAL's cache of decoded blocks, for all threads. Each row of tiles is read once, so that GDAL's default, 5 %
of the machine's memory, would fill up without being used."""

STRIP_PIXELS = 1 << 22

_session = threading.local()


@contextmanager
def gdal_session(files_only: bool = False) -> Iterator[None]:
    """Configure GDAL once for many rasters, and limit its cache unless the user set a limit.

    The cache belongs to the process and is limited by the first session; all else applies to the current thread.

    Args:
        files_only: Whether every raster is a `Path`. GDAL's options are then set once, instead of for every raster.
    """
    cache = {} if "GDAL_CACHEMAX" in os.environ else {"GDAL_CACHEMAX": CACHE_MEGABYTES}
    options = {**STRICT_OPTIONS, **NO_SIDECAR_OPTIONS} if files_only else {}
    with rasterio.Env(**cache, **options):
        previous = getattr(_session, "options", None)
        _session.options = options if files_only else previous
        try:
            yield
        finally:
            _session.options = previous


def _gdal_env(options: Mapping[str, str]) -> AbstractContextManager[object]:
    """Return a context with these GDAL options; it is empty if the session has set them."""
    if getattr(_session, "options", None) == options:
        return nullcontext()
    env: AbstractContextManager[object] = rasterio.Env(**options)
    return env


@dataclass(frozen=True)
class Raster:
    """An open raster, or a window of one.

    Attributes:
        path: Its path or address, for messages.
        src: rasterio's open dataset.
        georeference: Where it lies.
        part: The window of `src` that it is limited to; None for all of it.
        gdal_options: Options for opening and reading. They apply to one thread during a call, since a raster may stay
            open, and be closed by another thread.
        side_mask: The mask file beside it, if there is one.
        named: Bands that the user named as colours; none of them is alpha, whatever the file says.
        resampled: Whether it is warped while it is read.
        notices: What the user should know about the file, a line each.
    """

    path: str
    src: DatasetReader
    georeference: Georeference
    part: Window | None = None
    gdal_options: Mapping[str, str] = field(default_factory=dict)
    side_mask: SideMask | None = None
    named: frozenset[int] = frozenset()
    resampled: bool = False
    notices: tuple[str, ...] = ()

    def crop(self, window: Window) -> "Raster":
        """Return a window as a raster of its own."""
        return replace(self, georeference=self.georeference.at(window), part=window)

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.part.height if self.part else int(self.src.height)

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.part.width if self.part else int(self.src.width)

    @property
    def bands(self) -> int:
        """The number of bands, including an alpha band."""
        return int(self.src.count)

    @property
    def window(self) -> Window:
        """The window of the complete raster."""
        return Window(0, 0, self.height, self.width)

    @property
    def dtype(self) -> str:
        """The data type of the first band, by its numpy name."""
        return str(self.src.dtypes[0])

    @property
    def bits(self) -> int:
        """The number of bits of a pixel of the first band, as it is stored: 1 in a bitmap, which is read as uint8."""
        stored = self.src.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", "")
        return int(stored) if stored.isdecimal() else 8 * np.dtype(self.dtype).itemsize

    @property
    def white_is_zero(self) -> bool:
        """Whether low values are shown as bright, as in a negative."""
        return bool(self.src.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES")

    @property
    def lossy(self) -> bool:
        """Whether the pixels are compressed with loss, by JPEG or WebP, which changes values near every edge."""
        if self.src.driver == "WEBP":
            return bool(self.src.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION_REVERSIBILITY") != "LOSSLESS")
        compression = self.src.compression
        return self.src.driver == "JPEG" or (compression is not None and "jpeg" in str(compression.value).lower())

    @property
    def codec(self) -> str:
        """The name of a compression with loss, for messages."""
        return "WebP" if self.src.driver == "WEBP" else "JPEG"

    @property
    def nodata(self) -> float | None:
        """The declared nodata value."""
        return None if self.src.nodata is None else float(self.src.nodata)

    @property
    def band_colors(self) -> tuple[str, ...]:
        """What each band is by the file's own words: "red", "alpha", "nir", "undefined" and so on."""
        return tuple(meaning.name for meaning in self.src.colorinterp)

    @property
    def alpha_band(self) -> int | None:
        """The number of the alpha band, counted from 1; None if there is none."""
        for number, meaning in enumerate(self.src.colorinterp, 1):
            if meaning == ColorInterp.alpha and number not in self.named:
                return number
        return None

    @cached_property
    def has_mask(self) -> bool:
        """Whether a mask, in the file or beside it, says which pixels are valid."""
        flags = self.src.mask_flag_enums[0]
        return self.side_mask is not None or (MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags)

    def colormap(self) -> dict[int, tuple[int, int, int]] | None:
        """Return the colour table, value to red, green, blue; None if there is none."""
        table = self.color_table()
        return {value: (red, green, blue) for value, (red, green, blue, _) in table.items()} if table else None

    def color_table(self) -> dict[int, tuple[int, int, int, int]] | None:
        """Return the colour table with alpha, of which 0 is transparent; None if there is none."""
        try:
            return dict(self.src.colormap(1))
        except ValueError:
            return None

    @cached_property
    def table(self) -> NDArray[np.uint8] | None:
        """The colour table as red, green, blue and alpha of each value, (256, 4); None if there is none."""
        colors = self.color_table()
        if not colors:
            return None
        table = np.full((256, 4), (0, 0, 0, 255), np.uint8)
        for value, color in colors.items():
            if value < 256:
                table[value] = color
        return table

    def tags(self) -> dict[str, str]:
        """Return the raster's metadata items."""
        return dict(self.src.tags())

    def strips(self, height: int | None = None) -> Iterator[Window]:
        """Yield windows of complete rows, from the top, to read all of a large raster.

        Args:
            height: Rows of a strip. By default 256 to 1024, fewer in a wide raster, since the reader may need eight
                bytes a pixel.
        """
        height = height or min(1024, max(256, STRIP_PIXELS // max(self.width, 1) // 256 * 256))
        for top in range(0, self.height, height):
            yield Window(top, 0, min(height, self.height - top), self.width)

    def read(
        self, window: Window | None = None, bands: Sequence[int] | None = None, interleaved: bool = False
    ) -> NDArray[np.generic]:
        """Return pixels as (bands, rows, columns).

        Always at full resolution: for a reduced read, GDAL would open the `OVERVIEW_FILE` that a TIFF's metadata names.

        Args:
            window: The pixels to read; None for all.
            bands: Band numbers, counted from 1; None for all.
            interleaved: Whether the array lies in memory pixel by pixel, as encoders of pictures expect it.

        Raises:
            RasterError: with the path, for any error that GDAL reports.
        """
        window = window or self.window
        numbers = list(bands or self.src.indexes)
        with self._reading(window):
            shape = window.height, window.width, len(numbers)
            out = np.empty(shape, self.dtype).transpose(2, 0, 1) if interleaved else None
            pixels: NDArray[np.generic] = self.src.read(numbers, window=self._in_src(window), out=out)
        return pixels

    def read_mask(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Return the mask, (H, W): 0 where the raster holds nothing. Only if `has_mask`.

        Raises:
            RasterError: as `read`, and if the file beside the raster is not its mask.
        """
        window = window or self.window
        with self._reading(window):
            if self.side_mask:
                return self.side_mask.read(self._in_src(window))
            mask: NDArray[np.uint8] = self.src.read_masks(1, window=self._in_src(window))
        return mask

    def _in_src(self, window: Window) -> RasterioWindow:
        left, top = (self.part.col, self.part.row) if self.part else (0, 0)
        return RasterioWindow(left + window.col, top + window.row, window.width, window.height)

    @contextmanager
    def _reading(self, window: Window) -> Iterator[None]:
        try:
            with _gdal_env(self.gdal_options):
                yield
        except (RasterioError, MemoryError) as error:
            raise RasterError(
                f"{self.path}: cannot read rows {window.row} to {window.bottom}, the file is damaged or cut short "
                f"({_reason(error)}); download or create it again"
            ) from error


def check_exists(source: str | Path) -> None:
    """Raise `RasterError` for a missing file, before other work is done for it; addresses are not requested."""
    if not (isinstance(source, str) and source.startswith(REMOTE_SCHEMES)) and not Path(source).exists():
        raise RasterError(f"{source}: no such file")


@contextmanager
def open_raster(source: str | Path) -> Iterator[Raster]:
    """Open a raster for reading.

    Args:
        source: A `Path` is a file that was found: it is opened by the driver that its first bytes name, whatever its
            suffix, and nothing beside it is read except a CRS, a transform and a mask (`.msk`, a GeoTIFF). A `str` is
            what a user typed: it may also be a `.vrt`, or an `https://` or `s3://` address.

    Raises:
        RasterError: if the source is missing, damaged, or not a raster of a supported format; if it is a picture that
            is not stored upright, or a TIFF of several pages.
    """
    if isinstance(source, str) and source.startswith(REMOTE_SCHEMES):
        with _open_dataset(source, None, STRICT_OPTIONS, _name_in_gdal(source)) as src:
            place, pages = check_place(source, src.crs, src.transform), tuple(check_pages(source, src))
            yield Raster(source, src, place, gdal_options=STRICT_OPTIONS, notices=pages)
        return
    path = Path(source)
    driver = driver_of(path, allow_vrt=isinstance(source, str))
    options = STRICT_OPTIONS if driver == "VRT" else {**STRICT_OPTIONS, **NO_SIDECAR_OPTIONS}
    check_upright(path, driver)
    # As an absolute path, because rasterio takes a name such as http:host or file:x.tif for an address.
    with _open_dataset(str(path), driver, options, str(path.absolute())) as src:
        notices = list(check_pages(str(path), src))
        crs, transform = src.crs, src.transform
        if crs is None or transform.is_identity:
            aux_crs, aux_transform = read_aux_xml(path)
            crs = crs or aux_crs
            if transform.is_identity:
                transform = aux_transform or read_world_file(path) or transform
        if transform.is_identity:
            crs, transform, notice = place_by_points(str(path), src, crs)
            notices += [notice] if notice else []
        georeference = check_place(str(path), crs, transform)
        raster = Raster(str(path), src, georeference, gdal_options=options, notices=tuple(notices))
        mask = path.with_name(path.name + SUFFIX)
        with closing(_side_mask(mask, src)) if mask.is_file() else nullcontext() as side_mask:
            yield replace(raster, side_mask=side_mask) if side_mask else raster


def _name_in_gdal(address: str) -> str:
    """Return GDAL's own name of an object, since rasterio takes a `#` or `?` for the end of the object's name."""
    scheme, _, rest = address.partition("://")
    return f"/vsi{scheme}/{rest}" if scheme in BUCKETS else address


def _side_mask(mask: Path, src: DatasetReader) -> SideMask:

    @contextmanager
    def opened() -> Iterator[DatasetReader]:
        if driver_of(mask, allow_vrt=False) != "GTiff":
            raise RasterError(f"{mask} is not a GeoTIFF, as GDAL writes masks; repair or remove it")
        options = {**STRICT_OPTIONS, **NO_SIDECAR_OPTIONS}
        with _open_dataset(str(mask), "GTiff", options, str(mask.absolute())) as opened_mask:
            yield opened_mask

    return SideMask(mask, opened, src.height, src.width)


def raster_size(path: Path) -> tuple[int, int]:
    """Return height and width of a raster, as its header has them. Raises `RasterError` as `open_raster` does."""
    with open_raster(path) as raster:
        return raster.height, raster.width


@contextmanager
def _open_dataset(
    name: str, driver: str | None, options: Mapping[str, str], source: str | None = None
) -> Iterator[DatasetReader]:
    """Open what rasterio knows as `source`; messages call it `name`."""
    try:
        with _gdal_env(options), suppress_warnings():
            reader = TiffReader if driver == "GTiff" else rasterio.open
            src = reader(source or name, driver=driver, sharing=False)
    except UnicodeEncodeError:
        raise RasterError(f"{name}: its name is not UTF-8; rename it") from None
    except (RasterioError, OSError) as error:
        remedy = "; is it complete?"
        if name.startswith(REMOTE_SCHEMES):
            folder = "" if Path(name).suffix else ", and end that of a folder in a slash"
            remedy = f"; check the address and the credentials{folder}"
        raise RasterError(f"cannot open {name} as a raster ({_reason(error)}){remedy}") from error
    with closing(src):  # not `with src`, which would change this thread's GDAL options until it is closed
        check_sizes(name, src, Path(source or name))
        yield src


def _reason(error: BaseException) -> str:
    text = str(error.__cause__ or error) or type(error).__name__
    return text.splitlines()[0]
