"""Folders of images for --pairs: large images are read and scored by windows."""

import itertools

import numpy as np
import pytest
from makers import make_indices, make_picture, write_raster
from PIL import Image

from sattrans.evaluate import EvaluateOptions, evaluate_pairs, folders
from sattrans.evaluate.folders import FolderImages, RealFolder, windows_of
from sattrans.raster.open import Raster


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(folders, "MAX_WHOLE", 100 * 100)
    monkeypatch.setattr(folders, "WINDOW_SIDE", 64)


def write(path, pixels, hole=None, suffix="tif"):
    alpha = [] if hole is None else [np.where(hole, 0, 255).astype(np.uint8)[np.newaxis]]
    pixels = np.concatenate([pixels, *alpha])
    if suffix == "tif":
        write_raster(path.with_suffix(".tif"), pixels, **({"photometric": "RGB", "alpha": "YES"} if alpha else {}))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.moveaxis(pixels, 0, -1)).save(path.with_suffix(f".{suffix}"))


def pictures(count, height, width):
    """Return real images, and others that differ by noise, (N, 3, H, W)."""
    side = max(height, width)
    real = np.stack([make_picture(make_indices(side, side, 3, seed), seed) for seed in range(count)])
    real = real[..., :height, :width]
    noise = np.random.default_rng(1).normal(0, 9, real.shape)
    return real, np.clip(real + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("length", [1, 1023, 1024, 1025, 4097, 10_000, 23_457])
def test_windows_are_even_and_cover_each_pixel(length):
    windows = windows_of(length, 1 << 22 if length == 1 else 5000)
    rows = sorted({(window.row, window.bottom) for window in windows})
    assert {window.height for window in windows} == {rows[0][1]} and rows[0][1] <= 1024
    assert rows[0][0] == 0 and rows[-1][1] == length
    assert all(0 <= above[1] - below[0] <= 1 for above, below in itertools.pairwise(rows))


def test_small_images_are_scored_whole():
    assert len(windows_of(2048, 2048)) == 1 and len(windows_of(2048, 2049)) == 6


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_windows_together_have_the_scores_of_the_images(tmp_path, small_windows, suffix):
    real, made = pictures(2, 128, 192)
    for number in range(2):
        write(tmp_path / "real" / str(number), real[number], suffix=suffix)
        write(tmp_path / "made" / str(number), made[number], suffix=suffix)
    options = EvaluateOptions(metrics=("mae", "ssim"))
    result = evaluate_pairs(tmp_path / "real", [tmp_path / "made"], tmp_path / "e", options)
    assert result.images == 12
    assert result.notes[0].startswith("the images of 192 × 128 px are scored in 12 windows of 64 × 64 px")
    scores = result.columns[0].scores
    assert scores.value("mae") == pytest.approx(np.abs(real.astype(int) - made).mean())
    assert list(scores.images) == [f"{name}_{k}" for name in (0, 1) for k in range(6)]
    window = np.s_[1, :, 64:128, 128:192]
    assert scores.images["1_5"]["mae"] == pytest.approx(np.abs(real[window].astype(int) - made[window]).mean())
    assert scores.shuffled["mae"].value > 2 * scores.value("mae")


def test_windows_without_data_are_left_out(tmp_path, small_windows):
    real, made = pictures(1, 128, 192)
    hole = np.zeros((128, 192), bool)
    hole[:64, :100] = True
    write(tmp_path / "real" / "a", real[0], hole)
    write(tmp_path / "made" / "a", made[0])
    options = EvaluateOptions(metrics=("mae",))
    result = evaluate_pairs(tmp_path / "real", [tmp_path / "made"], tmp_path / "e", options)
    scores = result.columns[0].scores
    assert list(scores.images) == ["a_1", "a_2", "a_3", "a_4", "a_5"]
    assert "5 windows of 64 × 64 px, without 1 that hold no data" in result.notes[0]
    window = np.s_[0, :, :64, 100:128]
    assert scores.images["a_1"]["mae"] == pytest.approx(np.abs(real[window].astype(int) - made[window]).mean())


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_no_more_than_a_window_or_a_strip_of_large_images_is_read_at_once(tmp_path, small_windows, monkeypatch, suffix):
    real, made = pictures(2, 256, 256)
    for number in range(2):
        write(tmp_path / "real" / str(number), real[number], suffix=suffix)
        write(tmp_path / "made" / str(number), made[number], suffix=suffix)
    read, sizes = Raster.read, []

    def counted(self, window=None, *others, **named):
        sizes.append(window.height * window.width if window else self.height * self.width)
        return read(self, window, *others, **named)

    monkeypatch.setattr(Raster, "read", counted)
    with RealFolder(tmp_path / "real", [tmp_path / "made"]) as images:
        fakes = FolderImages(tmp_path / "made", images)
        numbers, partners = range(len(images)), images.partners(0)
        for number, fake in zip(numbers, fakes.images(numbers), strict=True):
            assert fake.shape == images.read(number).image.shape == images.read(int(partners[number])).image.shape
    assert all(partners[number] % 16 == number % 16 and partners[number] != number for number in numbers)
    assert max(sizes) <= (64 * 64 if suffix == "tif" else 64 * 256)
    assert len(sizes) == (3 * 32 if suffix == "tif" else 3 * 2 * 4)  # each strip of a PNG is decoded once
