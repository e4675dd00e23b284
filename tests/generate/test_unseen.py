"""A class that no training tile holds stays in the run, and train and generate name it."""

import numpy as np
from generate_command import PLACE, made, write_map
from makers import make_folder, write_raster

from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train


def test_a_class_that_training_never_saw_is_kept_and_named_with_its_share(tmp_path):
    root = make_folder(tmp_path / "f", size=128, classes_toml=True)
    with (root / "classes.toml").open("a") as file:
        file.write('\n[snow]\nvalue = 70\ncolor = "#fefefe"\n')
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset
    options = TrainOptions(model="pix2pix", settings={"width": 1}, steps=1, monitor="l1")
    result = train(tileset.folder, tmp_path / "r", options)
    assert result.run.palette.names[-1] == "snow" and result.run.unseen_classes == ("snow",)
    assert any("no training tile holds snow" in notice for notice in result.notices)
    assert not made(result.run, write_map(tmp_path / "known.tif"), "-o", tmp_path / "known.sat.tif")
    values = np.full((80, 100), 10, np.uint8)
    values[:20] = 70
    map_ = write_raster(tmp_path / "map.tif", values, "EPSG:32652", PLACE)
    (note,) = made(result.run, map_, "-o", tmp_path / "sat.tif")
    assert f"never saw 1 class of {map_}, snow (25.00%) of it" in note and "--class-map 70=CLASS" in note
