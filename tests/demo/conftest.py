"""What tests of demo share."""

import pytest

from sattrans.evaluate.setwise import SlicedWasserstein


@pytest.fixture(autouse=True, scope="module")
def few_resamples():
    """Take few resamples of the SWD: with many tiles they are most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SlicedWasserstein, "resamples", 2)
        yield
