"""Opening many GeoTIFFs of one CRS quickly."""

import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path

from rasterio.crs import CRS
from rasterio.io import DatasetReader

from sattrans.raster.cog.tiff import GEO_KEYS, LITTLE_ENDIAN, Directory, read_directory

_last_crs: tuple[Directory, CRS | None] = {}, None


class TiffReader(DatasetReader):  # type: ignore[misc]
    """Reuses the CRS of the previous TIFF if the same bytes encode it, since PROJ takes longer than all else."""

    def read_crs(self) -> CRS | None:
        """Return the CRS; rasterio calls this once, when it opens the file."""
        global _last_crs
        last_keys, crs = _last_crs
        keys = _geo_keys(Path(self.name))
        if not keys or keys != last_keys:
            crs = super().read_crs()
            _last_crs = keys, crs
        return crs


def _geo_keys(path: Path) -> Directory:
    """Return the tags that encode a TIFF's CRS; empty if they cannot be read in this simple way."""
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return read_directory(data, GEO_KEYS) if data[:2] == LITTLE_ENDIAN else {}
    except (OSError, ValueError, KeyError, StopIteration, struct.error):
        return {}
