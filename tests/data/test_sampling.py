"""Balanced classes: which tiles and crops training sees more often; and map and image that are warped together."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from makers_pictures import make_tileset

from sattrans.data.batches import Batches, TileStore
from sattrans.data.crops import Crops
from sattrans.data.sampling import class_factors, tile_weights, weighted_order
from sattrans.data.tileset import Tileset
from sattrans.data.warp import displacements, warp
from sattrans.errors import OptionError
from sattrans.raster.palette import LandClass, Palette

PALETTE = Palette(
    (LandClass(1, "water", (0, 0, 255)), LandClass(4, "wood", (0, 128, 0)), LandClass(9, "road", (99, 99, 99)))
)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Four training tiles of 64 px, with maps of two of three classes."""
    palette = Palette(PALETTE.classes[:2])
    return make_tileset(tmp_path_factory.mktemp("tiles") / "t", palette, {"train": 4, "val": 1})


@pytest.fixture
def with_shares(tiles, monkeypatch):
    """The tileset, said to have three classes, and its training tiles other shares of them."""

    def make(*shares):
        named = [
            replace(tile, shares=dict(zip(PALETTE.names, row, strict=True)))
            for tile, row in zip(tiles.split("train"), shares, strict=True)
        ]
        monkeypatch.setattr(Tileset, "palette", PALETTE)
        monkeypatch.setattr(Tileset, "split", lambda self, name: named if name == "train" else [])
        return tiles

    return make


ROADS = ((1, 0, 0), (1, 0, 0), (0.5, 0.5, 0), (0.75, 0.25, 0))


def test_auto_counts_a_class_by_the_root_of_its_share(with_shares):
    factors = class_factors("auto", with_shares(*ROADS))
    assert factors == pytest.approx({"water": 1 / np.sqrt(3.25 / 4), "wood": 1 / np.sqrt(0.75 / 4)})


def test_numbers_count_the_named_classes_and_the_others_once(with_shares):
    tileset = with_shares(*ROADS)
    factors = class_factors("wood=3", tileset)
    assert factors == {"water": 1, "wood": 3}
    assert tile_weights(tileset.split("train"), factors).tolist() == pytest.approx([8 / 11, 8 / 11, 16 / 11, 12 / 11])


@pytest.mark.parametrize(
    ("balance", "message"),
    [
        ("road=2", "no training tile holds road; they hold water, wood"),
        ("lake=2", "has no class lake; available"),
        ("wod=2", "has no class wod; did you mean 'wood'?"),
        ("wood", "must be auto, or numbers for classes"),
        ("wood=0", "each above 0"),
        ("wood=inf", "each above 0"),
        ("wood=2,wood=3", "gives wood twice"),
    ],
)
def test_a_class_that_cannot_be_balanced_is_named(with_shares, balance, message):
    with pytest.raises(OptionError, match=message.replace("?", r"\?")):
        class_factors(balance, with_shares(*ROADS))


def test_each_index_is_drawn_as_often_as_its_weight_says_up_to_one():
    weights = torch.tensor([0.1, 1.0, 2.5, 0.4], dtype=torch.float64)
    for seed in range(20):
        drawn = Counter(weighted_order(weights, 37, torch.Generator().manual_seed(seed)))
        assert sum(drawn.values()) == 37
        assert all(abs(drawn[number] - 37 * float(weight) / 4) < 1 for number, weight in enumerate(weights))


def test_an_epoch_shows_the_rare_class_more_often_and_a_step_draws_the_same_again(tiles):
    shares = torch.tensor([[tile.shares[name] for name in tiles.palette.names] for tile in tiles.split("train")])
    rare = int(shares.sum(0).argmin())
    balance = {tiles.palette.names[rare]: 8.0, tiles.palette.names[1 - rare]: 1.0}

    def drawn(**how):
        return Batches(TileStore(tiles, tiles.split("train")), "onehot", 2, torch.device("cpu"), crop=32, **how)

    plain, balanced = drawn(), drawn(balance=balance)
    seen = [
        float(torch.stack([batches.train(step).source[:, rare].mean() for step in range(40)]).mean())
        for batches in (plain, balanced)
    ]
    assert seen[1] > seen[0] + 0.02
    assert torch.equal(balanced.train(7).target, drawn(balance=balance).train(7).target)


def test_of_two_crops_the_one_with_more_of_a_class_that_counts_is_taken():
    map_ = torch.zeros(1, 64, 64, dtype=torch.uint8)
    map_[0, :, :10] = 1
    map_[0, :, 40:44] = 2
    crops, factors = Crops(64, 32), torch.ones(256)
    left, right = (0, 0, False), (0, 30, False)
    assert crops.richer(map_, [left], [right]) == [left]  # the more even one
    factors[2] = 5
    assert crops.richer(map_, [left], [right], factors) == [right]


def test_map_and_image_are_warped_alike_smoothly_and_within_reach():
    rows = torch.arange(128, dtype=torch.uint8)[:, None].expand(128, 128)
    image, map_ = rows.float().expand(1, 3, 128, 128), rows[None]
    places = displacements(1, 128, 6, torch.Generator().manual_seed(3))
    picture, classes = warp(image, places), warp(map_, places)
    inner = (slice(None), slice(12, -12), slice(12, -12))
    assert (picture[:, 0] - classes)[inner].abs().max() <= 0.5 + 1e-3  # interpolated, against the nearest
    moved = (picture[:, 0] - rows)[inner]
    assert 1 < moved.abs().max() < 6 * 1.5  # bicubic interpolation overshoots
    assert moved.diff(dim=1).abs().max() < 1
    assert set(classes.unique().tolist()) <= set(map_.unique().tolist())
    assert torch.equal(warp(map_, displacements(1, 128, 0, torch.Generator())), map_)


def test_the_batches_of_a_warped_training_stay_pairs(tiles):
    def drawn(**how):
        return Batches(TileStore(tiles, tiles.split("train")), "onehot", 4, torch.device("cpu"), **how)

    still, warped = drawn().train(0), drawn(warp=4).train(0)
    assert not torch.equal(still.source, warped.source)
    assert set(warped.source.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(warped.target, drawn(warp=4).train(0).target)
