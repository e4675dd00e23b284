"""Any folder: where the classes come from, and what is refused by name."""

import numpy as np
import pytest
from makers import COLORS, make_folder, make_indices, write_raster

from sattrans.errors import ClassesError, DatasetNotFound, OptionError, RasterError, SattransError
from sattrans.plugins import open_dataset
from sattrans.raster.open import open_raster
from sattrans.tile import TileOptions, tile
from sattrans_folder.dataset import Folder


def classes_of(root):
    return [(c.value, c.name, c.color) for c in Folder(root).palette.classes]


def write_classes(tmp_path, text):
    path = tmp_path / "classes.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_classes_toml_gives_names_values_and_colours(tmp_path):
    root = make_folder(tmp_path, classes_toml=True)
    assert classes_of(root) == [(v, f"class{v}", COLORS[i]) for i, v in enumerate((10, 30, 50))]
    assert list(Folder(root).notices()) == []


def test_classes_toml_goes_before_a_colour_table(tmp_path):
    root = make_folder(tmp_path, colortable=True)
    write_classes(root, '[all]\nvalue = 10\ncolor = "#010203"\n')
    assert classes_of(root) == [(10, "all", (1, 2, 3))]


def test_a_colour_table_gives_the_colours_of_the_values_found(tmp_path):
    root = make_folder(tmp_path, colortable=True)
    assert classes_of(root) == [(v, f"class_{v}", COLORS[i]) for i, v in enumerate((10, 30, 50))]
    assert [notice for notice in Folder(root).notices() if "colour table" in notice and "10, 30, 50" in notice]


def test_a_colour_table_with_one_colour_for_two_values_is_not_taken(tmp_path):
    root = make_folder(tmp_path)
    for mask in (root / "masks").iterdir():
        same = {10: (1, 1, 1), 30: (1, 1, 1), 50: (2, 2, 2)}
        write_raster(mask, np.asarray((10, 30, 50), np.uint8)[make_indices(256, 256, 3)], colormap=same)
    assert Folder(root).palette.values == (10, 30, 50)
    assert len(set(Folder(root).palette.colors)) == 3


def test_the_values_found_become_classes_with_a_notice(tmp_path):
    root = make_folder(tmp_path)
    assert Folder(root).palette.names == ("class_10", "class_30", "class_50")
    assert len(set(Folder(root).palette.colors)) == 3
    (notice,) = Folder(root).notices()
    assert "no classes.toml" in notice
    assert "10, 30, 50" in notice


def test_the_values_of_all_masks_count(tmp_path):
    root = make_folder(tmp_path)
    write_raster(root / "masks" / "place2.tif", np.full((256, 256), 77, np.uint8), transform=None, crs=None)
    assert Folder(root).palette.values == (10, 30, 50, 77)


def test_a_value_that_classes_toml_lacks_is_refused_when_tiling(tmp_path):
    root = make_folder(tmp_path / "d", values=(10, 30))
    write_classes(root, '[water]\nvalue = 10\ncolor = "#00c5ff"\n')
    with pytest.raises(ClassesError, match=r"masks/place0\.tif contains value 30"):
        tile(root, tmp_path / "t", options=TileOptions(size=64))


@pytest.mark.slow
def test_masks_in_colours_are_taken_with_classes_toml_and_refused_without(tmp_path):
    root = make_folder(tmp_path / "d", classes_toml=True)
    for mask in (root / "masks").iterdir():
        indices = make_indices(256, 256, 3)
        write_raster(mask, np.moveaxis(np.asarray(COLORS, np.uint8)[indices], -1, 0), crs=None, transform=None)
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset
    assert set().union(*(t.shares for t in tileset.tiles)) == {"class10", "class30", "class50"}
    (root / "classes.toml").unlink()
    with pytest.raises(ClassesError, match=r"masks/place0\.tif contains 3 colours.*classes\.toml"):
        _ = Folder(root).palette


