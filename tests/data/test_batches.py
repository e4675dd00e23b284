"""Batches of unaligned models: maps of training tiles, and images drawn independently, also from tiles without maps."""

import numpy as np
import pytest
import torch
from makers_pictures import make_tileset
from torch.nn import functional as F

from sattrans.data import batches as batches_module
from sattrans.data.batches import Batches, TileStore, encode_color, to_levels, to_target
from sattrans.data.crops import Crops
from sattrans.errors import TrainingError
from sattrans.raster.palette import LandClass, Palette

CPU = torch.device("cpu")
PALETTE = Palette((LandClass(0, "field", (10, 200, 30)), LandClass(7, "wood", (0, 90, 20))))
TRAIN, UNPAIRED = 6, 5


@pytest.fixture(scope="module", params=[PALETTE, None], ids=["classes", "pictures"])
def tiles(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles") / "t"
    return make_tileset(folder, request.param, {"train": TRAIN, "val": 2, "unpaired": UNPAIRED})


def store(tileset, *splits):
    return TileStore(tileset, [tile for split in splits or ("train", "unpaired") for tile in tileset.split(split)])


def unaligned(tileset, batch_size=2, seed=0, rank=0, processes=1):
    return Batches(store(tileset), "color", batch_size, CPU, seed, "unaligned", rank, processes)


def same(one, other):
    return torch.equal(one.source, other.source) and torch.equal(one.target, other.target)


def test_an_epoch_uses_each_map_once_and_images_in_an_order_of_their_own(tiles):
    drawn = unaligned(tiles)
    assert drawn.per_epoch == TRAIN // 2
    steps = range(drawn.per_epoch)
    assert sorted(index for step in steps for index in drawn.maps_of(step)) == list(range(TRAIN))
    assert any(set(drawn.maps_of(step)) != set(drawn.images_of(step)) for step in steps)


@pytest.mark.parametrize("scale", [2, 4])
def test_coarse_images_are_cropped_with_the_images(tiles, scale):
    own = store(tiles, "train")

    def halves(indices):
        return to_levels(F.avg_pool2d(to_target(own.images(indices)), scale))

    drawn = Batches(own, "color", 3, CPU, 1, crop=16, refines=scale, coarse=halves)
    for step in range(6):
        batch = drawn.train(step)
        assert batch.coarse.shape == (3, 3, 16 // scale, 16 // scale)
        assert (batch.coarse - F.avg_pool2d(batch.target, scale)).abs().max() <= 1.01 / 255


def test_every_image_is_used_before_any_is_repeated(tiles):
    drawn = unaligned(tiles, batch_size=1)
    turns = [[drawn.images_of(turn * 11 + step)[0] for step in range(11)] for turn in range(2)]
    assert sorted(turns[0]) == sorted(turns[1]) == list(range(TRAIN + UNPAIRED))
    assert turns[0] != turns[1]


def test_an_aligned_model_uses_paired_tiles_alone(tiles):
    mixed, paired = (Batches(tiles_of, "color", 2, CPU, 3) for tiles_of in (store(tiles), store(tiles, "train")))
    assert mixed.per_epoch == paired.per_epoch == TRAIN // 2
    for step in range(4):
        assert mixed.images_of(step) == mixed.maps_of(step) == paired.maps_of(step)
        assert same(mixed.train(step), paired.train(step))
    assert [len(batch) for batch in mixed.plain()] == [2, 2, 2]


def test_validation_batches_of_an_unaligned_model_are_aligned(tiles):
    drawn = unaligned(tiles)
    assert sum(len(batch) for batch in drawn.plain()) == TRAIN
    image, map_ = drawn.store[3]
    batch = drawn.pick([3])
    assert torch.equal(batch.target[0], to_target(image[None])[0])
    assert torch.equal(batch.source[0], encode_color(map_[None], tiles.palette)[0])


def test_maps_and_images_are_cropped_and_flipped_independently(tiles, monkeypatch):
    drawn, aligned = unaligned(tiles, batch_size=6), Batches(store(tiles), "color", 6, CPU)
    crops = []
    take = Crops.take
    monkeypatch.setattr(Crops, "take", lambda self, tiles, drawn: crops.append(drawn) or take(self, tiles, drawn))
    for batches in (drawn, aligned):
        batches.train(0)
    assert crops[0] != crops[1]  # of images and of maps, unaligned
    assert crops[1] == crops[2] == crops[3]  # of maps as an aligned model's, and of both of its own


@pytest.mark.slow
def test_a_step_draws_the_same_whatever_came_before(tiles, monkeypatch):
    straight = unaligned(tiles, seed=7)
    expected = [straight.train(step) for step in range(9)]
    assert not same(expected[0], unaligned(tiles, seed=8).train(0))
    for part in (batches_module.CACHE_SHARE, 0.0):  # cached, and read each time, a step ahead
        monkeypatch.setattr(batches_module, "CACHE_SHARE", part)
        for first in (0, 4, 8):
            resumed = unaligned(tiles, seed=7)
            assert (resumed.store.device is None) == (part == 0)
            assert all(same(resumed.train(step), expected[step]) for step in range(first, 9))


def test_two_processes_take_the_halves_of_one_batch_twice_as_large(tiles):
    whole, first, second = (
        unaligned(tiles, 4),
        unaligned(tiles, 2, rank=0, processes=2),
        unaligned(tiles, 2, rank=1, processes=2),
    )
    for step in range(5):
        assert whole.images_of(step) == first.images_of(step) + second.images_of(step)
        assert whole.maps_of(step) == first.maps_of(step) + second.maps_of(step)
        parts = [part.train(step) for part in (first, second)]
        assert torch.equal(whole.train(step).target, torch.cat([part.target for part in parts]))
        assert torch.equal(whole.train(step).source, torch.cat([part.source for part in parts]))


def test_images_without_maps_need_no_map_and_no_memory_for_one(tiles):
    both = store(tiles)
    assert (len(both), both.paired) == (TRAIN + UNPAIRED, TRAIN)
    images = both.images([TRAIN, 0])
    assert images.shape == (2, 3, 64, 64)
    assert not np.array_equal(images[0], images[1])
    assert len(both._maps) == TRAIN


def test_a_damaged_image_without_a_map_is_named(tmp_path):
    tileset = make_tileset(tmp_path / "t", PALETTE, {"train": 2, "unpaired": 1})
    (tile,) = tileset.split("unpaired")
    path = tile.image_path(tileset.folder)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TrainingError, match=path.name):
        store(tileset).images([2])


def test_tiles_without_maps_come_last(tiles):
    with pytest.raises(ValueError, match="must come last"):
        store(tiles, "unpaired", "train")


@pytest.mark.parametrize("folder", ["images", "maps"])
def test_a_tile_whose_pixels_were_changed_is_refused_by_name(tmp_path, folder):
    """The changed file is a raster like the one that was made: only its hash tells."""
    made = make_tileset(tmp_path / "t", PALETTE, {"train": 2})
    one, other = sorted((made.folder / folder).glob("*.tif"))
    assert one.read_bytes() != other.read_bytes()
    one.write_bytes(other.read_bytes())
    with pytest.raises(TrainingError, match=rf"{folder}.{one.name} is missing or not the one that was made"):
        store(made, "train").stack([0, 1])
