"""Side-by-side pairs as in the pix2pix repositories: one picture per pair, in the folders train, val and test.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017.
Its datasets, maps and aerial photos of New York among them: http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sattrans import Cell, Dataset, DatasetNotFound, Scene, Split, rasters_by_stem

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
    layout = "train/*.jpg (or .png; left and right half are a pair)\nval/*.jpg (optional)\ntest/*.jpg (optional)"
    licence = "that of the pictures; those of Isola et al. 2017 state none"
    homepage = "https://phillipi.github.io/pix2pix/"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Return whether there are pictures in `train/`."""
        train = root / "train"
        return train.is_dir() and any(path.suffix.lower() in SUFFIXES for path in train.glob("[!.]*"))

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
