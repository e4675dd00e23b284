"""Crops: which part of a tile training sees, and how many make an epoch."""

import pytest
import torch
from makers_pictures import make_tileset

from sattrans.data.batches import Batches, TileStore
from sattrans.data.crops import Crops
from sattrans.raster.palette import LandClass, Palette

CPU = torch.device("cpu")
PALETTE = Palette((LandClass(1, "water", (0, 0, 255)), LandClass(4, "wood", (0, 128, 0))))


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Six training tiles of 64 px, with a map of two classes."""
    return make_tileset(tmp_path_factory.mktemp("tiles") / "t", PALETTE, {"train": 6, "val": 2})


def batches(tileset, side=32, **how):
    store = TileStore(tileset, tileset.split("train"))
    return Batches(store, "onehot", **{"batch_size": 4, "device": CPU, "crop": side, **how})


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count, size):
    """Tiles whose pixels all differ."""
    return torch.arange(count * size**2).reshape(count, size, size)


def test_a_part_is_taken_at_its_own_resolution_and_flipped_at_most():
    pixels, crops = numbered(8, 64), Crops(64, 32)
    drawn = crops.draw(8, generator())
    parts = crops.take(pixels, drawn)
    assert parts.shape == (8, 32, 32)
    for tile, part, (row, col, flip) in zip(pixels, parts, drawn, strict=True):
        expected = tile[row : row + 32, col : col + 32]
        assert torch.equal(part, expected.flip(-1) if flip else expected)
    assert {flip for *_, flip in drawn} == {False, True}
    assert len({(row, col) for row, col, _ in drawn}) > 4


def test_parts_reach_every_edge_of_a_tile_and_none_beyond():
    drawn = Crops(64, 60).draw(500, generator())
    assert {row for row, _, _ in drawn} == {col for _, col, _ in drawn} == set(range(5))


def test_image_and_map_of_a_batch_are_of_one_place(tiles):
    batch = batches(tiles).train(3)
    assert batch.source.shape == (4, 2, 32, 32)
    assert batch.target.shape == (4, 3, 32, 32)
    drawn = batches(tiles)
    store, crops = drawn.store, drawn.crops
    images, maps = store.stack(drawn.maps_of(3))
    places = drawn._map_crops(3, maps)
    assert torch.equal(crops.take(images, places).float() / 127.5 - 1, batch.target)
    assert torch.equal(crops.take(maps, places).long(), batch.source.argmax(1))


def test_a_part_larger_than_a_tile_is_the_tile(tiles):
    assert Crops(64, 128).side == 64
    assert batches(tiles, side=128).train(0).source.shape[-1] == 64


def test_an_epoch_has_as_many_parts_as_cover_the_tiles_and_at_least_a_hundred_steps():
    assert Crops(512, 128).repeats(1000, 4) == 16
    assert Crops(128, 128).repeats(1000, 4) == 1
    assert Crops(128, 128).repeats(6, 4) == 67  # 402 parts: 100 steps of 4
    assert Crops(128, 128).repeats(1, 4) == 400
    assert Crops(512).repeats(1, 1) == 1  # whole tiles: an epoch is once each, as in the paper


def test_each_tile_is_used_equally_often_in_an_epoch(tiles):
    drawn = batches(tiles, batch_size=3)
    assert drawn.per_epoch == 100
    used = [tile for step in range(drawn.per_epoch) for tile in drawn.maps_of(step)]
    assert {used.count(tile) for tile in range(6)} == {50}


def test_a_batch_may_be_larger_than_the_number_of_tiles(tmp_path):
    one = make_tileset(tmp_path / "t", PALETTE, {"train": 1, "val": 1})
    batch = batches(one).train(0)
    assert len(batch) == 4
    assert not torch.equal(batch.target[0], batch.target[1])


def test_a_step_draws_the_same_whatever_came_before(tiles):
    fresh, used = batches(tiles), batches(tiles)
    for step in range(7):
        used.train(step)
    one, other = fresh.train(7), used.train(7)
    assert torch.equal(one.source, other.source) and torch.equal(one.target, other.target)
    assert torch.equal(one.scene, other.scene)
    assert not torch.equal(one.target, batches(tiles, seed=1).train(7).target)


def test_two_processes_share_the_crops_of_one(tiles):
    whole = batches(tiles, batch_size=4).train(5)
    parts = [batches(tiles, batch_size=2, rank=rank, processes=2).train(5) for rank in (0, 1)]
    assert torch.equal(torch.cat([part.target for part in parts]), whole.target)
    assert torch.equal(torch.cat([part.source for part in parts]), whole.source)


def test_of_two_crops_the_one_with_more_even_classes_is_taken():
    map_ = torch.zeros(1, 64, 64, dtype=torch.uint8)
    map_[:, :, 48:] = 1
    plain, mixed = (0, 0, False), (0, 32, True)
    crops = Crops(64, 32)
    assert crops.richer(map_, [plain], [mixed]) == [mixed]
    assert crops.richer(map_, [mixed], [plain]) == [mixed]
    assert crops.richer(map_, [plain], [(5, 3, True)]) == [plain]  # as even: the first


def test_rare_classes_are_seen_more_often_than_they_lie_on_the_tiles():
    map_ = torch.zeros(1, 64, 64, dtype=torch.uint8)
    map_[:, :8, :8] = 1
    crops, one, other = Crops(64, 32), generator(1), generator(2)
    drawn, chosen = crops.draw(300, one), []
    for first, second in zip(drawn, crops.draw(300, other), strict=True):
        chosen += crops.richer(map_, [first], [second])
    plain, more = (
        float((torch.stack([crops.take(map_, [place])[0] for place in places]) == 1).float().mean())
        for places in (drawn, chosen)
    )
    assert more > 1.5 * plain


def test_pixels_without_a_class_make_no_crop_fail(tiles):
    map_ = torch.full((1, 64, 64), 255, dtype=torch.uint8)
    map_[:, 40:] = 0
    assert Crops(64, 32).richer(map_, [(0, 0, False)], [(24, 0, False)]) == [(24, 0, False)]


def test_pictures_have_no_classes_to_be_even(tmp_path):
    tileset = make_tileset(tmp_path / "t", None, {"train": 2, "val": 1})
    drawn = Batches(TileStore(tileset, tileset.split("train")), "color", 2, CPU, crop=32)
    assert drawn.train(0).source.shape == (2, 3, 32, 32)


def test_the_scene_of_each_image_is_in_the_batch(tiles):
    names = sorted({tile.scene for tile in tiles.split("train")})
    drawn = batches(tiles, scenes=names)
    scene = drawn.train(2).scene
    assert scene.tolist() == [names.index(drawn.store.tiles[index].scene) for index in drawn.images_of(2)]
    assert drawn.pick([0]).scene is None  # validation: of a scene that training may not know


def test_maps_and_images_of_an_unaligned_model_are_cropped_independently(tiles):
    drawn = batches(tiles, pairing="unaligned")
    assert drawn._map_crops(0, drawn.store.maps(drawn.maps_of(0))) != drawn._crops(0, stream=3)
    assert drawn.train(0).source.shape[-1] == drawn.train(0).target.shape[-1] == 32
