"""LandCover.ai v1: 41 orthophotos of Poland with masks of four classes and background.

Boguszewski et al., "LandCover.ai: Dataset for Automatic Mapping of Buildings, Woodlands, Water and Roads from
Aerial Imagery", CVPR Workshops 2021. https://landcover.ai.linuxpolska.com
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from sattrans import Cell, Dataset, DatasetNotFound, LandClass, Palette, Scene, Split, paired_scenes

SPLIT_FILES: tuple[Split, ...] = ("train", "val", "test")


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
        """Return whether there are images, masks and one of the archive's split files."""
        own = [f"{split}.txt" for split in SPLIT_FILES] + ["split.py"]
        return (root / "images").is_dir() and (root / "masks").is_dir() and any((root / name).is_file() for name in own)

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
    def _split_of_id(self) -> dict[str, Split]:
        listed: dict[str, Split] = {}
        for split in SPLIT_FILES:
            path = self.root / f"{split}.txt"
            if not path.is_file():
                continue
            try:
                lines = path.read_text(encoding="utf-8").split()
            except UnicodeDecodeError as error:
                raise DatasetNotFound(
                    f"{path} is not a list of tile ids ({error.reason}); download it again"
                ) from error
            for line in lines:
                if listed.setdefault(line, split) != split:
                    raise DatasetNotFound(
                        f"{path} lists {line}, which is in {listed[line]}.txt, too; download the dataset's lists again"
                    )
        return listed

    def published_split(self, scene: Scene, cell: Cell) -> Split | None:
        """Return the split whose list contains `<scene>_<k>`; None for cells cut by the edge."""
        return self._split_of_id.get(f"{scene.id}_{cell.k}")
