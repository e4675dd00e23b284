"""Which driver may open a file, by its first bytes."""

from pathlib import Path

from sattrans.errors import RasterError
from sattrans.raster.tile_formats import READ, READABLE

DRIVER_OF_MAGIC = {magic: spec.driver for spec in READ for magic in spec.magic}
"""First bytes of a file, and the only GDAL driver that then opens it."""


def driver_of(path: Path, allow_vrt: bool) -> str:
    """Return the driver that opens a file, by its first bytes.

    Raises:
        RasterError: if it cannot be read, is of no supported format, or is a VRT although none is allowed.
    """
    if path.is_fifo() or path.is_socket():  # opening one would wait until another process writes to it
        raise RasterError(f"{path} is a pipe or a socket; give a raster file")
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except FileNotFoundError:
        raise RasterError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise RasterError(f"{path} is a folder; give a raster file") from None
    except OSError as error:
        raise RasterError(f"cannot read {path}: {error.strerror}") from error
    for magic, driver in DRIVER_OF_MAGIC.items():
        if start.startswith(magic) and (driver != "WEBP" or start[8:12] == b"WEBP"):  # RIFF holds sounds, too
            return driver
    if b"<VRTDataset" in start:
        if allow_vrt and path.suffix.lower() == ".vrt":
            return "VRT"
        raise RasterError(f"{path} is a VRT, which may refer to any file; to read it, give the path of the .vrt itself")
    if not start:
        raise RasterError(f"{path} is empty")
    raise RasterError(
        f"{path} is not a {READABLE}; convert a raster of another format first, such as with gdal_translate {path} "
        "map.tif"
    )
