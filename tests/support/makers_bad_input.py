"""Files for the page of refusals: each is wrong in its own way."""

import json
import shutil
from pathlib import Path

import numpy as np
from affine import Affine
from makers import HERE as PLACE
from makers import make_folder, make_indices, make_landcover, make_picture, write_raster
from makers_vectors import make_town, write_geofabrik

UTM = "EPSG:32652"
HERE = Affine(10, 0, 300_000, 0, -10, 4_100_000)


def make_bad_input() -> None:
    """Make them in the current folder."""
    make_landcover(Path("landcover"), scenes=1, height=1024, width=1024)
    Path("photos").mkdir()
    make_folder(Path("lone"), scenes=2, size=128)
    Path("lone/masks/place1.tif").unlink()
    _make_spoilt_folders()
    indices = make_indices(128, 128, 5)
    write_raster(Path("map.tif"), indices)
    write_raster(Path("twice/a.tif"), indices)
    write_raster(Path("twice/a.png"), indices, None, None, driver="PNG")
    write_raster(Path("corine.tif"), indices + np.uint8(111))
    write_raster(Path("photo.tif"), make_picture(indices))
    write_raster(Path("far.tif"), indices, transform=PLACE @ Affine.scale(100))
    write_geofabrik(Path("town.gpkg"), make_town())
    castles = '[[rule]]\nclass = "building"\nlayer = "*buildings*"\nwhere = { castle = true }\n'
    Path("castles.toml").write_text(f'background = "background"\n{castles}', encoding="utf-8")
    narrow = castles.replace("castle = true }", "fclass = true }\nwidth = 0")
    Path("narrow.toml").write_text(f'background = "background"\n{narrow}', encoding="utf-8")
    Path("hidden.tif").write_text('<VRTDataset rasterXSize="1">', encoding="utf-8")
    lake = {"type": "Polygon", "coordinates": [[[8, 47], [9, 47], [9, 48], [8, 47]]]}
    well = {"type": "Point", "coordinates": [8, 47]}
    for name, area in (("lake", lake), ("well", well)):
        Path(f"{name}.geojson").write_text(json.dumps(area), encoding="utf-8")


def _make_spoilt_folders() -> None:
    for name in ("shifted", "elsewhere", "deep", "smoothed", "unknown", "fractions"):
        make_folder(Path(name), scenes=1, size=128)
    for name, columns in (("shifted", 1), ("elsewhere", 1000)):
        there = HERE @ Affine.translation(columns, 0)
        write_raster(Path(name, "masks", "place0.tif"), make_indices(128, 128, 3), UTM, there)
    write_raster(Path("deep/images/place0.tif"), np.zeros((3, 128, 128), np.uint16), UTM, HERE)
    edges = np.array([6] * 60 + [31, 57, 82, 108, 133, 159, 184, 210, 235] + [255] * 59, np.uint8)
    ramp = np.arange(128, dtype=np.uint8)
    for name, row in (("smoothed", edges), ("unknown", ramp), ("fractions", ramp.astype(np.float32) / 2)):
        write_raster(Path(name, "masks", "place0.tif"), np.tile(row, (128, 1)), UTM, HERE)
    Path("smoothed/classes.toml").write_text('[a]\nvalue = 6\ncolor = "#000000"\n[b]\nvalue = 255\ncolor = "#ff0000"\n')
    for name, scenes in (("known", 1), ("changed", 1), ("renamed", 1), ("damaged", 2)):
        make_folder(Path(name), scenes=scenes, size=128, values=(1, 2, 3), classes_toml=True)
    make_folder(Path("strange"), scenes=1, size=128, values=(1, 2, 3, 9))
    shutil.copy("known/classes.toml", "strange/classes.toml")
    cut_short = Path("damaged/images/place1.tif")
    cut_short.write_bytes(cut_short.read_bytes()[:-20_000])


def change_what_was_tiled() -> None:
    """ChangedWindows an image and the classes of folders that were made into tilesets."""
    write_raster(Path("changed/images/place0.tif"), make_picture(make_indices(128, 128, 3), seed=1), UTM, HERE)
    told = Path("renamed/classes.toml")
    told.write_text(told.read_text(encoding="utf-8").replace("[class3]", "[water]"), encoding="utf-8")