def test_a_mask_of_large_or_fractional_values_is_refused_by_name(tmp_path):
    root = make_folder(tmp_path, scenes=1)
    write_raster(root / "masks" / "place0.tif", np.full((256, 256), 300, np.uint16))
    with pytest.raises(RasterError, match=r"place0\.tif contains values 300 to 300"):
        _ = Folder(root).palette
    write_raster(root / "masks" / "place0.tif", np.full((256, 256), 0.5, np.float32))
    with pytest.raises(RasterError, match=r"place0\.tif has float32 pixels such as 0\.5"):
        _ = Folder(root).palette


@pytest.mark.parametrize(("kept", "lost"), [("images", "masks"), ("masks", "images")])
def test_a_lone_file_is_refused_by_name(kept, lost, tmp_path):
    root = make_folder(tmp_path)
    (root / lost / "place1.tif").unlink()
    with pytest.raises(DatasetNotFound, match=rf"{kept}/place1\.tif has no partner in .*{lost}"):
        list(Folder(root).scenes())


def test_two_files_of_one_stem_are_refused(tmp_path):
    root = make_folder(tmp_path)
    (root / "images" / "place1.png").write_bytes(b"")
    with pytest.raises(DatasetNotFound, match="have the same stem"):
        list(Folder(root).scenes())


def test_suffixes_of_image_and_mask_may_differ_and_other_files_are_passed_by(tmp_path):
    root = make_folder(tmp_path, scenes=1)
    (root / "images" / "readme.txt").write_text("no raster")
    (root / "images" / ".place0.tif").write_bytes(b"hidden")
    (root / "masks" / "place0.tif").unlink()
    write_raster(root / "masks" / "place0.PNG", make_indices(256, 256, 3), None, None, driver="PNG")
    assert [(scene.image.name, scene.map.name) for scene in Folder(root).scenes()] == [("place0.tif", "place0.PNG")]


def test_a_folder_another_dataset_recognises_is_that_datasets(tmp_path):
    root = make_folder(tmp_path)
    assert isinstance(open_dataset(root), Folder)
    (root / "train.txt").touch()
    assert open_dataset(root).name == "landcover"
    assert isinstance(open_dataset(root, "folder"), Folder)


def test_an_empty_folder_of_masks_says_what_is_expected(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    with pytest.raises(DatasetNotFound, match=r"no rasters in .*images \(it holds nothing\): expected"):
        _ = Folder(tmp_path).palette


def test_scenes_in_lists_or_in_folders_of_splits_have_these_splits(tmp_path):
    root = make_folder(tmp_path / "listed", size=64)
    for split, name in (("train", "images/place0.png"), ("val", "place1"), ("test", "place7")):
        (root / f"{split}.txt").write_text(f"{name}\n")
    result = tile(root, tmp_path / "t", options=TileOptions(size=64))
    assert {t.id: t.split for t in result.tileset.tiles} == {"place0_0": "train", "place1_0": "val"}
    assert [n for n in result.notices if "test.txt has 1 entry that names no scene: place7" in n]
    assert [n for n in result.notices if n.startswith("no tiles in split test")]


def test_dataset_toml_gives_globs_bands_classes_and_credits(tmp_path):
    root = make_folder(tmp_path / "d", scenes=2, size=64)
    (root / "images").rename(root / "things")
    text = 'images = "things/*.tif"\nmasks = "masks/*"\nbands = [3, 2, 1]\nlicence = "CC BY 4.0"\nattribution = "me"\n'
    classes = "".join(f'[classes.c{v}]\nvalue = {v}\ncolor = "#0000{v:02x}"\n' for v in (10, 30, 50))
    (root / "dataset.toml").write_text(text + classes, encoding="utf-8-sig")
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset
    assert tileset.palette.names == ("c10", "c30", "c50")
    assert (tileset.manifest["licence"], tileset.manifest["attribution"]) == ("CC BY 4.0", "me")
    plain = tile(root, tmp_path / "u", options=TileOptions(size=64, bidx=(1, 2, 3))).tileset
    with open_raster(tileset.tiles[0].image_path(tmp_path / "t")) as own:
        swapped = own.read()
    with open_raster(plain.tiles[0].image_path(tmp_path / "u")) as other:
        assert (swapped == other.read()[::-1]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('image = "a"', r"dataset\.toml: unknown option 'image'; did you mean 'images'"),
        ('images = "a/*"', r"dataset\.toml gives images without masks"),
        ("threshold = 0", r"dataset\.toml: threshold must be at least 1 .*got 0"),
        ('threshold = "128"', r"dataset\.toml: threshold must be an integer, got '128'"),
        ("threshold = true", r"dataset\.toml: threshold must be an integer, got True"),
        ("bands = [1, 2]", r"dataset\.toml: bands"),
        ("bands = [3, 2, 0]", r"dataset\.toml: bands must be at least 1, got 0"),
        ("bands = [3, 2, 1.0]", r"dataset\.toml: bands 3 must be an integer, got 1.0"),
        ('images = "/etc/*"\nmasks = "b/*"', r"dataset\.toml: images must stay inside the folder, got /etc/\*"),
        ('images = "a/*"\nmasks = "b/../../*"', r"dataset\.toml: masks must stay inside the folder"),
        ('rules = "../rules.toml"', r"dataset\.toml: rules must stay inside the folder"),
        ('rules = "rules.toml"', r"dataset\.toml: there is no rule file rules\.toml in the folder"),
        ("licence = 4", r"dataset\.toml: licence must be a string, got 4"),
        ("[classes.a]\nvalue = 1", r"dataset\.toml, \[classes\]: a\.color is missing"),
        ("classes = 3", r"dataset\.toml: classes must be a"),
        ("images = ", r"dataset\.toml: it is not valid TOML"),
    ],
)
def test_a_wrong_dataset_toml_is_one_line_that_names_the_key(text, message, tmp_path):
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(SattransError, match=message):
        open_dataset(tmp_path)


