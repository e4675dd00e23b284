"""Silence for what rasterio warns of and we know: that a raster has no georeference."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from warnings import catch_warnings, simplefilter

from rasterio.errors import NotGeoreferencedWarning

# Python's filters belong to the process: two threads that set and restore them undo each other's.
_turn = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep quiet about missing georeference while a raster is opened; one thread at a time."""
    with _turn, catch_warnings():
        simplefilter("ignore", NotGeoreferencedWarning)
        yield
