"""Further pages of a TIFF: GDAL reads the first one only."""

import re
from collections.abc import Iterator

from rasterio.io import DatasetReader

from sattrans.errors import RasterError

PAGE = re.compile(r"Page \d+ \((\d+)P x (\d+)L")
"""GDAL's words for a page: its width and height."""


def check_pages(name: str, src: DatasetReader) -> Iterator[str]:
    """Yield a notice if a TIFF has further pages; overviews and masks are none.

    Raises `RasterError` if one is as large as the first: pages of one size are bands, dates or sheets, and it is not
    for us to choose one.
    """
    pages = src.subdatasets if src.driver == "GTiff" else []
    if len(pages) < 2:
        return
    descriptions = src.tags(ns="SUBDATASETS")
    sizes = []
    for number in range(1, len(pages) + 1):
        match = PAGE.match(descriptions.get(f"SUBDATASET_{number}_DESC", ""))
        sizes.append((int(match[1]), int(match[2])) if match else (src.width, src.height))
    alike = sum(size == (src.width, src.height) for size in sizes)
    if alike > 1:
        raise RasterError(
            f"{name} has {alike} pages of {src.width} wide × {src.height} high, of which one alone can be read; save "
            "each page as a file of its own, or the pages as bands of one page"
        )
    yield f"{name} has {len(pages)} pages; the first is read, the others are left out"
