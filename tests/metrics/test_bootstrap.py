"""Resamples: drawn by their seed alone."""

import numpy as np

from sattrans.metrics.bootstrap import mean_interval, resample_counts


def test_a_seed_draws_the_same_resamples_and_another_seed_others():
    first, same, other = (resample_counts(20, 50, seed) for seed in (1, 1, 2))
    assert first.shape == (50, 20)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert (first.sum(axis=1) == 20).all()


def test_an_interval_of_a_mean_depends_on_the_seed_and_holds_the_mean():
    values = np.random.default_rng(0).normal(3, 1, 40)
    one, other = (mean_interval(values, 200, seed) for seed in (1, 2))
    assert one != other
    for low, high in (one, other):
        assert low < values.mean() < high
