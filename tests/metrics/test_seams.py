"""The seam score: 1 for what has no seams, more for an edge, less for blur, and blind to a generator's own grid."""

import numpy as np
import pytest

from sattrans.metrics.seams import Seams, seams
from sattrans.raster.window import Window

SIZE, OVERLAP = 64, 16
LENGTH = 10 * (SIZE - OVERLAP) + OVERLAP
STARTS = range(0, LENGTH - OVERLAP, SIZE - OVERLAP)
BOUNDARIES = np.array(STARTS[1:]) + OVERLAP // 2


def texture(seed=0):
    return np.random.default_rng(seed).integers(90, 166, (3, LENGTH, LENGTH)).astype(np.uint8)


def score(image, parts=None, valid=None):
    size = image.shape[1:]
    parts = parts or [Window(0, 0, *size)]
    return seams(lambda w: image[(slice(None), *w.slices)], valid, parts, size, (STARTS, STARTS), SIZE, OVERLAP)


def test_noise_without_seams_scores_1():
    found = score(texture())
    assert found.gradient == pytest.approx(1, abs=0.02)
    assert found.detail == pytest.approx(1, abs=0.02)


def test_tiles_of_other_brightness_raise_the_gradient():
    image = texture().astype(int)
    tile = np.searchsorted(BOUNDARIES, np.arange(LENGTH), side="right") % 2 * 40
    image += tile[:, np.newaxis] ^ tile
    assert score(image.astype(np.uint8)).gradient > 1.15


def test_averaging_where_windows_overlap_lowers_the_detail():
    first, second = texture(1).astype(float), texture(2).astype(float)
    image = first.copy()
    for boundary in BOUNDARIES:
        band = slice(boundary - OVERLAP // 2, boundary + OVERLAP // 2)
        image[:, band] = (first[:, band] + second[:, band]) / 2
        image[:, :, band] = (first[:, :, band] + second[:, :, band]) / 2
    assert score(image.round().astype(np.uint8)).detail < 0.8


def test_a_grid_that_the_generator_draws_everywhere_is_no_seam():
    image = texture().astype(int)
    image[:, :, ::8] += 60
    image[:, ::8] += 30
    found = score(image.astype(np.uint8))
    assert found.gradient == pytest.approx(1, abs=0.02)
    assert found.detail == pytest.approx(1, abs=0.02)


def test_parts_give_the_score_of_the_whole():
    image = texture()
    parts = [
        Window(r, c, min(100, LENGTH - r), min(70, LENGTH - c))
        for r in range(0, LENGTH, 100)
        for c in range(0, LENGTH, 70)
    ]
    whole, by_parts = score(image), score(image, parts)
    assert by_parts.gradient == pytest.approx(whole.gradient, rel=1e-12)
    assert by_parts.detail == pytest.approx(whole.detail, rel=1e-12)


def test_pixels_that_hold_nothing_do_not_count():
    image = texture()
    whole = score(image)
    image[:, :, : LENGTH // 2] = 0
    there = np.zeros((LENGTH, LENGTH), bool)
    there[:, LENGTH // 2 :] = True
    found = score(image, valid=lambda w: there[w.slices])
    assert found.gradient == pytest.approx(whole.gradient, abs=0.05)


def test_a_flat_image_and_one_window_have_no_score():
    assert score(np.full((3, LENGTH, LENGTH), 9, np.uint8)) is None
    image, one = texture(), Window(0, 0, 64, 64)
    assert seams(lambda w: image[(slice(None), *w.slices)], None, [one], (64, 64), ([0], [0]), 64, 0) is None


@pytest.mark.parametrize(
    ("gradient", "detail", "expected"),
    [
        (0.985, 0.989, "none visible"),
        (0.9, 0.75, "none visible"),  # a real image without any windows has scores like these
        (1.3, 1.0, "faint edges where windows meet"),
        (1.6, 1.0, "visible edges where windows meet"),
        (0.8, 0.6, "slight blur where windows overlap"),
        (2.3, 0.2, "visible edges where windows meet and blur where windows overlap"),
    ],
)
def test_the_verdict_says_what_is_to_be_seen(gradient, detail, expected):
    assert Seams(gradient, detail).verdict() == expected
