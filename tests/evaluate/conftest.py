"""What tests of evaluate share."""

import pytest

from sattrans.evaluate import kid_lite
from sattrans.evaluate.setwise import SlicedWasserstein


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Take few resamples of the SWD and few training tiles for KID, which are most of the time."""
    monkeypatch.setattr(SlicedWasserstein, "resamples", 5)
    monkeypatch.setattr(kid_lite, "SCALE_TILES", 4)
