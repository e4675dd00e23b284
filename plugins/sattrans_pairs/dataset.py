"""Side-by-side pairs as in the pix2pix repositories: one picture per pair, in the folders train, val and test.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017.
Its datasets, maps and aerial photos of New York among them: http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sattrans import Cell, Dataset, DatasetNotFound, RasterError, Scene, Split, has_layout, raster_size, rasters_by_stem

SPLITS: tuple[Split, ...] = ("train", "val", "test")
SUFFIXES = (".jpg", ".jpeg", ".png")

NOT_IN_IDS = re.compile(r"[\s\\]")
"""Characters that are not allowed in a scene's id, such as the space in "1 (2).jpg"."""


class Pairs(Dataset):
    """`train/` and, if they exist, `val/` and `test/`: each file is a pair A|B, left half and right half.

    Maps are pictures without classes. A scene is a pair; its split and its region are its folder.
    """

    name = "pairs"
    title = "map and image side by side, as for pix2pix"
    layout = (
        "train/*.jpg (or .png; twice as wide as high: left and right half are a pair)\n"
        "val/*.jpg (optional)\n"
        "test/*.jpg (optional)"
    )
    licence = "that of the pictures; those of Isola et al. 2017 state none"
    named_after_folder = True
    homepage = "https://phillipi.github.io/pix2pix/"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Return whether the pictures in `train/` hold two squares each, and are no images or masks by their names.

        The sizes of the first and the last picture are read.
        """
        train = root / "train"
        if not train.is_dir() or has_layout(root):
            return False
        pictures = sorted(path for path in train.glob("[!.]*") if path.suffix.lower() in SUFFIXES)
        try:
            sizes = [raster_size(path) for path in pictures[:1] + pictures[-1:]]
        except RasterError:  # said when it is read
            return True
        return bool(sizes) and all(width == 2 * height for height, width in sizes)

    @property
    def palette(self) -> None:
        """None, because the maps are pictures."""

    def scenes(self) -> Iterator[Scene]:
        """Yield a scene for each picture: those of train, then of val, then of test."""
        if not rasters_by_stem(self.root / "train"):
            raise DatasetNotFound(
                f"no pictures in {self.root / 'train'}; each picture there must have map and image side by side"
            )
        for split in SPLITS:
            path_of: dict[str, Path] = {}
            for stem, path in rasters_by_stem(self.root / split).items():
                id_ = f"{split}_{NOT_IN_IDS.sub('_', stem)}"
                if id_ in path_of:
                    raise DatasetNotFound(f"{path_of[id_]} and {path} differ only in white space; rename one")
                path_of[id_] = path
                yield Scene(id_, path, path, region=split, side_by_side=True)

    def published_split(self, scene: Scene, cell: Cell) -> Split | None:
        """Return the folder of the pair."""
        return next((split for split in SPLITS if split == scene.region), None)
