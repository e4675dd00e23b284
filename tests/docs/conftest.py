"""Where the pages of the documentation are tried."""

import pytest
from pages import one_thread

from sattrans.evaluate.setwise import Texture


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(Texture, "resamples", 5)  # an interval that no page tells, and most of the time of evaluate
    with one_thread():
        yield tmp_path
