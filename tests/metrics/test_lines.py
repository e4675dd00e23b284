"""Lines: roads that are drawn are seen, roads that are missing are not, and what is no line does not count."""

import numpy as np
import pytest
import torch

from sattrans.evaluate.base import ImagePair, MetricContext
from sattrans.evaluate.pairwise import LineRecall
from sattrans.metrics.lines import LineLooks, line_moments, lines_of

SIDE, ROAD = 128, 1


def tile(seed, width=3, drawn=1.0):
    """Return an image and a map of fields with four roads, of which only the first part of each is drawn."""
    rng = np.random.default_rng(seed)
    map_ = np.zeros((SIDE, SIDE), np.uint8)
    image = 90 + 12 * rng.standard_normal((3, SIDE, SIDE))
    for number, start in enumerate(rng.permutation(np.arange(8, SIDE - 8, 28))[:4]):
        across = np.s_[start : start + width]
        place, part = (across, np.s_[:]), (across, np.s_[: round(drawn * SIDE)])
        if number % 2:
            place, part = place[::-1], part[::-1]
        map_[place] = ROAD
        image[:, *part] += 60
    return torch.from_numpy(image.clip(0, 255).astype(np.uint8)), torch.from_numpy(map_)


@pytest.fixture(scope="module")
def looks():
    return LineLooks(sum(line_moments(*tile(seed), 2) for seed in range(4)))


def share(looks, image, map_):
    seen, count = looks.seen(image, map_)[ROAD]
    return seen / count


@pytest.mark.parametrize(("drawn", "expected"), [(1, 1), (0.5, 0.5), (0, 0)])
def test_the_share_of_the_road_that_is_drawn_is_seen(looks, drawn, expected):
    assert share(looks, *tile(10, drawn=drawn)) == pytest.approx(expected, abs=0.05)


def test_a_road_that_is_drawn_elsewhere_or_dark_is_not_seen(looks):
    image, map_ = tile(10)
    assert share(looks, image.roll((9, 9), (1, 2)), map_) < 0.3  # where roads cross, there is one still
    assert share(looks, 200 - image, map_) < 0.05


def test_brightness_does_not_matter(looks):
    image, map_ = tile(10)
    assert share(looks, (image.int() + 30).clamp(0, 255).byte(), map_) > 0.95


@pytest.mark.parametrize(("width", "is_line"), [(1, True), (5, True), (6, False), (20, False)])
def test_lines_are_at_most_5_px_wide(width, is_line):
    mask = np.zeros((40, 60), bool)
    mask[10 : 10 + width, 5:55] = True
    assert lines_of(mask).any() == is_line


def test_lines_are_at_least_16_px_long_and_corners_of_areas_are_none():
    mask = np.zeros((80, 80), bool)
    mask[3:5, 4:19] = True
    rows, cols = np.ogrid[:80, :80]
    mask |= (rows - 50) ** 2 + (cols - 50) ** 2 < 400
    assert not lines_of(mask).any()
    mask[3:5, 4:20] = True
    assert lines_of(mask).sum() == 32
    slope = np.eye(80, dtype=bool)
    assert lines_of(slope).sum() == 80


def test_a_class_without_lines_in_the_training_tiles_has_no_share(looks):
    family = LineRecall(MetricContext(SIDE, 2, ("field", "road"), {"lines": looks}))
    pairs = [ImagePair(image, image, n, map_, map_) for n, (image, map_) in enumerate((tile(1), tile(2, drawn=0)))]
    rows = np.stack([family.measure(pair) for pair in pairs])
    both, first, second = family.combine("line_recall", rows, np.array([[1.0, 1], [1, 0], [0, 1]]))
    assert (both, first, second) == (pytest.approx(50, abs=3), pytest.approx(100, abs=3), pytest.approx(0, abs=3))
    assert family.details(rows)["line_recall_by_class"]["field"] is None
    flat = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    nothing = family.measure(ImagePair(pairs[0].fake, pairs[0].real, 0, flat, flat))
    assert np.isnan(family.combine("line_recall", nothing[None], np.ones((1, 1)))).all()
    assert not LineLooks(line_moments(pairs[0].fake, flat, 2)).known.any()