def test_images_and_masks_are_told_by_globs(tmp_path):
    root = make_folder(tmp_path / "d", scenes=2, size=64)
    (root / "images").rename(root / "things")
    options = TileOptions(size=64, images="things/*.tif", masks="masks/*.tif")
    assert len(tile(root, tmp_path / "t", options=options).tileset.tiles) == 2
    with pytest.raises(OptionError, match="--images and --masks belong together"):
        TileOptions(images="a")
    with pytest.raises(OptionError, match="not for dataset 'landcover'"):
        tile(root, options=TileOptions(dataset="landcover", images="a", masks="b"))


def test_grey_masks_are_cut_at_a_threshold(tmp_path):
    root = make_folder(tmp_path / "d", scenes=2, size=64)
    ramp = np.tile(np.arange(128, 256, 2, dtype=np.uint8), (64, 1))
    ramp[32:] -= 128
    for mask in (root / "masks").iterdir():
        write_raster(mask, ramp, None, None, compress="deflate")
    with pytest.raises(ClassesError, match="--threshold 128"):
        tile(root, tmp_path / "t", options=TileOptions(size=64))
    assert not (tmp_path / "t").exists()
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=64, threshold=100)).tileset
    assert tileset.palette.values == (0, 255)
    with open_raster(tileset.tiles[0].map_path(tmp_path / "t")) as map_:
        assert (map_.read()[0] == np.where(ramp < 100, 0, 255)).all()


def test_grey_masks_of_two_known_classes_are_refused_before_any_tile(tmp_path):
    root = make_folder(tmp_path / "d", scenes=2, size=64, values=(0, 255))
    write_classes(root, '[no]\nvalue = 0\ncolor = "#000000"\n[yes]\nvalue = 255\ncolor = "#ffffff"\n')
    ramp = np.tile(np.arange(-400, 624, 16).clip(0, 255).astype(np.uint8), (64, 1))
    write_raster(root / "masks" / "place1.tif", ramp, None, None)
    with pytest.raises(ClassesError, match="--threshold 128"):
        tile(root, tmp_path / "t", options=TileOptions(size=32))
    assert not (tmp_path / "t").exists()
    tile(root, tmp_path / "t", options=TileOptions(size=32, threshold=128))
