"""Pixels that hold nothing, in the real or in the generated image, are left out of scores."""

import numpy as np
import pytest
import torch
from makers import make_indices, make_picture, write_raster

from sattrans.evaluate import EvaluateOptions, evaluate_pairs
from sattrans.evaluate.base import ImagePair
from sattrans.metrics.structure import ms_ssim, ssim
from sattrans.raster.palette import UNKNOWN


def write(path, image, hole):
    alpha = np.where(hole, 0, 255).astype(np.uint8)[np.newaxis]
    write_raster(path, np.concatenate([image, alpha]), photometric="RGB", alpha="YES")


def test_transparent_pixels_of_either_side_are_left_out(tmp_path):
    real, made = make_picture(make_indices(64, 64, 3)), make_picture(make_indices(64, 64, 3, seed=4))
    hole, other = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    hole[:, :16], other[48:] = True, True
    for number in range(2):
        write(tmp_path / "real" / f"{number}.tif", np.where(hole, 0, real), hole)
        write(tmp_path / "made" / f"{number}.tif", np.where(other, 255, made), other)
    options = EvaluateOptions(metrics=("mae", "psnr", "ssim"))
    scores = evaluate_pairs(tmp_path / "real", [tmp_path / "made"], tmp_path / "e", options).columns[0].scores
    both = ~(hole | other)
    difference = np.abs(real.astype(int) - made)[:, both]
    assert scores.value("mae") == pytest.approx(difference.mean())
    assert scores.value("psnr") == pytest.approx(10 * np.log10(255**2 / (difference.astype(float) ** 2).mean()))
    part = torch.from_numpy(real[:, :48, 16:].copy()), torch.from_numpy(made[:, :48, 16:].copy())
    assert scores.value("ssim") == pytest.approx(ssim(*part))


def test_structure_is_measured_where_windows_are_whole():
    one, other = (torch.from_numpy(make_picture(make_indices(200, 260, 3, seed=seed))) for seed in (0, 1))
    valid = torch.ones(200, 260, dtype=torch.bool)
    assert ms_ssim(one, other, valid) == pytest.approx(ms_ssim(one, other))
    assert ssim(one, other, valid) == pytest.approx(ssim(one, other))
    valid[:, 192:] = False
    assert ssim(one, other, valid) == pytest.approx(ssim(one[..., :192], other[..., :192]))
    assert ms_ssim(one, other, valid) == pytest.approx(ms_ssim(one[..., :192], other[..., :192]))
    assert np.isnan(ssim(one, other, torch.zeros_like(valid)))


def test_a_pair_is_black_and_of_no_class_where_one_of_both_holds_nothing():
    one, other = torch.full((3, 4, 4), 9, dtype=torch.uint8), torch.full((3, 4, 4), 7, dtype=torch.uint8)
    map_ = torch.zeros(4, 4, dtype=torch.uint8)
    left, top = torch.ones(4, 4, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)
    left[:, 0], top[0] = False, False
    pair = ImagePair(one, other, 0, map_, map_)
    assert pair.where_valid(None, None) is pair
    masked = pair.where_valid(left, top)
    assert (masked.valid == (left & top)).all()
    assert (masked.fake[:, ~masked.valid] == 0).all() and (masked.real[:, masked.valid] == 7).all()
    assert (masked.fake_map[~masked.valid] == UNKNOWN).all()
