"""Datasets at their true sizes, made as files that hold no block: the published cells and counts come out."""

import time

import numpy as np
import pytest
import rasterio
from affine import Affine

from sattrans.tile import TileOptions, tile
from sattrans.tile.prepare import prepare

LARGE, SMALL = (9500, 9000), (4700, 4200)
"""LandCover.ai: 33 scenes of a quarter of a metre a pixel and 8 of half a metre, height and width in pixels."""

SPLIT_SIZES = {"train": 7470, "val": 1602, "test": 1602}


def write_sparse(path, count, height, width, crs, transform):
    """Write a raster that is all zeros, because none of its blocks is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        height=height,
        width=width,
        dtype="uint8",
        crs=crs,
        transform=transform,
        SPARSE_OK=True,
    ):
        pass


def whole_cells(height, width, size=512):
    """The counters of the cells that lie wholly inside; those cut by the edge are counted, too."""
    columns = -(-width // size)
    return [row * columns + col for row in range(height // size) for col in range(width // size)]


@pytest.fixture(scope="module")
def landcover(tmp_path_factory):
    root = tmp_path_factory.mktemp("true") / "landcover"
    ids = []
    for number in range(41):
        height, width = LARGE if number < 33 else SMALL
        resolution = 0.25 if number < 33 else 0.5
        stem = f"M-34-{number:02}-A-a-1-1"
        place = Affine(resolution, 0, 300_000 + 5_000 * number, 0, -resolution, 600_000)
        write_sparse(root / "images" / f"{stem}.tif", 3, height, width, "EPSG:2180", place)
        write_sparse(root / "masks" / f"{stem}.tif", 1, height, width, "EPSG:2180", place)
        ids += [f"{stem}_{k}" for k in whole_cells(height, width)]
    order = iter(np.random.default_rng(0).permutation(ids).tolist())
    for split, count in SPLIT_SIZES.items():
        (root / f"{split}.txt").write_text("".join(f"{next(order)}\n" for _ in range(count)))
    assert next(order, None) is None
    return root


def test_landcover_has_its_10674_tiles_with_the_gaps_between_their_ids(landcover, tmp_path):
    begin = time.monotonic()
    job = prepare(landcover, tmp_path / "t", TileOptions())
    assert job.size == 512
    assert len(job.plan.cells) == 10_674
    for split, count in SPLIT_SIZES.items():
        listed = set((landcover / f"{split}.txt").read_text().split())
        assert {f"{c.scene}_{c.cell.k}" for c in job.plan.cells if c.split == split} == listed
        assert len(listed) == count
    # The last column and the last row stick out, so no list has their ids: every 18th, and all from 324 on.
    large = {c.cell.k for c in job.plan.cells if c.scene == "M-34-00-A-a-1-1"}
    assert set(range(18 * 19)) - large == {*range(17, 18 * 19, 18), *range(18 * 18, 18 * 19)}
    small = {c.cell.k for c in job.plan.cells if c.scene == "M-34-40-A-a-1-1"}
    assert set(range(9 * 10)) - small == {*range(8, 9 * 10, 9), *range(9 * 9, 9 * 10)}
    assert time.monotonic() - begin < 20


def test_a_dry_run_over_landcover_counts_the_same_and_writes_nothing(landcover, tmp_path):
    begin = time.monotonic()
    plan = tile(landcover, tmp_path / "t", dry_run=True).plan
    assert plan.splits == SPLIT_SIZES
    assert [(scene.height, scene.width) for scene in plan.scenes] == [LARGE] * 33 + [SMALL] * 8
    assert [sum(scene.splits.values()) for scene in plan.scenes] == [306] * 33 + [72] * 8
    assert not (tmp_path / "t").exists()
    assert time.monotonic() - begin < 30


def test_landcover_at_half_the_size_has_four_tiles_where_it_had_one(landcover, tmp_path):
    job = prepare(landcover, tmp_path / "t", TileOptions(size=256))
    inside = {split: 4 * count for split, count in SPLIT_SIZES.items()}
    assert {split: sum(c.split == split for c in job.plan.cells) for split in SPLIT_SIZES} == inside


def test_inria_has_361_tiles_of_256_px_a_scene(tmp_path):
    train = tmp_path / "inria" / "AerialImageDataset" / "train"
    names = [f"{city}{number}" for city in ("austin", "chicago") for number in (1, 5, 6, 36)]
    for place, name in enumerate(names):
        there = Affine(0.3, 0, 600_000 + 2_000 * place, 0, -0.3, 3_350_000)
        write_sparse(train / "images" / f"{name}.tif", 3, 5000, 5000, "EPSG:26914", there)
        write_sparse(train / "gt" / f"{name}.tif", 1, 5000, 5000, "EPSG:26914", there)
    plan = tile(tmp_path / "inria", tmp_path / "t", TileOptions(size=256), dry_run=True).plan
    assert {scene.id: dict(scene.splits) for scene in plan.scenes} == {
        name: {"val" if name[-1] in "15" else "train": 361} for name in names
    }


def test_a_scene_of_true_size_is_cut_into_its_tiles(landcover, tmp_path):
    root = tmp_path / "landcover"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
        (root / folder / "M-34-00-A-a-1-1.tif").hardlink_to(landcover / folder / "M-34-00-A-a-1-1.tif")
    for split in SPLIT_SIZES:
        (root / f"{split}.txt").hardlink_to(landcover / f"{split}.txt")
    tileset = tile(root, tmp_path / "t").tileset
    assert len(tileset.tiles) == len(list((tmp_path / "t" / "maps").iterdir())) == 306
    assert {item.shares["background"] for item in tileset.tiles} == {1.0}
