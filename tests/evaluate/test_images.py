"""Images of --pairs: what their headers declare is compared before pixels are read."""

import numpy as np
import pytest
from makers import write_raster

from sattrans.errors import RasterError
from sattrans.evaluate import images
from sattrans.evaluate.images import RealFolder


def test_an_image_that_would_not_fit_into_memory_is_refused_by_its_header(tmp_path, monkeypatch):
    path = write_raster(tmp_path / "a.tif", np.zeros((3, 8, 9), np.uint8))
    assert RealFolder(tmp_path, [tmp_path]).shape == (8, 9)
    monkeypatch.setattr(images, "MAX_PIXELS", 71)
    monkeypatch.setattr(images, "_read", None)
    with pytest.raises(RasterError, match="is 9 wide × 8 high, over .* cut both folders into tiles") as refused:
        RealFolder(tmp_path, [tmp_path])
    assert str(path) in str(refused.value)
