"""Images with vector labels, as they lie on disks: one file of labels for all images, or one for each."""

from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

from sattrans.data.dataset import VECTOR_SUFFIXES, Scene, no_partner
from sattrans.data.layout import Layout, find_rasters, globbed
from sattrans.data.layout_names import read_folder_name
from sattrans.errors import DatasetNotFound


def vector_layout(root: Path, images: str | None, masks: str | None) -> Layout:
    """Return a scene for each image, with its vector labels as map.

    Args:
        root: The folder.
        images: Glob of the images; None for those that names show, else the rasters in the folder itself.
        masks: Glob of the labels; None for the vector files in the folder itself and in folders such as `labels/`.

    Raises:
        DatasetNotFound: There are no images or labels, or an image has no labels.
    """
    if not root.is_dir():
        raise DatasetNotFound(f"{root}: no such folder")
    pictures = globbed(root, images, "images") if images else find_rasters(root)
    labels = globbed(root, masks, "masks") if masks else _labels(root)
    if not pictures or not labels:
        lacking, option = ("images", "--images") if not pictures else ("vector files", "--masks")
        raise DatasetNotFound(f"{root} has no {lacking} that --rules could be for; say which with {option} GLOB")
    of_stem = {_stem(path): path for path in labels}
    if len(labels) > 1:
        unmatched = [path for path in pictures if _stem(path) not in of_stem]
        if unmatched:
            raise no_partner("image", unmatched, labels[0].parent)
    mask_of = {path: labels[0] if len(labels) == 1 else of_stem[_stem(path)] for path in pictures}
    scenes = tuple(Scene(normalize("NFC", path.stem), path, mask_of[path]) for path in pictures)
    if len({scene.id for scene in scenes}) < len(scenes):
        raise DatasetNotFound(f"{root}: two images have the same name; choose some of them with --images GLOB")
    return Layout(scenes, {}, f"{root}: {_some(pictures, root)} with labels {_some(list(mask_of.values()), root)}")


def _labels(root: Path) -> list[Path]:
    folders = [root, *(path for path in root.iterdir() if path.is_dir() and _holds_masks(path.name))]
    return [path for folder in folders for path in sorted(folder.iterdir()) if _is_vector(path)]


def _holds_masks(name: str) -> bool:
    named = read_folder_name(name)
    return named is not None and named.role == "mask"


def _is_vector(path: Path) -> bool:
    return path.suffix.lower() in VECTOR_SUFFIXES and path.is_file() and not path.name.startswith(".")


def _stem(path: Path) -> str:
    return normalize("NFC", path.stem.removesuffix(".osm"))


def _some(paths: Sequence[Path], root: Path) -> str:
    names = [path.relative_to(root).as_posix() for path in dict.fromkeys(paths)]
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]
