"""What every test shares: one thread a process, hypothesis's examples, and the markers that say what a test costs.

Markers are given here and not by hand, so that a new test cannot forget them:

- `docs`, `real_data` and `faults` by the folder below tests/;
- `process` when a test, a fixture it uses or a parameter can come to `subprocess` or `multiprocessing`;
- `train` when one of them can come to `sattrans.train`, to its command or to the training of segmenters.

"Can come to" is read from the code: from a test's function, its fixtures and its parameters on, every function of the
tests that they name is followed. `make quick` leaves all these out, and what is marked `slow` by hand; `make test`
leaves out `faults`, but for those marked `short`.
"""

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

# Before anything imports torch: tests run two at a time on two cores, and threads that wait for each other
# there cost ten times what they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import typer.testing
from clusters import local_cluster
from filelock import FileLock
from hypothesis import HealthCheck, settings

from sattrans.utils.process import request_large_pages

TESTS = Path(__file__).parent
FOLDERS = ("docs", "faults", "real_data")
PROCESSES = (subprocess, multiprocessing)
TRAINING = {"train", "resume", "launch", "train_segmenter", "measure_downstream", "check_model", "demo"}
SLOW = ("faults", "train", "process", "docs")

# Half of what a short command takes is to build the tree of all commands: it is built once.
typer.testing._get_command = cache(typer.testing._get_command)

request_large_pages()  # before torch allocates memory, as a command does

# A shell has what it starts in the background ignore Ctrl-C, and so would the commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time: a suite that fails on some days only is no use to anyone.
for profile, examples in (("suite", 25), ("thorough", 200)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
settings.load_profile("suite")


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a function that fills a folder the first time its name is asked for, once for all workers.

    What lies in it is for reading: others read it, too.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def folder_of(name: str, fill: Callable[[Path], object]) -> Path:
        folder = root / "shared" / name
        folder.parent.mkdir(exist_ok=True)
        with FileLock(f"{folder}.lock"):
            filled = folder / ".filled"
            if not filled.exists():
                folder.mkdir()
                fill(folder)
                filled.touch()
        return folder

    return folder_of


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Have every second worker read the files from the last to the first.

    The first time a test file is read takes long, because pytest rewrites its assertions. It keeps the result, so two
    workers that start at opposite ends rewrite half of the files each. In the same order, both would rewrite them all.
    """
    report = yield
    if isinstance(collector, pytest.Directory) and os.environ.get("PYTEST_XDIST_WORKER", "gw0")[-1] in "13579":
        report.result.reverse()
    return report


@pytest.hookimpl(tryfirst=True)  # before -m chooses by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it costs, and put the longest files first: two workers then end together."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in FOLDERS:
            item.add_marker(folder)
        for marker in _costs(item):
            item.add_marker(marker)
    first: dict[Path, int] = {}
    for item in items:
        rank = next((place for place, marker in enumerate(SLOW) if item.get_closest_marker(marker)), len(SLOW))
        first[item.path] = min(first.get(item.path, rank), rank)
    items.sort(key=lambda item: (first[item.path], item.path))  # stable: the tests of a file stay in their order


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Make short trainings shorter: what follows an epoch takes longer than a few steps do.

    Batch norms are measured again on 8 tiles, not 64. Only the tests of the pages draw curves, because those show them.
    """
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("train"):
            patch.setattr("sattrans.train.validation.REFRESH_TILES", 8)
            if not item.get_closest_marker("docs"):
                patch.setattr("sattrans.train.api.write_curves", lambda run: None)
        return (yield)


def _costs(item: pytest.Item) -> set[str]:
    fixtures = getattr(item, "_fixtureinfo", None)
    names = fixtures.name2fixturedefs if fixtures else {}
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    ahead = [getattr(item, "obj", None), *(made[-1].func for made in names.values()), *parameters]
    seen: set[FunctionType] = set()
    costs: set[str] = set()
    while ahead:
        function = getattr(ahead[-1], "__func__", ahead.pop())
        if isinstance(function, FunctionType) and function not in seen:
            seen.add(function)
            own, named = _read(function)
            costs |= own
            ahead += named
    return costs


@cache  # most functions are named by many tests
def _read(function: FunctionType) -> tuple[set[str], list[FunctionType]]:
    """Return the markers of what a function of the tests itself starts, and the functions that it names."""
    costs: set[str] = set()
    named: list[FunctionType] = []
    if not Path(function.__code__.co_filename).is_relative_to(TESTS):
        return costs, named
    for code in _codes(function.__code__):
        if "train" in _texts(code) and {"sattrans", "app", "run_line", "runs"} & set(code.co_names):
            costs.add("train")
        for name in code.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, ModuleType):
                costs |= {"process"} if value in PROCESSES else set()
            elif isinstance(value, type):
                named += [method for method in vars(value).values() if isinstance(method, FunctionType)]
            elif name in TRAINING and getattr(value, "__module__", "").startswith("sattrans."):
                costs.add("train")
            elif isinstance(value, FunctionType):
                named.append(value)
    return costs, named


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _texts(code: CodeType) -> Iterator[str]:
    """Yield the texts that a function holds; the words of a command may stand in one, or in a tuple."""
    constants = list(code.co_consts)
    while constants:
        constant = constants.pop()
        if isinstance(constant, tuple):
            constants += constant
        elif isinstance(constant, str):
            yield from constant.split()


@pytest.fixture
def timeless(monkeypatch):
    """Give every manifest the same time, so that trees can be compared byte by byte."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Dask cluster of two processes."""
    with local_cluster(2) as processes:
        yield processes.scheduler_address


@pytest.fixture
def tiny_tileset(tmp_path):
    """A tileset of one training tile, as its records have it; its image is a few bytes, and no raster."""
    from sattrans.data.tileset import MANIFEST, SceneRecord, Tile, manifest_body, write_index, write_tileset_manifest
    from sattrans.raster.georeference import Georeference
    from sattrans.raster.window import Window
    from sattrans.utils.hashing import sha256

    folder = tmp_path / "tiles" / "tiny-64"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a_0.tif").write_bytes(b"pixels")
    scene = SceneRecord("a", "", "a.tif", None, 64, 64, Georeference(None, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)))
    image = "images/a_0.tif"
    tile = Tile("a_0", "a", "train", Window(0, 0, 64, 64), {}, image, sha256(folder / image))
    write_index(folder, [tile], {"a": scene})
    body = manifest_body("2026-01-01T00:00:00+00:00", {"size": 64}, 64, None, [scene], [tile], [])
    write_tileset_manifest(folder / MANIFEST, body)
    return folder
