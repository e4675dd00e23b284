"""LandCover.ai v1: 41 orthophotos of Poland with masks of four classes and background.

Boguszewski et al., "LandCover.ai: Dataset for Automatic Mapping of Buildings, Woodlands, Water and Roads from
Aerial Imagery", CVPR Workshops 2021. https://landcover.ai.linuxpolska.com
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from sattrans import (
    Cell,
    Dataset,
    DatasetNotFound,
    LandClass,
    Palette,
    Scene,
    Split,
    SplitLists,
    paired_scenes,
    rasters_by_stem,
    read_split_lists,
)

TILE_ID = re.compile(r"(.+)_\d+")


class LandCover(Dataset):
    """`images/` and `masks/` with the same stems, and the lists `train.txt`, `val.txt`, `test.txt` of the archive.

    The values 0 to 4 are classes; 0 is the background, not nodata. The published split divides each scene into
    512 px cells named `<scene>_<k>`; k counts all cells, including those cut by the edge, so the published ids have
    gaps.
    """

    name = "landcover"
    title = "LandCover.ai v1"
    layout = "images/*.tif\nmasks/*.tif\ntrain.txt val.txt test.txt (or split.py)"
    licence = "CC BY-NC-SA 4.0"
    homepage = "https://landcover.ai.linuxpolska.com"
    published_size = 512

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Return whether there are images, masks, and the archive's script or its lists of `<scene>_<k>`."""
        if not ((root / "images").is_dir() and (root / "masks").is_dir()):
            return False
        if (root / "split.py").is_file():
            return True
        try:
            lists = read_split_lists(root)
        except DatasetNotFound:  # said when the lists are used
            return True
        scenes = rasters_by_stem(root / "images") if lists.split_of else {}
        ids = [TILE_ID.fullmatch(name) for name in lists.split_of]
        # Lists of whole scenes are those of another dataset; of an archive unpacked in part, no id may have a scene.
        return bool(lists.lists) and (not scenes or any(ids)) and not any(name in scenes for name in lists.split_of)

    @property
    def palette(self) -> Palette:
        """The classes in the usual colours of this dataset, with a black background."""
        return Palette(
            (
                LandClass(0, "background", (0, 0, 0)),
                LandClass(1, "building", (97, 74, 74)),
                LandClass(2, "woodland", (38, 115, 0)),
                LandClass(3, "water", (0, 197, 255)),
                LandClass(4, "road", (207, 207, 207)),
            )
        )

    def scenes(self) -> Iterator[Scene]:
        """Yield a scene for each image and mask of the same stem."""
        yield from paired_scenes(self.root / "images", self.root / "masks")

    @cached_property
    def _lists(self) -> SplitLists:
        return read_split_lists(self.root)

    def published_split(self, scene: Scene, cell: Cell) -> Split | None:
        """Return the split whose list contains `<scene>_<k>`; None for cells cut by the edge."""
        return self._lists.split_of.get(f"{scene.id}_{cell.k}")

    def split_notices(self, cells: Mapping[str, int]) -> Iterator[str]:
        """Yield which entries of the lists name no tile."""
        known = {f"{scene}_{k}" for scene, count in cells.items() for k in range(count)}
        yield from self._lists.notices(known, "tile")
