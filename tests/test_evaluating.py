"""Evaluating: what is gathered of pairs, in any order of work, and whether a score tells pairs from shuffled ones."""

import numpy as np
import pytest
import torch
from makers import COLORS, make_indices, make_picture

from sattrans.evaluating.families import ClassColors, Pixels, Structure, Texture
from sattrans.evaluating.family import Pair, Setting
from sattrans.evaluating.gather import Gathered
from sattrans.evaluating.scoring import Scored
from sattrans.metrics.floors import paint, partners
from sattrans.metrics.pixel import mae, psnr

COUNT, SIZE = 12, 64
SETTING = Setting(SIZE, COUNT, ("a", "b", "c"))
MAPS = [torch.from_numpy(make_indices(SIZE, SIZE, 3, seed, 16)) for seed in range(COUNT)]
REAL = [torch.from_numpy(make_picture(map_.numpy(), seed)) for seed, map_ in enumerate(MAPS)]
TABLE = np.zeros((256, 3), np.uint8)
TABLE[: len(COLORS)] = COLORS


def scored(fakes):
    families = [kind(SETTING) for kind in (Pixels, Structure, ClassColors, Texture)]
    own, shuffled = Gathered(families), Gathered(families[:3])
    for number, other in enumerate(partners(COUNT)):
        own.add(Pair(fakes[number], REAL[number], number, MAPS[number], MAPS[number]))
        shuffled.add(Pair(fakes[number], REAL[other], number, MAPS[other], MAPS[other]))
    each = {str(number): own.each(number) for number in range(COUNT)}
    return Scored(own.scores(), shuffled.scores(), each, own.details())


def test_images_that_follow_their_map_are_told_from_shuffled_ones():
    result = scored([paint(map_, TABLE) for map_ in MAPS])
    for name in ("mae", "psnr", "class_color"):
        assert result.tells_pairs(name) is True, name
    assert result.tells_pairs("swd") is None
    assert result.details["class_color"].keys() == {"a", "b", "c"}


def test_images_that_know_no_map_are_not():
    grey = torch.full((3, SIZE, SIZE), 110, dtype=torch.uint8)
    result = scored([grey] * COUNT)
    for name in ("mae", "psnr", "ssim"):
        assert result.tells_pairs(name) is False, name


def test_the_score_of_a_set_is_the_mean_of_its_images():
    fakes = [paint(map_, TABLE) for map_ in MAPS]
    fakes[3] = REAL[3]  # has no PSNR: it is counted apart
    result = scored(fakes)
    assert result.scores["mae"].value == pytest.approx(np.mean([mae(f, r) for f, r in zip(fakes, REAL, strict=True)]))
    there = [psnr(f, r) for n, (f, r) in enumerate(zip(fakes, REAL, strict=True)) if n != 3]
    assert result.scores["psnr"].value == pytest.approx(np.mean(there))
    assert result.images["3"]["psnr"] is None
    assert result.images["3"]["mae"] == 0
    assert result.details["equal_images"] == 1
    assert "swd" not in result.images["0"]
    low, high = result.scores["mae"].interval
    assert low < result.scores["mae"].value < high
