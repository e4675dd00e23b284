"""What benchmarks share."""

import shutil

import pytest


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder that is gone afterwards: pytest would keep these gigabytes for three runs."""
    folder = tmp_path_factory.mktemp("workplace")
    yield folder
    shutil.rmtree(folder)
