"""`sattrans generate` as a user runs it, on maps of three classes at 10 m a pixel."""

import numpy as np
import rasterio
from affine import Affine
from commands import error_line, sattrans
from makers import make_indices, write_raster

PLACE = Affine(10, 0, 411_000, 0, -10, 3_900_000)

VALUES = np.array([10, 30, 50], np.uint8)

RULES = """background = "class10"
[[rule]]
class = "class30"
where = { kind = "wood" }
[[rule]]
class = "class50"
where = { kind = "house" }
"""


def generate(run, *arguments):
    return sattrans("generate", *arguments, "--run", run.folder)


def made(run, *arguments):
    """Run a command that has to succeed; return its notes."""
    result = generate(run, *arguments)
    assert result.exit_code == 0, result.output
    return [line.removeprefix("note: ") for line in result.stderr.splitlines() if line.startswith("note: ")]


def refused(run, code, *arguments):
    """Run a command that has to end with this exit status; return the line of its error."""
    result = generate(run, *arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return error_line(result.stderr)


def write_map(path, height=90, width=120, seed=1, metres=10.0, **how):
    place = PLACE @ Affine.scale(metres / 10)
    return write_raster(path, VALUES[make_indices(height, width, 3, seed)], "EPSG:32652", place, **how)


def read(path):
    with rasterio.open(path) as src:
        return src.read()
