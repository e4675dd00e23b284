"""sattrans turns maps into satellite images. This room holds what dataset authors import; it loads no torch.

What reads rasters is imported when it is first used, so that `import sattrans` stays quick.
"""

import os
from typing import TYPE_CHECKING, Any

from sattrans.classes import CLASSES_FILE, read_classes
from sattrans.dataset import Dataset, Scene, Split, paired_scenes, rasters_by_stem
from sattrans.errors import ClassesError, DatasetNotFound, RasterError, SattransError
from sattrans.grid import Cell, Window
from sattrans.hookspecs import hookimpl
from sattrans.palette import RGB, LandClass, Palette, distinct_colors
from sattrans.version import __version__

if TYPE_CHECKING:
    from sattrans.raster.inspect import MaskFacts, inspect_mask

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


def __getattr__(name: str) -> Any:
    if name in ("MaskFacts", "inspect_mask"):
        from sattrans.raster import inspect

        return getattr(inspect, name)
    raise AttributeError(f"module 'sattrans' has no attribute {name!r}")
