"""colorize: copies a person can read, values kept, originals untouched."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from makers import make_folder, make_indices, make_landcover, write_raster
from typer.testing import CliRunner

from sattrans.cli import app
from sattrans.colorize import ColorizeOptions, colorize
from sattrans.errors import ClassesError, OptionError, OutputExists, RasterError, UsageError
from sattrans.raster.class_map import ClassMap
from sattrans.tile import TileOptions, tile

USUAL = {0: (0, 0, 0), 1: (97, 74, 74), 2: (38, 115, 0), 3: (0, 197, 255), 4: (207, 207, 207)}


@pytest.fixture(scope="module")
def landcover(tmp_path_factory):
    return make_landcover(tmp_path_factory.mktemp("landcover") / "landcover", height=600, width=600)


def test_a_dataset_gets_a_readable_copy_of_each_mask(landcover, tmp_path):
    before = {path: path.read_bytes() for path in landcover.rglob("*.tif")}
    result = colorize(landcover, tmp_path / "c")
    assert len(result.made) == 2
    for copy in result.made:
        with rasterio.open(copy) as out, rasterio.open(landcover / "masks" / copy.name) as src:
            assert np.array_equal(out.read(1), src.read(1))
            assert {value: out.colormap(1)[value][:3] for value in USUAL} == USUAL
            assert (out.crs, out.transform) == (src.crs, src.transform)
    assert before == {path: path.read_bytes() for path in landcover.rglob("*.tif")}


def test_rgb_copies_hold_the_colours(landcover, tmp_path):
    copy = colorize(landcover, tmp_path / "c", ColorizeOptions(rgb=True)).made[0]
    with rasterio.open(copy) as out, rasterio.open(landcover / "masks" / copy.name) as src:
        wanted = np.array([USUAL[v] for v in range(5)], np.uint8)[src.read(1)]
        assert np.array_equal(np.moveaxis(out.read(), 0, -1), wanted)


def test_one_file_is_written_beside_itself(landcover, tmp_path):
    mask = next((landcover / "masks").glob("*.tif"))
    copy = write_raster(tmp_path / "mask.tif", rasterio.open(mask).read(1))
    result = colorize(copy, options=ColorizeOptions(dataset="landcover"))
    assert result.made == (tmp_path / "mask.color.tif",)
    with rasterio.open(result.made[0]) as out:
        assert out.colormap(1)[3][:3] == (0, 197, 255)


def test_a_tileset_is_colored_by_its_own_palette(tmp_path):
    tileset = tile(
        make_folder(tmp_path / "f", classes_toml=True), tmp_path / "t", options=TileOptions(size=128)
    ).tileset
    result = colorize(tmp_path / "t", tmp_path / "c", ColorizeOptions(rgb=True))
    assert len(result.made) == len(tileset.tiles)


def test_a_repeated_call_does_nothing(landcover, tmp_path):
    colorize(landcover, tmp_path / "c")
    again = colorize(landcover, tmp_path / "c")
    assert (len(again.made), len(again.existing)) == (0, 2)
    with pytest.raises(OutputExists, match="rgb"):
        colorize(landcover, tmp_path / "c", ColorizeOptions(rgb=True))


def test_a_mask_of_unknown_values_is_refused(tmp_path):
    mask = write_raster(tmp_path / "m.tif", np.full((20, 20), 9, np.uint8))
    with pytest.raises(ClassesError, match="value 9,"):
        colorize(mask, options=ColorizeOptions(dataset="landcover"))
    assert [p.name for p in tmp_path.iterdir()] == ["m.tif"]


def test_the_mask_itself_is_never_the_output(tmp_path):
    mask = write_raster(tmp_path / "m.tif", np.full((20, 20), 1, np.uint8))
    with pytest.raises(OutputExists, match="mask itself"):
        colorize(mask, mask)
    with pytest.raises(UsageError, match="no such"):
        colorize(tmp_path / "nowhere")


def test_nodata_stays_nodata_whatever_its_value(tmp_path):
    values = np.full((20, 20), 1, np.int16)
    values[:5] = -9999
    mask = write_raster(tmp_path / "m.tif", values, nodata=-9999)
    with rasterio.open(colorize(mask, tmp_path / "c.tif", ColorizeOptions(dataset="landcover")).made[0]) as out:
        assert out.nodata == 255
        assert np.array_equal(out.read(1) == 255, values == -9999)
    with rasterio.open(
        colorize(mask, tmp_path / "rgb.tif", ColorizeOptions(dataset="landcover", rgb=True)).made[0]
    ) as out:
        assert np.array_equal(out.read(4) == 0, values == -9999)


def test_the_same_copies_of_many_maps_are_noted_once(tmp_path):
    for name in "abc":
        write_raster(tmp_path / "m" / f"{name}.tif", np.full((3, 20, 20), 1, np.uint8))
    (notice,) = colorize(tmp_path / "m", options=ColorizeOptions(dataset="landcover")).notices
    assert notice.startswith(f"{tmp_path / 'm' / 'a.tif'} and 2 more: its three bands are equal")


# Whose classes


def write_classes(path, **colors):
    told = [f'[{name}]\nvalue = {value}\ncolor = "{color}"\n' for name, (value, color) in colors.items()]
    path.write_text("\n".join(told), encoding="utf-8")
    return path


def colors_of(copy):
    with rasterio.open(copy) as out:
        return {value: out.colormap(1)[value][:3] for value in np.unique(out.read(1))}


CLASSES = {"water": (1, "#0000ff"), "forest": (2, "#00ff00")}
DRAWN = {1: (0, 0, 255), 2: (0, 255, 0)}


@pytest.fixture
def masks(tmp_path):
    """A folder `masks` of two masks, of values 1 and 2; the first holds only 1."""
    write_raster(tmp_path / "place" / "masks" / "a.tif", np.full((40, 50), 1, np.uint8))
    write_raster(tmp_path / "place" / "masks" / "b.tif", make_indices(40, 50, 2) + np.uint8(1))
    return tmp_path / "place" / "masks"


def test_classes_come_from_the_given_file(masks, tmp_path):
    told = write_classes(tmp_path / "mine.toml", **CLASSES)
    result = colorize(masks, tmp_path / "c", ColorizeOptions(classes=told))
    assert (colors_of(result.made[0]), colors_of(result.made[1])) == ({1: (0, 0, 255)}, DRAWN)
    assert result.notices == ()
    assert colors_of(colorize(masks / "b.tif", tmp_path / "b.tif", ColorizeOptions(classes=told)).made[0]) == DRAWN


@pytest.mark.parametrize("place", ["place/masks", "place"])
def test_a_classes_file_in_the_folder_is_read_and_reported(masks, tmp_path, place):
    classes_file = write_classes(tmp_path / place / "classes.toml", **CLASSES)
    for path in (masks, masks / "b.tif"):
        result = colorize(path, tmp_path / f"{path.stem}.tif" if path.is_file() else tmp_path / "c")
        assert colors_of(result.made[-1]) == DRAWN
        assert result.notices == (f"classes read from {classes_file}",)


def test_a_classes_file_is_found_from_the_current_folder(masks, tmp_path, monkeypatch):
    write_classes(masks.parent / "classes.toml", **CLASSES)
    monkeypatch.chdir(masks)
    result = colorize(Path())
    assert colors_of(masks.parent / "masks-color" / "b.tif") == DRAWN
    assert len(result.made) == 2


def test_a_classes_file_of_a_dataset_is_reported(tmp_path):
    root = make_folder(tmp_path / "f", classes_toml=True)
    assert colorize(root, tmp_path / "c").notices == (f"classes read from {root / 'classes.toml'}",)


@pytest.mark.slow
def test_given_classes_take_precedence_over_those_of_datasets_and_tilesets(tmp_path):
    root = make_folder(tmp_path / "f", classes_toml=True)
    names = {10: "#ff0000", 30: "#00ff00", 50: "#0000ff"}
    told = write_classes(tmp_path / "mine.toml", **{f"c{v}": (v, color) for v, color in names.items()})
    wanted = {10: (255, 0, 0), 30: (0, 255, 0), 50: (0, 0, 255)}
    assert colors_of(colorize(root, tmp_path / "c", ColorizeOptions(classes=told)).made[0]) == wanted
    tile(root, tmp_path / "t", options=TileOptions(size=128))
    assert colors_of(colorize(tmp_path / "t", tmp_path / "d", ColorizeOptions(classes=told)).made[0]) == wanted


def test_masks_of_one_folder_have_the_same_colours_if_no_classes_are_given(masks, tmp_path):
    result = colorize(masks, tmp_path / "c")
    first, second = map(colors_of, result.made)
    assert first[1] == second[1] != second[2]
    assert "named after their values; give names with --dataset NAME or --classes FILE.toml" in result.notices[0]


def test_a_colour_table_of_the_masks_is_kept_without_a_notice(tmp_path):
    write_raster(tmp_path / "m" / "a.tif", make_indices(40, 50, 2), colormap={0: (1, 2, 3), 1: (4, 5, 6)})
    result = colorize(tmp_path / "m", tmp_path / "c")
    assert (colors_of(result.made[0]), result.notices) == ({0: (1, 2, 3), 1: (4, 5, 6)}, ())


def test_dataset_and_classes_exclude_each_other(masks, tmp_path):
    told = write_classes(tmp_path / "mine.toml", **CLASSES)
    with pytest.raises(OptionError, match="--dataset and --classes both") as caught:
        colorize(masks, options=ColorizeOptions(dataset="landcover", classes=told))
    assert caught.value.exit_code == 2
    with pytest.raises(OptionError, match=r"--classes .*none\.toml: no such file"):
        colorize(masks, options=ColorizeOptions(classes=tmp_path / "none.toml"))


# Where copies go


def test_two_masks_with_one_name_are_refused_before_anything_is_written(tmp_path):
    write_raster(tmp_path / "m" / "a.tif", make_indices(20, 20, 2))
    write_raster(tmp_path / "m" / "a.png", make_indices(20, 20, 2), None, None, driver="PNG")
    with pytest.raises(UsageError, match=r"m/a\.png and .*m/a\.tif would both become .*m-color/a\.tif: rename one"):
        colorize(tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_copies_never_go_among_the_masks(masks):
    for output in (masks, masks.parent / "masks" / ".." / "masks"):
        with pytest.raises(UsageError, match="what the command reads|which the command reads"):
            colorize(masks, output)


def test_copies_never_replace_or_join_photos(tmp_path):
    place = make_folder(tmp_path / "place", scenes=1, size=64)
    photo = place / "images" / "place0.tif"
    before = photo.read_bytes()
    for source, message in (
        (place, "is what the command reads"),
        (place / "masks", "holds place0.tif, which sattrans"),
    ):
        for overwrite in (False, True):
            with pytest.raises(UsageError, match=message) as refused:
                colorize(source, place / "images", overwrite=overwrite)
            assert "--overwrite" not in str(refused.value)
    assert photo.read_bytes() == before
    tileset = tile(place, tmp_path / "t", options=TileOptions(size=64)).tileset
    with pytest.raises(UsageError, match="would lie in .*t, which the command reads"):
        colorize(tileset.folder, tileset.folder / "images", overwrite=True)


def test_a_folder_of_copies_is_not_named_like_a_raster_and_a_copy_is(masks, tmp_path):
    with pytest.raises(OptionError, match=r"-o .*c\.tif: the copies of a folder go into a folder"):
        colorize(masks, tmp_path / "c.tif")
    with pytest.raises(OptionError, match=r"-o .*c\.png: the copy is a GeoTIFF"):
        colorize(masks / "a.tif", tmp_path / "c.png")


def test_a_copy_goes_into_a_given_folder(masks, tmp_path):
    (tmp_path / "there").mkdir()
    assert colorize(masks / "a.tif", tmp_path / "there").made == (tmp_path / "there" / "a.color.tif",)


def test_copies_and_legends_among_masks_are_not_masks(masks, tmp_path):
    colorize(masks / "b.tif", options=ColorizeOptions(legend=True))
    assert sorted(path.name for path in masks.iterdir()) == ["a.tif", "b.color.tif", "b.legend.png", "b.tif"]
    assert [path.name for path in colorize(masks, tmp_path / "c").made] == ["a.tif", "b.tif"]


def test_after_an_invalid_mask_the_earlier_copies_are_kept(masks, tmp_path):
    told = write_classes(tmp_path / "mine.toml", **CLASSES)
    bad = write_raster(masks / "ab.tif", np.full((40, 50), 7, np.uint8))
    with pytest.raises(ClassesError, match=r"ab\.tif contains value 7"):
        colorize(masks, tmp_path / "c", ColorizeOptions(classes=told, legend=True))
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["a.tif"]
    write_raster(bad, np.full((40, 50), 2, np.uint8))
    result = colorize(masks, tmp_path / "c", ColorizeOptions(classes=told, legend=True))
    assert ([p.name for p in result.existing], [p.name for p in result.made]) == (["a.tif"], ["ab.tif", "b.tif"])


def test_a_vrt_that_the_user_names_is_opened(masks, tmp_path):
    with rasterio.open(masks / "b.tif") as src:
        rasterio.shutil.copy(src, tmp_path / "v.vrt", driver="VRT")
    told = write_classes(tmp_path / "mine.toml", **CLASSES)
    assert colors_of(colorize(tmp_path / "v.vrt", options=ColorizeOptions(classes=told)).made[0]) == DRAWN


def test_the_command_reports_new_and_existing_copies(masks, tmp_path):
    line = ["colorize", str(masks), "-o", str(tmp_path / "c"), "--legend"]
    first, again = (CliRunner().invoke(app, line).stdout.splitlines() for _ in range(2))
    legend = tmp_path / "c" / "legend.png"
    assert first == [f"{tmp_path / 'c'}: 2 coloured", f"{legend}: the legend"]
    assert again == [
        f"{tmp_path / 'c'}: 0 coloured, 2 were there (nothing to do)",
        f"{legend}: the legend, was there",
    ]


def test_a_dry_run_checks_every_mask_and_writes_nothing(tmp_path):
    write_raster(tmp_path / "m" / "a.tif", np.array([[1, 2], [3, 4]], np.uint8))
    result = colorize(tmp_path / "m", options=ColorizeOptions(dataset="landcover", legend=True), dry_run=True)
    assert (result.made, result.planned) == ((), (tmp_path / "m-color" / "a.tif",))
    write_raster(tmp_path / "m" / "b.tif", np.array([[1, 2], [3, 99]], np.uint8))
    with pytest.raises(ClassesError, match="99"):
        colorize(tmp_path / "m", options=ColorizeOptions(dataset="landcover"), dry_run=True)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_mask_that_changes_while_it_is_read_makes_no_copy(tmp_path, monkeypatch):
    mask = write_raster(tmp_path / "mask.tif", make_indices(64, 64, 3))
    read = ClassMap.read

    def changing(self, window):
        (tmp_path / "mask.tfw").write_text("1 0 0 -1 0 0")
        return read(self, window)

    monkeypatch.setattr(ClassMap, "read", changing)
    with pytest.raises(RasterError, match=r"mask\.tif changed while it was read"):
        colorize(mask)
    assert not (tmp_path / "mask.color.tif").exists()
