"""What tests of demo share."""

import pytest

from sattrans.evaluate import kid_lite
from sattrans.evaluate.setwise import SlicedWasserstein


@pytest.fixture(autouse=True, scope="module")
def few_resamples():
    """Take few resamples of the SWD and few training tiles for KID: with many they are most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SlicedWasserstein, "resamples", 2)
        patch.setattr(kid_lite, "SCALE_TILES", 4)
        yield
