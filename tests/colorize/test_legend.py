"""The legend: one row per class, with its colour and its share of all pixels."""

import numpy as np
import pytest
from makers import make_indices, write_raster
from PIL import Image

from sattrans.colorize import ColorizeOptions, colorize
from sattrans.colorize.legend import EDGE, ROW, SWATCH, write_legend
from sattrans.errors import OutputExists
from sattrans.raster.palette import LandClass, Palette

PALETTE = Palette(
    (LandClass(1, "woda łąka", (0, 0, 255)), LandClass(2, "forest", (0, 255, 0)), LandClass(7, "水", (255, 255, 255)))
)


def swatches(path):
    """Return the colours of the rows, from the top; the first row is the header."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    middles = range(EDGE + ROW + ROW // 2, pixels.shape[0] - EDGE, ROW)
    return [tuple(map(int, pixels[y, EDGE + SWATCH[0] // 2])) for y in middles]


@pytest.fixture
def masks(tmp_path):
    write_raster(tmp_path / "m" / "a.tif", np.full((40, 50), 1, np.uint8))
    write_raster(tmp_path / "m" / "b.tif", make_indices(40, 50, 2) + np.uint8(1))
    lines = [f"[{c.name!r}]\nvalue = {c.value}\ncolor = {list(c.color)}\n" for c in PALETTE.classes]
    (tmp_path / "m" / "classes.toml").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "m"


def test_every_class_has_a_row_in_its_colour(tmp_path):
    assert write_legend(tmp_path / "l.png", PALETTE, [5, 5, 0, 0])
    assert swatches(tmp_path / "l.png") == [item.color for item in PALETTE.classes]


def test_pixels_without_data_have_a_row(tmp_path):
    write_legend(tmp_path / "l.png", PALETTE, [5, 5, 0, 3])
    assert len(swatches(tmp_path / "l.png")) == 4


def test_shares_are_of_the_pixels_of_all_maps(masks, tmp_path):
    result = colorize(masks, tmp_path / "c", ColorizeOptions(legend=True))
    assert (result.legend, result.legend_made) == (tmp_path / "c" / "legend.png", True)
    second = int((make_indices(40, 50, 2) == 1).sum())
    write_legend(tmp_path / "expected.png", PALETTE, [4000 - second, second, 0, 0])
    assert result.legend.read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_a_finished_output_gets_its_legend_later_and_keeps_it(masks, tmp_path):
    colorize(masks, tmp_path / "c")
    late = colorize(masks, tmp_path / "c", ColorizeOptions(legend=True))
    assert (len(late.existing), late.legend_made) == (2, True)
    before = late.legend.stat().st_mtime_ns
    again = colorize(masks, tmp_path / "c", ColorizeOptions(legend=True))
    assert (len(again.existing), again.legend_made) == (2, False)
    assert again.legend.stat().st_mtime_ns == before


def test_another_mask_updates_the_legend(masks, tmp_path):
    before = colorize(masks, tmp_path / "c", ColorizeOptions(legend=True)).legend.read_bytes()
    write_raster(masks / "c.tif", np.full((40, 50), 7, np.uint8))
    result = colorize(masks, tmp_path / "c", ColorizeOptions(legend=True))
    assert (len(result.made), len(result.existing), result.legend_made) == (1, 2, True)
    assert result.legend.read_bytes() != before


@pytest.mark.parametrize("output", ["", "x.tif"])
def test_the_legend_of_one_file_lies_beside_its_copy(masks, tmp_path, output):
    result = colorize(masks / "b.tif", tmp_path / output if output else None, ColorizeOptions(legend=True))
    assert result.legend == (tmp_path / "x.legend.png" if output else masks / "b.legend.png")


def test_another_image_is_replaced_only_with_overwrite(masks, tmp_path):
    (tmp_path / "c").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "c" / "legend.png")
    with pytest.raises(OutputExists, match=r"legend\.png exists and was not made by sattrans"):
        colorize(masks, tmp_path / "c", ColorizeOptions(legend=True))
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["legend.png"]
    assert colorize(masks, tmp_path / "c", ColorizeOptions(legend=True), overwrite=True).legend_made
