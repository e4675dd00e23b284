"""The whole pipeline on a small synthetic landscape: make the landscape, then run each command in order."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sattrans.data.contact_sheet import write_sheet
from sattrans.demo.land_cover import SyntheticLandCover
from sattrans.demo.landscape import PALETTE, PIXEL, make_landscape
from sattrans.demo.options import DemoOptions
from sattrans.plugins import default_model
from sattrans.raster.georeference import Georeference
from sattrans.raster.geotiff import write_geotiff
from sattrans.raster.open import open_raster
from sattrans.raster.window import tile_cells
from sattrans.runs.run import Run
from sattrans.utils.atomic import now, write_bytes
from sattrans.utils.folder_output import FolderOutput
from sattrans.utils.output import check_folder

DEFAULT_FOLDER = Path("sattrans-demo")
MANIFEST = "demo.json"
VERSION = 1

CELL = 512
"""Size in pixels of the cells that the split lists of LandCover.ai refer to."""

POLAND = (
    'PROJCS["ETRF2000-PL / CS92",GEOGCS["ETRF2000-PL",DATUM["ETRF2000_Poland",'
    'SPHEROID["GRS 1980",6378137,298.257222101,AUTHORITY["EPSG","7019"]],AUTHORITY["EPSG","1305"]],'
    'PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],'
    'AUTHORITY["EPSG","9702"]],PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],'
    'PARAMETER["central_meridian",19],PARAMETER["scale_factor",0.9993],PARAMETER["false_easting",500000],'
    'PARAMETER["false_northing",-5300000],UNIT["metre",1,AUTHORITY["EPSG","9001"]],'
    'AXIS["Northing",NORTH],AXIS["Easting",EAST],AUTHORITY["EPSG","2180"]]'
)
"""EPSG:2180, the CRS of LandCover.ai."""

CORNER = (600_000.0, 640_000.0)
"""Easting and northing of the landscape's north-west corner, in the lakes of Masuria."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the demo.

    Attributes:
        arguments: Its arguments, as a user types them after `sattrans`.
        output: The file or folder that it writes.
        done: Whether it must be skipped because the output exists; False for commands that check this themselves.
    """

    arguments: tuple[str, ...]
    output: Path
    done: bool = False


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo made, or would make.

    Attributes:
        picture: Map and generated image side by side, a PNG.
        image: The generated GeoTIFF.
        scores: The folder with the scores.
        steps: Of a dry run, the commands that would run.
    """

    picture: Path
    image: Path
    scores: Path
    steps: tuple[Step, ...] = ()


class DemoOutput(FolderOutput):
    """The folder of a demo. Only a folder with a demo is ever replaced."""

    manifest = MANIFEST
    kind = "demo"
    version = VERSION

    def begin(self, resumed: bool) -> None:
        """See `Output`."""
        super().begin(resumed)
        if not resumed:
            self.write_begun({"created": now(), "options": dict(self.options)})

    def progress(self) -> str:
        """See `FolderOutput`."""
        return "finished steps"


def demo(
    output: Path | None = None,
    options: DemoOptions = DemoOptions(),
    *,
    run: Callable[[Step], None],
    overwrite: bool = False,
    dry_run: bool = False,
) -> DemoResult:
    """Make a synthetic landscape in a folder, and run each command of the pipeline on it.

    Everything stays inside the folder. Existing outputs are not made again, so an interrupted demo resumes.

    Args:
        output: The folder; None for `sattrans-demo`.
        options: Seed and sizes.
        run: Runs one command; it raises if the command fails.
        overwrite: Replace a demo that was made with other options.
        dry_run: Check the folder and list the commands, but run and write nothing.

    Returns:
        The files to look at.

    Raises:
        OutputExists: The folder is a demo with other options, or not a demo.
    """
    folder = output or DEFAULT_FOLDER
    check_folder(folder)
    demo_folder = DemoOutput(folder, asdict(options), overwrite=overwrite)
    finished = demo_folder.is_finished(dry_run)
    result = DemoResult(folder / "demo.png", folder / "sat.tif", folder / "evaluation")
    if dry_run:
        demo_folder.check()
        return replace(result, steps=tuple(_steps(folder, options)))
    with demo_folder.locked() if finished else demo_folder.claim():
        make_dataset(folder / "landcover", options)
        make_map(folder / "map.tif", options)
        for step in _steps(folder, options):
            run(step)
        if not result.picture.is_file():
            _write_picture(result.picture, folder / "map.tif", result.image)
        if not finished:
            demo_folder.finish()
    return result


