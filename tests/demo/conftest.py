"""What tests of demo share."""

from functools import cache

import pytest

from sattrans.demo import api
from sattrans.evaluate import kid_lite
from sattrans.evaluate.setwise import SlicedWasserstein
from sattrans.train import validation


@pytest.fixture(autouse=True, scope="module")
def few_resamples():
    """Take few resamples of the SWD and few training tiles for KID: with many they are most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SlicedWasserstein, "resamples", 2)
        patch.setattr(kid_lite, "SCALE_TILES", 4)
        patch.setattr(validation, "JUDGED_TILES", 4)
        yield


@pytest.fixture(autouse=True, scope="module")
def landscapes_drawn_once():
    """Draw each landscape once: it takes two seconds, and most tests want the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "make_landscape", cache(api.make_landscape))
        yield
