"""Where the pages of the documentation are tried."""

import pytest
from pages import one_thread

from sattrans.evaluate import kid_lite
from sattrans.evaluate.setwise import SlicedWasserstein
from sattrans.utils import progress


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(SlicedWasserstein, "resamples", 5)  # most of the time of evaluate
    monkeypatch.setattr(kid_lite, "SCALE_TILES", 48)  # with 8, a KID ranks otherwise than with all
    monkeypatch.setattr(progress, "FIRST_SECONDS", 3600)  # the pages show no lines of progress, a slow machine would
    with one_thread():
        yield tmp_path
