"""The mask file beside a raster (`a.tif.msk`), opened through the same checks as the raster when it is needed."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from sattrans.errors import RasterError

SUFFIX = ".msk"
"""What GDAL adds to the name of a raster for its mask file."""


class SideMask:
    """A mask file of one band in the raster's size, where 0 means that the raster holds nothing.

    Args:
        path: The mask file.
        opener: Opens it, as a GeoTIFF and nothing else.
        height: The raster's height in pixels.
        width: The raster's width in pixels.
    """

    def __init__(
        self, path: Path, opener: Callable[[], AbstractContextManager[DatasetReader]], height: int, width: int
    ) -> None:
        self.path = path
        self._opener, self._shape = opener, (height, width)
        self._stack = ExitStack()
        self._src: DatasetReader | None = None

    def read(self, window: RasterioWindow) -> NDArray[np.uint8]:
        """Return the mask in a window, (H, W). Raises `RasterError` if the file is not a mask of this raster."""
        try:
            mask: NDArray[np.uint8] = self._opened().read(1, window=window)
        except RasterioError as error:
            raise RasterError(f"{self.path} is damaged ({error}); repair or remove it") from error
        return mask

    def close(self) -> None:
        """Close the file, if it was opened."""
        self._stack.close()
        self._src = None

    def _opened(self) -> DatasetReader:
        if self._src is None:
            src = self._stack.enter_context(self._opener())
            if (src.height, src.width) != self._shape or src.count != 1 or src.dtypes[0] != "uint8":
                height, width = self._shape
                raise RasterError(
                    f"{self.path} has {src.count} bands of {src.width} wide × {src.height} high, {src.dtypes[0]}, but "
                    f"a mask has one 8-bit band of {width} × {height}; repair or remove it"
                )
            self._src = src
        return self._src
