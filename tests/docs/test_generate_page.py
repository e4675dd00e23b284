"""The page on generating is true: its commands run and print what it says, and it names every option and key."""

import json
import re
from pathlib import Path

import numpy as np
from affine import Affine
from makers import HERE, POLAND, make_indices, make_landcover, write_raster
from makers_vectors import make_town, write_geofabrik
from pages import DOCS, SWITCHES, run_line, run_page, section, write_files
from rasterio.crs import CRS

from sattrans.maps.rules import BUILT_IN
from sattrans.maps.schemas import RulesFile, RuleTable
from sattrans.raster.georeference import Georeference
from sattrans.raster.window import Window

PAGE = DOCS / "generate.md"


def test_its_commands(folder):
    make_landcover(folder / "landcover", scenes=3, height=512, width=512)
    run_line("sattrans tile landcover/ --size 64")
    run_line("sattrans train --model pix2pix --steps 1 --set width=1")
    indices = make_indices(120, 160, 5)
    write_raster(folder / "map.tif", indices)
    write_raster(folder / "fine.tif", indices, transform=HERE @ Affine.scale(0.5))
    write_raster(folder / "theirs.tif", make_indices(60, 80, 4) + np.uint8(5))
    write_raster(folder / "maps" / "one.tif", indices)
    write_geofabrik(folder / "town.gpkg", make_town())
    (part,) = Georeference.of(CRS.from_user_input(POLAND), HERE).footprints([Window(10, 10, 40, 50)])
    (folder / "area.geojson").write_text(json.dumps(part))
    write_files(PAGE, folder)
    run_page(PAGE)
    named = {"sat", "resampled", "part", "area", "theirs-sat", "town", "mine", "images/one"}
    assert not [name for name in named if not Path(f"{name}.tif").is_file()]


def test_it_names_every_option_and_every_key_of_a_rule_file():
    text = PAGE.read_text(encoding="utf-8")
    told = section(DOCS / "cli.md", "`sattrans generate`")
    options = set(re.findall(r"^\* `(?:-\w, )?(--[a-z-]+)", told, re.MULTILINE)) - {"--output", *SWITCHES}
    assert len(options) > 10
    assert not [option for option in options if option not in text]
    fields = RuleTable.model_fields | RulesFile.model_fields
    keys = {field.alias or name for name, field in fields.items()}
    assert {"class", "width", "background", "rule"} <= keys
    assert not [key for key in keys if f"`{key}" not in text and f"[[{key}]]" not in text]
    assert not [name for name in BUILT_IN if f"--rules {name}" not in text]
