"""The page on large maps is true: its loop makes the whole, and its plan follows from what was measured."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from makers import make_indices, make_landcover, write_raster
from pages import DOCS, blocks, run_line, write_files

PAGE = DOCS / "at-scale.md"
spec = importlib.util.spec_from_file_location("make_scale", DOCS / "make_scale.py")
make_scale = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_scale)


def pixels(path):
    with rasterio.open(path) as src:
        return src.read()


def test_the_loop_over_sheets_makes_the_whole(folder):
    make_landcover(folder / "landcover", scenes=3, height=512, width=512)
    run_line("sattrans tile landcover/ --size 64")
    run_line("sattrans train --model pix2pix --steps 1 --set width=1 -o runs/a")
    write_raster(folder / "map.tif", make_indices(80, 170, 5))
    assert [block.title for block in blocks(PAGE) if block.title] == ["sheets.py", "sheet.sh"]
    write_files(PAGE, folder)
    listed = subprocess.run([sys.executable, "sheets.py", "map.tif", "90"], check=True, capture_output=True, text=True)
    Path("sheets.txt").write_text(listed.stdout)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for number in range(1, 3):
        env = {**os.environ, "PATH": path, "SLURM_ARRAY_TASK_ID": str(number)}
        subprocess.run(["sh", "sheet.sh"], check=True, env=env, capture_output=True)
    run_line("sattrans generate map.tif --run runs/a -o one.tif")
    run_line("sattrans mosaic sheets -o whole.tif")
    assert np.array_equal(pixels("whole.tif"), pixels("one.tif"))


def test_the_plan_is_what_its_script_computes():
    text = PAGE.read_text(encoding="utf-8")
    assert make_scale.page_with(text) == text
    rows = {what: much for what, _, much in make_scale.plan()}
    assert rows["pixels"] == "5.00 × 10¹²"  # 312,700 km² of 16 million pixels each
