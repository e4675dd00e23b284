"""sattrans turns maps into satellite images. Here is what dataset authors import; it loads no torch.

Each name is loaded when it is first used, so that nothing stands between a command and its handler of Ctrl-C.
"""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False  # what typing has for type checkers, without loading it
if TYPE_CHECKING:
    from sattrans.data.classes_toml import CLASSES_FILE, read_classes
    from sattrans.data.dataset import Dataset, Scene, Split, paired_scenes, rasters_by_stem
    from sattrans.data.dataset_toml import DatasetFile, read_dataset_toml
    from sattrans.data.layout import Layout, find_layout, globbed_layout, has_layout
    from sattrans.data.split_lists import SplitLists, read_split_lists
    from sattrans.data.vector_layout import vector_layout
    from sattrans.errors import ClassesError, DatasetNotFound, RasterError, SattransError
    from sattrans.plugins.hookspecs import hookimpl
    from sattrans.raster.inspect import MaskFacts, inspect_mask
    from sattrans.raster.open import raster_size
    from sattrans.raster.palette import RGB, LandClass, Palette, distinct_colors
    from sattrans.raster.window import Cell, Window
    from sattrans.utils.version import __version__

__all__ = [
    "CLASSES_FILE",
    "RGB",
    "Cell",
    "ClassesError",
    "Dataset",
    "DatasetFile",
    "DatasetNotFound",
    "LandClass",
    "Layout",
    "MaskFacts",
    "Palette",
    "RasterError",
    "SattransError",
    "Scene",
    "Split",
    "SplitLists",
    "Window",
    "__version__",
    "distinct_colors",
    "find_layout",
    "globbed_layout",
    "has_layout",
    "hookimpl",
    "inspect_mask",
    "paired_scenes",
    "raster_size",
    "rasters_by_stem",
    "read_classes",
    "read_dataset_toml",
    "read_split_lists",
    "vector_layout",
]


__getattr__ = lazy_names(
    __name__,
    {
        "data.classes_toml": ("CLASSES_FILE", "read_classes"),
        "data.dataset": ("Dataset", "Scene", "Split", "paired_scenes", "rasters_by_stem"),
        "data.dataset_toml": ("DatasetFile", "read_dataset_toml"),
        "data.layout": ("Layout", "find_layout", "globbed_layout", "has_layout"),
        "raster.open": ("raster_size",),
        "data.vector_layout": ("vector_layout",),
        "data.split_lists": ("SplitLists", "read_split_lists"),
        "errors": ("ClassesError", "DatasetNotFound", "RasterError", "SattransError"),
        "raster.window": ("Cell", "Window"),
        "plugins.hookspecs": ("hookimpl",),
        "raster.palette": ("RGB", "LandClass", "Palette", "distinct_colors"),
        "raster.inspect": ("MaskFacts", "inspect_mask"),
        "utils.version": ("__version__",),
    },
)
