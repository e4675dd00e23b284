"""Commands over hostile files: no connection is made, and no byte of a file beside them comes out (`make hostile`).

A web server on this machine counts what it is asked for. A secret raster lies beside the folder; each hostile file
names it, or the server, in another way.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from makers import make_indices, make_picture, web_server, write_raster
from makers_scenes import vrt_of
from typer.testing import CliRunner

from sattrans.cli import app

pytestmark = pytest.mark.short

SECRET = 177
GRID = '"+proj=utm +zone=52 +nadgrids=WHERE +units=m"'
CRS = f'PROJCS["x",GEOGCS["y",DATUM["z",SPHEROID["a",6378137,298]],UNIT["d",0.017]],EXTENSION["PROJ4",{GRID}]]'


def aux(where):
    return f"<PAMDataset><SRS>{CRS.replace('WHERE', where)}</SRS></PAMDataset>"


def write_hostile(folder, address, secret):
    """Write rasters of one class that name the secret file, or the server, in all ways that GDAL knows."""
    folder.mkdir(parents=True)
    plain = write_raster(folder / "plain.tif", make_indices(64, 64, 3))
    for number, where in enumerate((str(secret), f"/vsicurl/{address}/a.tif")):
        (folder / f"vrt{number}.tif").write_text(vrt_of(where))
        (folder / f"vrt{number}.vrt").write_text(vrt_of(where))
        for suffix in (".ovr", ".msk"):
            copy = shutil.copy(plain, folder / f"beside{number}{suffix[1:]}.tif")
            Path(f"{copy}{suffix}").write_text(vrt_of(where))
        copy = shutil.copy(plain, folder / f"aux{number}.tif")
        Path(f"{copy}.aux.xml").write_text(aux(where))
        tagged = shutil.copy(plain, folder / f"tag{number}.tif")
        with rasterio.open(tagged, "r+") as raster:
            raster.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=where)
        (folder / f"wms{number}.tif").write_text(
            f"<GDAL_WMS><Service><ServerUrl>{where}</ServerUrl></Service></GDAL_WMS>"
        )
    shutil.copy(plain, folder / f"{address.replace('//', '')}?x.tif")
    shutil.copy(plain, folder / "file:secret.tif")
    (folder / "link.tif").symlink_to(folder / "nowhere.tif")
    return folder


COMMANDS = {
    "colorize": lambda each, out: ["colorize", each, "-o", out / "c"],
    "mosaic": lambda each, out: ["mosaic", each, "-o", out / "m.tif"],
    "tile": lambda each, out: ["tile", each.parent, "--size", "32", "-o", out / "t"],
    "evaluate": lambda each, out: ["evaluate", "--pairs", each, each, "--metrics", "mae", "-o", out / "e"],
    "aoi": lambda each, out: ["tile", each.parent, "--size", "32", "--aoi", each / "area.geojson", "-o", out / "a"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_connection_and_no_byte_of_another_file(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    secret = write_raster(tmp_path / "secret.tif", np.full((64, 64), SECRET, np.uint8))
    with web_server() as (address, asked):
        images = write_hostile(tmp_path / "own" / "images", address, secret)
        masks = tmp_path / "own" / "masks"
        shutil.copytree(images, masks, symlinks=True)
        for path in sorted(images.iterdir()):
            if path.name == "plain.tif":
                write_raster(path, make_picture(make_indices(64, 64, 3)))
        (masks / "area.geojson").write_text(
            f'{{"type":"Polygon","coordinates":[],"crs":{{"type":"link","properties":{{"href":"{address}"}}}}}}'
        )
        whole = _run(COMMANDS[command](masks, tmp_path / "out"))
        for path in sorted(masks.iterdir()):  # and each file alone, as others may stop it before
            if command in ("colorize", "mosaic", "evaluate"):
                alone = tmp_path / "alone"
                alone.mkdir()
                for part in masks.glob(f"{path.name}*"):
                    shutil.copy(part, alone, follow_symlinks=False)
                whole += _run(COMMANDS[command](alone, tmp_path / "out" / path.name.replace(":", "")))
                shutil.rmtree(alone)
        assert asked == []
    assert "Traceback" not in whole
    for made in (path for path in (tmp_path / "out").rglob("*.tif") if path.is_file()):
        with rasterio.open(made) as raster:
            assert not (raster.read() == SECRET).any(), made


def _run(arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output
