"""KID of EfficientNet-Lite features: the distance by hand, without bias; patches; and images that get worse."""

import numpy as np
import pytest
import torch
from ladders import blur, checkerboard, noise

from sattrans.demo.landscape import make_landscape
from sattrans.metrics.baselines import evenly_spaced
from sattrans.metrics.kid_lite import (
    LAYERS,
    LiteFeatures,
    LiteKID,
    deviations,
    mean_kernels,
    paired_terms,
    patch_corners,
    patches_each,
    weighted_kid,
)


@pytest.fixture(scope="module")
def tiles():
    photo = torch.from_numpy(make_landscape(256, 512, 1).photo)
    return torch.stack([photo[:, row : row + 128, col : col + 128] for row in (0, 128) for col in range(0, 512, 128)])


def by_hand(x, y):
    """Return the mean of h over each two different places, and over each two patches of them, as it is written."""

    def k(a, b):
        return np.mean([(p @ q / len(p) + 1) ** 3 for p in a for q in b])

    places = range(len(x))
    terms = [k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i]) for i in places for j in places if i != j]
    return np.mean(terms)


def test_the_distance_is_the_mean_over_places():
    x, y = np.random.default_rng(0).standard_normal((2, 5, 3, 4))
    y += 0.5
    terms = paired_terms(x, y)
    assert weighted_kid(terms) == pytest.approx([by_hand(x, y)])
    weights = np.array([[2.0, 2, 1, 0, 0], [1, 1, 1, 1, 1], [5, 0, 0, 0, 0]])
    drawn = weighted_kid(terms, weights)
    twice = [0, 0, 1, 1, 2]
    every = [terms[i, j] for i in twice for j in twice if i != j]  # a place drawn twice is not compared with itself
    assert drawn == pytest.approx([np.mean(every), by_hand(x, y), np.nan], nan_ok=True)


def test_large_sets_are_compared_block_by_block():
    x, y = np.random.default_rng(0).standard_normal((2, 300, 9, 2))
    assert mean_kernels(x[:290], y)[288, 7] == pytest.approx(np.mean((x[288] @ y[7].T / 2 + 1) ** 3))


def test_pairs_of_alike_images_do_not_bias_the_distance():
    """Images of one place are alike, patches of one image more so: the distance of equal distributions is 0."""
    rng = np.random.default_rng(1)

    def drawn():
        places = rng.standard_normal((10, 1, 6))
        x, y = (places + 0.5 * rng.standard_normal((10, 1, 6)) + 0.2 * rng.standard_normal((10, 4, 6)) for _ in "xy")
        return weighted_kid(paired_terms(x, y))[0]

    found = [drawn() for _ in range(300)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 300**0.5


@pytest.mark.parametrize(
    ("height", "width", "corners"),
    [
        (64, 300, [(0, 0)]),
        (128, 128, [(0, 0)]),
        (128, 200, [(0, 0), (0, 36), (0, 72)]),
        (192, 256, [(0, 0), (0, 64), (0, 128), (64, 0), (64, 64), (64, 128)]),
    ],
)
def test_patches_reach_from_edge_to_edge(height, width, corners):
    assert patch_corners(height, width) == corners
    assert patch_corners(height, width, 2) == [corners[n] for n in evenly_spaced(len(corners), min(2, len(corners)))]
    assert patches_each(10**6) == 1


def test_features_are_means_over_patches_and_no_image_changes_anothers():
    images = torch.randint(0, 256, (2, 3, 192, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    features = LiteFeatures("lite0", (1, 3))
    (first, second), (alone, _) = features(images), features(images[1:, :, 64:])
    assert first.shape == (2, 2, 24)
    assert second.shape == (2, 2, 40)
    assert alone.shape == (1, 1, 24)
    assert first[1, 1] == pytest.approx(alone[0, 0], abs=1e-4)
    for wrong in (images[..., :31], images.float()):
        with pytest.raises(ValueError, match="needs uint8 images of 32 px"):
            features(wrong)


def test_features_that_do_not_vary_do_not_decide():
    features = np.ones((3, 2, 4), np.float32)
    features[:, :, 0] = np.arange(6).reshape(3, 2)
    rms = np.sqrt(np.mean(np.square(features)))
    assert deviations(features) == pytest.approx([np.std(np.arange(6)), *[rms / 100] * 3])
    assert deviations(np.zeros((2, 1, 3), np.float32)).tolist() == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["kid_lite1", "kid_lite0_texture"])
def test_worse_images_are_farther_away(tiles, metric):
    score = LiteKID(tiles, metric)
    assert len(score) == 8
    assert score.distance(tiles.split(3)) == pytest.approx(0, abs=1e-4)
    for worsen, mild, strong in ((blur, 1, 3), (noise, 12, 40), (checkerboard, 4, 12)):
        one, other = (
            score.distance(torch.stack([worsen(image, step, n) for n, image in enumerate(tiles)]))
            for step in (mild, strong)
        )
        assert 0 < one < other, worsen.__name__


@pytest.mark.slow
def test_images_of_other_places_are_compared_without_pairs(tiles):
    score = LiteKID(tiles[:4], training=tiles)
    with pytest.raises(ValueError, match="8 generated images cannot be paired with 4 real ones"):
        score.distance(tiles)
    assert np.isfinite(score.distance(tiles[3:], paired=False))
    assert np.isnan(score.distance(tiles[:1], paired=False))
    assert np.isnan(LiteKID(tiles[:1]).distance(tiles[1:2]))


def test_blocks_are_those_of_the_page():
    assert LAYERS["kid_lite1"] == ("lite1", 20)
    assert LAYERS["kid_lite0_texture"] == ("lite0", 10)
