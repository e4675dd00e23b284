"""Files that name an address, or a file beside them, in all ways that GDAL, PROJ and our own records know."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import rasterio
from makers import make_indices, write_raster
from makers_scenes import vrt_of
from makers_vectors import box, in_degrees, write_layer

SECRET = 177
"""The pixels of the secret raster; no other file holds them."""

WORD = "hush-hush"
"""The attribute, and the name, of the layer in the secret vector file."""

GRID = '"+proj=utm +zone=52 +nadgrids=WHERE +units=m"'
CRS = f'PROJCS["x",GEOGCS["y",DATUM["z",SPHEROID["a",6378137,298]],UNIT["d",0.017]],EXTENSION["PROJ4",{GRID}]]'


def crs_of(where: str) -> str:
    """Return the WKT of a CRS that needs a grid file."""
    return CRS.replace("WHERE", where)


def write_secrets(folder: Path) -> tuple[Path, Path]:
    """Write the raster and the vector file that nobody names on the command line."""
    raster = write_raster(folder / "secret.tif", np.full((64, 64), SECRET, np.uint8))
    shape = in_degrees(box(0, 0, 20, 20))
    return raster, write_layer(folder / "secret.geojson", [shape], WORD, "GeoJSON", "EPSG:4326", kind=[WORD])


def write_hostile(folder: Path, address: str, secret: Path) -> Path:
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
        Path(f"{copy}.aux.xml").write_text(f"<PAMDataset><SRS>{crs_of(where)}</SRS></PAMDataset>")
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


TEXTS = {
    "ogrvrt": "<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>WHERE</SrcDataSource></OGRVRTLayer>"
    "</OGRVRTDataSource>",
    "wfs": "<OGRWFSDataSource><URL>WHERE</URL></OGRWFSDataSource>",
    "braced": '{<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>WHERE</SrcDataSource></OGRVRTLayer>',
    "pipeline": '{"type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read WHERE ! write x"}',
    "linked": '{"type":"FeatureCollection","features":[],"crs":{"type":"link","properties":{"href":"WHERE"}}}',
    "jsonfg": '{"conformsTo":["[ogc-json-fg-1-0.1:core]"],"type":"FeatureCollection","features":[],'
    '"coordRefSys":"WHERE"}',
    "commented": '<osm version="0.6"><!-- <OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>WHERE'
    "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource> --></osm>",
    "entity": '<?xml version="1.0"?><!DOCTYPE osm [<!ENTITY e SYSTEM "WHERE">]><osm version="0.6">'
    '<node id="1" lat="1" lon="1"><tag k="name" v="&e;"/></node></osm>',
    "kml": '<kml><NetworkLink><Link><href>"WHERE"</href></Link></NetworkLink></kml>',
    "plainly": "WHERE",
}
"""Texts that make a library open what stands at WHERE."""

SUFFIXES = {"braced": ".geojson", "pipeline": ".geojson", "linked": ".geojson", "jsonfg": ".geojson"}
SUFFIXES |= {"commented": ".osm", "entity": ".osm"}


def write_hostile_vectors(folder: Path, address: str, secret: Path) -> Path:
    """Write vector maps that name the secret file, or the server, in all ways that GDAL and SQLite know."""
    folder.mkdir(parents=True)
    shapes = [in_degrees(box(0, 0, 20, 10))]
    plain = write_layer(folder / "plain.gpkg", shapes, crs="EPSG:4326", kind=["house"])
    for number, where in enumerate((str(secret), f"{address}/a.geojson", f"/vsicurl/{address}/a.geojson")):
        for name, text in TEXTS.items():
            for suffix in {SUFFIXES.get(name, ".gpkg"), SUFFIXES.get(name, ".shp")}:
                (folder / f"{name}{number}{suffix}").write_text(text.replace("WHERE", where))
        srs = "UPDATE gpkg_spatial_ref_sys SET definition = ? WHERE srs_id = 4326"
        _changed(plain, folder / f"srs{number}.gpkg", [(srs, (crs_of(where),))])
        for module in ("VirtualOGR", "VirtualShape", "VirtualText"):
            words = f"CREATE VIRTUAL TABLE plain USING {module}('{where}')"
            table = [("PRAGMA writable_schema=1", ()), ("DROP TABLE plain", ())]
            table.append(("INSERT INTO sqlite_master VALUES ('table', 'plain', 'plain', 0, ?)", (words,)))
            _changed(plain, folder / f"{module}{number}.gpkg", table)
        town = folder / f"prj{number}"
        town.mkdir()
        shapefile = write_layer(town / "town.shp", shapes, driver="ESRI Shapefile", crs="EPSG:4326", kind=["house"])
        shapefile.with_suffix(".prj").write_text(crs_of(where))
    shutil.copy(plain, folder / f"{address.replace('//', '')}?x.gpkg")
    shutil.copy(plain, folder / "file:secret.geojson")
    shutil.copy(plain, folder / f"GeoJSON:{secret.name}")
    (folder / "link.gpkg").symlink_to(folder / "nowhere.gpkg")
    return folder


def _changed(plain: Path, copy: Path, statements: list[tuple[str, tuple[str, ...]]]) -> None:
    shutil.copy(plain, copy)
    with closing(sqlite3.connect(copy)) as database:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):  # of triggers
            database.create_function(name, 1, lambda _: 1)
        for words, values in statements:
            database.execute(words, values)
        database.commit()
