"""Reference images: which parts are read, and which images are refused in a line."""

import numpy as np
import pytest
from makers import write_raster

from sattrans.errors import OptionError
from sattrans.runs.references import reference_parts


def image(path, height=300, width=150, bands=3, dtype=np.uint8, **profile):
    values = np.random.default_rng(0).integers(1, 255, (bands, height, width)).astype(dtype)
    return write_raster(path, values, **profile), values


def test_squares_are_evenly_spread_and_scaled(tmp_path):
    path, values = image(tmp_path / "i.tif")
    parts = reference_parts(path, 64)
    assert parts.shape == (4 * 2, 3, 64, 64)
    first, last = values[:, :64, :64], values[:, -64:, -64:]
    assert np.allclose(parts[0].numpy(), first / 127.5 - 1, atol=1e-6)
    assert np.allclose(parts[-1].numpy(), last / 127.5 - 1, atol=1e-6)


def test_a_small_image_is_one_square(tmp_path):
    path, _ = image(tmp_path / "i.tif", 40, 60)
    assert reference_parts(path, 64).shape == (1, 3, 40, 40)


def test_squares_with_nodata_are_left_out(tmp_path):
    path, values = image(tmp_path / "i.tif", 128, 64, nodata=0)
    values[:, 100, 10] = 0
    write_raster(path, values, nodata=0)
    assert len(reference_parts(path, 64)) == 1
    values[:, 10, 10] = 0
    write_raster(path, values, nodata=0)
    with pytest.raises(OptionError, match="each of its squares of 64 px has nodata; give an image without$"):
        reference_parts(path, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": np.uint16}, "it has uint16 pixels; convert it to 8 bits first"),
        ({"bands": 1}, "it has fewer than three bands; give an image of red, green and blue"),
        ({"height": 20}, "it is 150 px wide and 20 px high; give at least 32 px of each"),
    ],
)
def test_what_has_no_style_is_refused(tmp_path, options, message):
    path, _ = image(tmp_path / "i.tif", **options)
    with pytest.raises(OptionError) as caught:
        reference_parts(path, 64)
    assert str(caught.value) == f"--style {path}: {message}"
