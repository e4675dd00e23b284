"""Where the pages of the documentation are tried."""

import pytest
from pages import one_thread


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with one_thread():
        yield tmp_path
