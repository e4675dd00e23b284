"""Augmentation: the same change of a real image, its generated counterpart and their map, and differentiable."""

import pytest
import torch

from sattrans.networks import augment, is_augmented
from sattrans.networks.augmentation import BRIGHTNESS

SIDE = 64


def coordinates(count):
    """Maps whose pixels say where they came from, never 0."""
    row, col = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return (torch.stack([row, col]).float() + 1).expand(count, 2, SIDE, SIDE)


@pytest.mark.parametrize("seed", range(8))
def test_image_and_map_are_shifted_and_cut_together(seed):
    torch.manual_seed(seed)
    maps = coordinates(2)
    images = (0.1 + maps.sum(1, keepdim=True) / 200).expand(2, 3, SIDE, SIDE)  # grey: saturation keeps it
    both, source = augment(torch.cat([images, images]), maps)
    assert both.shape == (4, 3, SIDE, SIDE) and source.shape == maps.shape
    away = (source == 0).all(1)
    assert (both.abs().sum(1)[:2][away] == 0).all() and (both.abs().sum(1)[2:][away] == 0).all()
    for number in range(2):
        kept = ~away[number]
        # What is left is a straight line of what was there: brightness adds, contrast multiplies.
        there = source[number].sum(0)[kept]
        seen = both[number, 0][kept]
        slope = (seen.max() - seen.min()) / (there.max() - there.min())
        assert torch.allclose(seen, seen.min() + slope * (there - there.min()), atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_a_real_image_and_its_counterpart_are_changed_alike_and_pairs_differ(seed):
    torch.manual_seed(seed)
    images = torch.rand(1, 3, SIDE, SIDE).expand(3, 3, SIDE, SIDE)
    both, _ = augment(torch.cat([images, images]), coordinates(3))
    real, fake = both.chunk(2)
    assert torch.equal(real, fake)
    assert not torch.equal(real[0], real[1])


def test_images_change_by_no_more_than_they_may():
    torch.manual_seed(0)
    for _ in range(20):
        both, _ = augment(torch.full((2, 3, SIDE, SIDE), 0.5), coordinates(1))
        seen = both[both != 0]
        assert (seen - 0.5).abs().max() <= BRIGHTNESS + 1e-6  # flat and grey: neither contrast nor saturation


def test_the_gradient_goes_through_to_all_pixels_that_are_seen():
    torch.manual_seed(1)
    images = torch.rand(2, 3, SIDE, SIDE, requires_grad=True)
    weights = torch.rand(2, 3, SIDE, SIDE)
    both, source = augment(images, coordinates(1))
    ((both * weights) * (source != 0).any(1)).sum().backward()
    assert images.grad.isfinite().all()
    assert (images.grad != 0).float().mean() > 0.3


def test_it_draws_from_torchs_random_numbers_alone():
    images = torch.rand(2, 3, SIDE, SIDE)
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(augment(images, coordinates(1))[0])
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ("augmentation", "tiles", "expected"),
    [
        ("on", 10**6, True),
        ("on", 0, True),
        ("off", 1, False),
        ("auto", 1, True),
        ("auto", 1999, True),
        ("auto", 2000, False),
        ("auto", 0, False),  # unknown, as in a run of an older version: it goes on as it began
    ],
)
def test_few_tiles_are_augmented(augmentation, tiles, expected):
    assert is_augmented(augmentation, tiles) == expected
