"""Settings of the process: set by a command, never by an import."""

import os
import subprocess
import sys

PROBE = """
import gc, os, sys
import rasterio, torch  # what these set is theirs
before = gc.get_threshold(), dict(os.environ)
import sattrans, sattrans.tile, sattrans.train, sattrans.generate, sattrans.mosaic, sattrans.model
from sattrans.mosaic.api import mosaic
from sattrans.train.api import train
from sattrans.generate.api import generate
sys.exit(before != (gc.get_threshold(), dict(os.environ)))
"""


def test_importing_sattrans_changes_no_setting_of_the_process():
    env = {k: v for k, v in os.environ.items() if not k.startswith(("THP_", "OMP_", "OPENBLAS_", "KMP_"))}
    assert subprocess.run([sys.executable, "-c", PROBE], env=env).returncode == 0


def test_a_command_asks_for_large_pages_and_collects_less_often_unless_the_user_has_decided():
    code = (
        "import gc, os, sys; from sattrans.utils import process; process.configure()\n"
        "print(os.environ['THP_MEM_ALLOC_ENABLE'], gc.get_threshold()[0])"
    )
    env = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    for given, expected in (({}, "1 10000"), ({"THP_MEM_ALLOC_ENABLE": "0"}, "0 10000")):
        run = subprocess.run([sys.executable, "-c", code], env={**env, **given}, capture_output=True, text=True)
        assert run.stdout.strip() == expected, run.stderr


def test_a_command_uses_its_own_data_of_proj_whatever_another_program_has_set(tmp_path):
    code = (
        "import os; from sattrans.utils import process; process.configure()\n"
        "from rasterio.crs import CRS; print(CRS.from_epsg(2180).to_epsg(), 'ś')\n"
        "import warnings; warnings.warn('raw')\n"
        "import logging; logging.getLogger('matplotlib').warning('raw')"
    )
    foreign = dict.fromkeys(("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH"), str(tmp_path))
    env = {**os.environ, **foreign, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (run.stdout.strip(), run.stderr) == ("2180 ?", "")
