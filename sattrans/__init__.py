"""sattrans turns maps into satellite images. This room holds what dataset authors import; it loads no torch.

Each is loaded when it is first used, so that nothing stands between a command and its handler of Ctrl-C.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # what typing has for type checkers, without loading it
if TYPE_CHECKING:
    from typing import Any

    from sattrans.classes import CLASSES_FILE, read_classes
    from sattrans.dataset import Dataset, Scene, Split, paired_scenes, rasters_by_stem
    from sattrans.errors import ClassesError, DatasetNotFound, RasterError, SattransError
    from sattrans.grid import Cell, Window
    from sattrans.hookspecs import hookimpl
    from sattrans.palette import RGB, LandClass, Palette, distinct_colors
    from sattrans.raster.inspect import MaskFacts, inspect_mask
    from sattrans.version import __version__

# PyTorch looks at this when it first takes memory, and then asks the system for large pages. Without, the weights of a
# pix2pix lie on 53,000 small ones: a batch took a quarter longer, and in each process another time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

__all__ = [
    "CLASSES_FILE",
    "RGB",
    "Cell",
    "ClassesError",
    "Dataset",
    "DatasetNotFound",
    "LandClass",
    "MaskFacts",
    "Palette",
    "RasterError",
    "SattransError",
    "Scene",
    "Split",
    "Window",
    "__version__",
    "distinct_colors",
    "hookimpl",
    "inspect_mask",
    "paired_scenes",
    "rasters_by_stem",
    "read_classes",
]


HOMES = {
    "classes": ("CLASSES_FILE", "read_classes"),
    "dataset": ("Dataset", "Scene", "Split", "paired_scenes", "rasters_by_stem"),
    "errors": ("ClassesError", "DatasetNotFound", "RasterError", "SattransError"),
    "grid": ("Cell", "Window"),
    "hookspecs": ("hookimpl",),
    "palette": ("RGB", "LandClass", "Palette", "distinct_colors"),
    "raster.inspect": ("MaskFacts", "inspect_mask"),
    "version": ("__version__",),
}
"""The room that each name comes from."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for room, names in HOMES.items():
        if name in names:
            return getattr(import_module(f"sattrans.{room}"), name)
    raise AttributeError(f"module 'sattrans' has no attribute {name!r}")
