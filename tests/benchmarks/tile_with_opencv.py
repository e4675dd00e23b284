"""Cut LandCover.ai as its own instructions do, with OpenCV: `python tile_with_opencv.py ROOT OUT`.

Image and mask are read whole and cut into whole cells of 512 px: an image becomes a JPEG, a mask a PNG, both with
OpenCV's defaults. The number in a name counts every cell, those cut by the edge included.
"""

import sys
from pathlib import Path

import cv2

SIZE = 512


def main(root: Path, output: Path) -> None:
    output.mkdir()
    for path in sorted((root / "images").glob("*.tif")):
        image = cv2.imread(str(path))
        mask = cv2.imread(str(root / "masks" / path.name))
        height, width = image.shape[:2]
        corners = [(top, left) for top in range(0, height, SIZE) for left in range(0, width, SIZE)]
        for k, (top, left) in enumerate(corners):
            cell = slice(top, top + SIZE), slice(left, left + SIZE)
            if image[cell].shape[:2] == (SIZE, SIZE):
                cv2.imwrite(str(output / f"{path.stem}_{k}.jpg"), image[cell])
                cv2.imwrite(str(output / f"{path.stem}_{k}_m.png"), mask[cell])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
