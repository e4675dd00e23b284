"""The floor under `sattrans tile`: decode, encode and write the same tiles, and nothing else, in two threads.

`python tile_bare.py ROOT OUT`. No checks, no index, no hashes, no flush to the disk.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rasterio
from rasterio.io import MemoryFile
from rasterio.windows import Window, transform

SIZE = 512
COLORS = {0: (0, 0, 0), 1: (97, 74, 74), 2: (38, 115, 0), 3: (0, 197, 255), 4: (207, 207, 207)}


def cut(job):
    """Cut one row of tiles of one raster."""
    path, top, folder, predictor = job
    with rasterio.open(path) as src:
        row = src.read(window=Window(0, top, src.width, SIZE))
        profile = {"driver": "GTiff", "dtype": "uint8", "count": src.count, "height": SIZE, "width": SIZE}
        profile |= {"crs": src.crs, "interleave": "band", "blockysize": 256, "predictor": predictor}
        for left in range(0, src.width - SIZE + 1, SIZE):
            place = transform(Window(left, top, SIZE, SIZE), src.transform)
            with MemoryFile() as memory:
                with memory.open(**profile, transform=place, compress="zstd", zstd_level=1) as dst:
                    dst.write(row[:, :, left : left + SIZE])
                    if src.count == 1:
                        dst.write_colormap(1, COLORS)
                (folder / f"{path.stem}_{top}_{left}.tif").write_bytes(memory.getbuffer())


def main(root: Path, output: Path) -> None:
    jobs = []
    for name, predictor in (("images", 2), ("masks", 1)):
        (output / name).mkdir(parents=True)
        for path in sorted((root / name).glob("*.tif")):
            with rasterio.open(path) as src:
                tops = range(0, src.height - SIZE + 1, SIZE)
            jobs += [(path, top, output / name, predictor) for top in tops]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(cut, jobs))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