def _steps(folder: Path, options: DemoOptions) -> Iterator[Step]:
    """Yield the commands in order; each must have been run before the next is requested."""
    model = default_model()
    tiles, run, map_ = folder / "tiles" / f"landcover-{options.size}", folder / "runs" / model, folder / "map.tif"
    image, parts, mosaic, scores = (folder / name for name in ("sat.tif", "parts", "mosaic.tif", "evaluation"))

    def step(output: Path, *arguments: str | Path | int, done: bool = False) -> Step:
        return Step(tuple(map(str, arguments)), output, done)

    yield step(tiles, "tile", folder / "landcover", "--size", options.size, "-o", tiles)
    trained = run.is_dir() and Run.open(run).finished
    if run.is_dir() and not trained:
        yield step(run, "train", "--resume", run)
    else:
        network = ("--set", f"width={options.width}")
        length = ("--steps", options.steps, "--batch-size", options.batch_size)
        yield step(run, "train", "--model", model, "--data", tiles, *network, *length, "-o", run, done=trained)
    yield step(image, "generate", map_, "--run", run, "-o", image)
    yield step(parts, "generate", map_, "--run", run, "-o", parts)
    yield step(mosaic, "mosaic", parts, "-o", mosaic)
    yield step(scores, "evaluate", run, "-o", scores, done=(scores / "report.html").is_file())


def make_dataset(root: Path, options: DemoOptions) -> None:
    """Make scenes in the layout of LandCover.ai.

    An eighth of the cells is listed for val, and an eighth for test.

    Args:
        root: Folder of the dataset.
        options: How many scenes, and how large.
    """
    ids = []
    for number in range(options.scenes):
        name = f"scene-{number + 1}"
        image, mask = root / "images" / f"{name}.tif", root / "masks" / f"{name}.tif"
        if not (image.is_file() and mask.is_file()):
            landscape = make_landscape(options.side, options.side, _landscape_seed(options, number))
            georeference = _georeference(number * options.side)
            write_geotiff(image, landscape.photo, georeference)
            write_geotiff(mask, landscape.map, georeference, PALETTE)
        ids += [f"{name}_{cell.k}" for cell in tile_cells(options.side, options.side, CELL) if cell.whole]
    eighth = max(1, len(ids) // 8)
    lists = {"val": ids[:eighth], "test": ids[-eighth:], "train": ids[eighth:-eighth]}
    for split, listed in lists.items():
        if not (root / f"{split}.txt").is_file():
            write_bytes(root / f"{split}.txt", "".join(f"{name}\n" for name in listed).encode())


def make_map(path: Path, options: DemoOptions) -> None:
    """Make the map to generate from: the landscape to the east of the scenes.

    Args:
        path: The GeoTIFF to write.
        options: The seed, and the map's size.
    """
    if not path.is_file():
        rng = np.random.default_rng(_landscape_seed(options, options.scenes))
        land_cover = SyntheticLandCover.generate(options.map_height, options.map_width, rng)
        write_geotiff(path, land_cover.map, _georeference(options.scenes * options.side), PALETTE)


def _landscape_seed(options: DemoOptions, number: int) -> int:
    return 1000 * options.seed + number


def _georeference(east: int) -> Georeference:
    """Return the georeference of a raster whose north-west corner is `east` pixels east of `CORNER`."""
    return Georeference(POLAND, (PIXEL, 0, CORNER[0] + east * PIXEL, 0, -PIXEL, CORNER[1]))


def _write_picture(path: Path, map_: Path, image: Path) -> None:
    with open_raster(map_) as classes, open_raster(image) as generated:
        colors = PALETTE.to_rgb(PALETTE.from_values(classes.read()[0].astype(np.uint8)))
        write_sheet(path, [(colors, generated.read(bands=(1, 2, 3)).astype(np.uint8))], ("map", "generated"))
