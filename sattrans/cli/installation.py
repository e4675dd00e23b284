"""What `sattrans check` looks at: Python, packages, PyTorch's devices, GDAL, PROJ, disk, plugins."""

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from sattrans.utils.folders import runs_folder, tiles_folder
from sattrans.utils.version import __version__

State = Literal["ok", "note", "broken"]

LITTLE_DISK = 2_000_000_000
"""Free bytes below which a note is made: a tileset and a run of a small place take about that much."""

VARIABLES = (
    "SATTRANS_DEVICE",
    "SATTRANS_WORKERS",
    "SATTRANS_RUNS",
    "SATTRANS_TILES",
    "SATTRANS_CACHE",
    "OMP_NUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found."""

    what: str
    state: State
    found: str


def check_installation() -> list[Found]:
    """Run all checks. One that fails with whatever error is broken, and the others run."""
    found: list[Found] = []
    for what, look in CHECKS.items():
        try:
            found += [Found(what, "ok", one) if isinstance(one, str) else one for one in look()]
        except Exception as error:
            found.append(Found(what, "broken", f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]))
    return found


def _sattrans() -> Iterator[str]:
    yield f"{__version__}, in {Path(__file__).parents[1]}"


def _python() -> Iterator[str]:
    yield f"{platform.python_version()} ({sys.executable}), {platform.platform()}, {os.cpu_count()} processors"


def _torch() -> Iterator["str | Found"]:
    import torch

    yield f"{torch.__version__}, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
        yield Found("devices", "ok", f"cuda ({names}), cpu")
    elif torch.backends.mps.is_available():
        yield Found("devices", "ok", "mps, cpu")
    elif torch.version.cuda:
        yield Found("devices", "note", f"cpu; this PyTorch is built for CUDA {torch.version.cuda}, but finds no GPU")
    else:
        yield Found("devices", "ok", "cpu; this PyTorch is built without CUDA")
    result = float((torch.ones(4, 4) @ torch.ones(4, 4)).sum())
    if result != 64:
        yield Found("PyTorch", "broken", f"a product of ones sums up to {result}, not 64")


def _gdal() -> Iterator["str | Found"]:
    import rasterio

    yield f"{rasterio.__gdal_version__}, rasterio {rasterio.__version__}"
    with rasterio.Env() as env:
        drivers = env.drivers()
    if missing := [name for name in ("GTiff", "COG", "PNG", "JPEG") if name not in drivers]:
        yield Found("GDAL", "broken", f"it lacks the drivers {', '.join(missing)}")


def _proj() -> Iterator[str]:
    from rasterio.crs import CRS
    from rasterio.warp import transform

    (x,), (y,) = transform(CRS.from_epsg(4326), CRS.from_epsg(32633), [15.0], [52.0])
    if abs(x - 500_000) > 0.01 or abs(y - 5_761_038.21) > 0.01:  # on the central meridian, x is 500 km
        raise ValueError(f"15° E, 52° N is x {x:.2f}, y {y:.2f} in UTM 33 N, not 500000.00 and 5761038.21")
    yield "its data transforms coordinates"


def _weights() -> Iterator[str]:
    from sattrans.metrics.kid_lite import LiteFeatures

    LiteFeatures("lite0", (15,))
    LiteFeatures("lite1", (15,))
    yield "those of EfficientNet-Lite0 and Lite1 are whole; training projected and evaluate need them"


def _disk() -> Iterator["str | Found"]:
    for what, folder in (("disk here", Path.cwd()), ("temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free
        state: State = "note" if free < LITTLE_DISK else "ok"
        if not os.access(folder, os.W_OK):
            yield Found(what, "note", f"{folder} cannot be written")
        else:
            yield Found(what, state, f"{free / 1e9:.1f} GB free in {folder}")


EXTRAS = {
    "vector": ("pyogrio", "vector maps"),
    "dask": ("distributed", "tiling on a cluster"),
    "s3": ("obstore", "object storage"),
    "tensorboard": ("tensorboard", "live curves of training"),
}
"""The package that each extra installs, and what it is for."""


def _packages() -> Iterator["str | Found"]:
    """Look for the packages that sattrans needs, and for the optional ones."""
    lines = [line for line in requires("sattrans") or () if "extra ==" not in line]
    needed = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines]
    if missing := [name for name in needed if not _installed(name)]:
        yield Found("packages", "broken", f"missing: {', '.join(missing)}; install sattrans again")
    else:
        yield f"all {len(needed)} that sattrans needs"
    for extra, (package, use) in EXTRAS.items():
        if _installed(package):
            yield Found(f"extra {extra}", "ok", f"{package} {version(package)}, for {use}")
        else:
            yield Found(f"extra {extra}", "note", f"not installed; pip install 'sattrans[{extra}]' for {use}")


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _plugins() -> Iterator["str | Found"]:
    from sattrans.plugins import default_model, manager

    for row in manager().rows():
        state: State = "broken" if row.error else "ok"
        yield Found(f"{row.kind} {row.name}", state, row.error or f"{row.origin} {row.version}")
    yield Found("default model", "ok", default_model())


def _variables() -> Iterator["str | Found"]:
    runs_folder()
    tiles_folder()
    if device := os.environ.get("SATTRANS_DEVICE"):
        from sattrans.runs.device import choose_device

        choose_device(device)
    workers = os.environ.get("SATTRANS_WORKERS", "1")
    if not workers.isdecimal() or int(workers) < 1:
        raise ValueError(f"SATTRANS_WORKERS is {workers}, not a number of at least 1")
    unknown = [name for name in os.environ if name.startswith("SATTRANS_") and name not in VARIABLES]
    if unknown:
        yield Found("environment variables", "note", f"{', '.join(unknown)}: sattrans reads no such variable")
    yield ", ".join(f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ) or "none"


CHECKS: dict[str, Callable[[], Iterator["str | Found"]]] = {
    "sattrans": _sattrans,
    "Python": _python,
    "packages": _packages,
    "PyTorch": _torch,
    "GDAL": _gdal,
    "PROJ": _proj,
    "pretrained weights": _weights,
    "disk": _disk,
    "environment variables": _variables,
    "plugins": _plugins,
}
