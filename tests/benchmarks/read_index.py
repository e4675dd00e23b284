"""How long the index of a large tileset takes to be read: `python tests/benchmarks/read_index.py 137000`."""

import resource
import sys
import tempfile
import time
from pathlib import Path

from sattrans.data.tileset import SceneRecord, Tile, Tileset, manifest_body, write_index, write_tileset_manifest
from sattrans.raster.georeference import Georeference
from sattrans.raster.window import Window

SIZE, ACROSS = 256, 400
CLASSES = ("background", "building", "woodland", "water", "road")


def main(count: int) -> None:
    """Write an index of `count` tiles with five classes, and read it."""
    shares = dict.fromkeys(CLASSES, 0.2)
    hashes = f"{0:064x}", f"{1:064x}"
    here = Georeference(None, (0.5, 0.0, 500_000.0, 0.0, -0.5, 600_000.0))
    scene = SceneRecord("scene", "", "scene.tif", "mask.tif", SIZE * count // ACROSS + SIZE, SIZE * ACROSS, here)
    tiles = []
    for number in range(count):
        window = Window(number // ACROSS * SIZE, number % ACROSS * SIZE, SIZE, SIZE)
        files = (f"images/scene_{number}.tif", hashes[0], f"maps/scene_{number}.tif", hashes[1])
        tiles.append(Tile(f"scene_{number}", "scene", "train", window, shares, *files))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write_index(path, tiles, {"scene": scene})
        body = manifest_body("2026-01-01T00:00:00+00:00", {}, SIZE, None, [scene], tiles, [])
        write_tileset_manifest(path / "tileset.json", body)
        size = (path / "tiles.geojson").stat().st_size
        del tiles
        before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        read = Tileset.open(path).tiles
        seconds = time.process_time() - begun
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{len(read)} tiles, {size >> 20} MiB: {seconds:.1f} s of CPU, {grown >> 10} MB more memory")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 137_000)
