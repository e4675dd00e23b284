"""What tests of evaluate share."""

import pytest

from sattrans.evaluate import kid_lite, segmenter
from sattrans.evaluate.setwise import SlicedWasserstein


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Take few resamples of the SWD and few training tiles for KID, which are most of the time."""
    monkeypatch.setattr(SlicedWasserstein, "resamples", 5)
    monkeypatch.setattr(kid_lite, "SCALE_TILES", 4)


@pytest.fixture(scope="module")
def small_crops():
    """A step on few and small crops: a seventh of the time, and enough for three classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmenter, "BATCH", 4)
        patch.setattr(segmenter, "SIDE", 32)
        yield
