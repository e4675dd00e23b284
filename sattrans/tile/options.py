"""The options of `tile`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from sattrans.errors import OptionError
from sattrans.raster.tile_formats import FORMATS, TileFormat
from sattrans.raster.window import Edge
from sattrans.utils.options import BOUNDS, DatasetName, Option, Scheduler, Seed, Workers, check, check_scheduler

Scheme = Literal["published", "scene", "block", "random"]
"""What decides a tile's split: the published lists, its scene, its block of neighbouring tiles, or chance."""

TilesetLayout = Literal["tiles", "pairs"]

Direction = Literal["AtoB", "BtoA"]
"""Of a file that holds A and B side by side: AtoB, when A (the left half) is the map; BtoA, when B is."""

Fractions = tuple[float, float, float]

DEFAULT_SIZE = 256

MAX_SIZE = 16_384
"""The largest side of a tile: a worker holds one whole, a few times over, 800 MB each at this size."""

GRID, CHOICE, SPLITS, FILES = "Image and map", "Which tiles", "Splits", "Files"


def _parse_bands(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise OptionError(f"--bidx must be three band numbers, such as 3,2,1, got {text}") from None


def _parse_share(text: str) -> dict[str, float]:
    name, _, share = text.rpartition("=")
    try:
        return {name: float(share)}
    except ValueError:
        raise OptionError(f"--min-share must be a class and a share, such as building=0.01, got {text}") from None


def parse_fractions(text: str) -> Fractions:
    """Read "0.8,0.1,0.1": shares of train, val and test. Raises `OptionError`."""
    try:
        train, val, test = (float(part) for part in text.split(","))
        return train, val, test
    except ValueError:
        raise OptionError(f"--fractions must be three shares, such as 0.8,0.1,0.1, got {text}") from None


@dataclass(frozen=True, slots=True)
class TileOptions:
    """What `tile` cuts, and how. Each field is the option of the same name on the command line.

    Raises:
        OptionError: A value is out of bounds, or options exclude each other.
    """

    dataset: DatasetName = None
    size: Annotated[
        int | None,
        Option(
            "Side of a tile in pixels.",
            short="-s",
            default=f"as published, or {DEFAULT_SIZE}",
            minimum=1,
            maximum=MAX_SIZE,
        ),
    ] = None
    images: Annotated[
        str | None,
        Option("Glob of the images, relative to the folder, such as 'photos/*.jpg'.", panel=GRID, metavar="GLOB"),
    ] = None
    masks: Annotated[
        str | None, Option("Glob of the masks, which have the images' names.", panel=GRID, metavar="GLOB")
    ] = None
    rules: Annotated[
        str | None,
        Option(
            "Masks are vector files: the rules that draw them, osm, or the name of their class.",
            panel=GRID,
            metavar="FILE|osm",
        ),
    ] = None
    threshold: Annotated[
        int | None,
        Option(
            "Masks of grey levels: the least level of the second class, such as 128.",
            panel=GRID,
            minimum=1,
            maximum=255,
        ),
    ] = None
    bidx: Annotated[
        tuple[int, ...] | None,
        Option(
            "The image's bands for red, green and blue, counted from 1, such as 3,2,1.",
            panel=GRID,
            metavar="R,G,B",
            default="1,2,3",
            parse=_parse_bands,
        ),
    ] = None
    align: Annotated[bool, Option("Warp a map that lies on another grid onto its image's grid.", panel=GRID)] = False
    res: Annotated[
        float | None,
        Option(
            "Resample images and maps to pixels of this size: metres on the ground.",
            panel=GRID,
            default="the images' own",
            above=0,
        ),
    ] = None
    scale: Annotated[
        str | None,
        Option(
            "Which values become black and white: two values such as 0,3000, or percentiles such as 2%,98%.",
            panel=GRID,
            metavar="LOW,HIGH",
        ),
    ] = None
    direction: Annotated[
        Direction,
        Option("In files side by side: AtoB, if the left half is the map; BtoA, if the right half is.", panel=GRID),
    ] = "AtoB"
    overlap: Annotated[int, Option("Pixels that neighbouring tiles share.", panel=CHOICE, minimum=0)] = 0
    edge: Annotated[
        Edge,
        Option("Tiles that cross the scene's edge: drop, pad with nodata, or shift inside.", panel=CHOICE),
    ] = "drop"
    bounds: Annotated[
        str | None, Option("Only tiles wholly within these bounds, in the scenes' CRS.", panel=CHOICE, metavar=BOUNDS)
    ] = None
    aoi: Annotated[
        Path | None, Option("Only tiles wholly within the polygons of a vector file.", panel=CHOICE, metavar="FILE")
    ] = None
    min_valid: Annotated[
        float, Option("Least share of a tile's pixels that hold data, 0 to 1.", panel=CHOICE, minimum=0, maximum=1)
    ] = 1.0
    drop_empty: Annotated[bool, Option("Leave out tiles that hold only the first class.", panel=CHOICE)] = False
    min_share: Annotated[
        Mapping[str, float],
        Option(
            "Least share of a tile that a class covers, such as building=0.01.",
            panel=CHOICE,
            minimum=0,
            maximum=1,
            parse=_parse_share,
            metavar="CLASS=SHARE",
        ),
    ] = field(default_factory=dict)
    unpaired: Annotated[bool, Option("Tile images that have no map, too.", panel=CHOICE)] = True
    split: Annotated[
        Scheme | None,
        Option("How tiles are split.", panel=SPLITS, default="as published, else by scene or block"),
    ] = None
    fractions: Annotated[
        Fractions | None,
        Option(
            "Shares of train, val and test; they sum to 1.",
            panel=SPLITS,
            metavar="TRAIN,VAL,TEST",
            default="0.8,0.1,0.1",
            parse=parse_fractions,
        ),
    ] = None
    buffer: Annotated[
        int, Option("Least distance in pixels between tiles of different splits.", panel=SPLITS, minimum=0)
    ] = 0
    merge_val: Annotated[bool, Option("Train on the val tiles, too.", panel=SPLITS)] = False
    seed: Seed = 0
    format: Annotated[
        TileFormat | None,
        Option("How tiles are written; maps are never JPEG.", panel=FILES, default="tif, for pairs png"),
    ] = None
    layout: Annotated[
        TilesetLayout,
        Option("pairs: map and image side by side in train/, val/, test/, for other tools.", panel=FILES),
    ] = "tiles"
    preview: Annotated[
        bool, Option("Write preview.png, a contact sheet of tiles.", panel=FILES, decides_bytes=False)
    ] = False
    workers: Workers = None
    scheduler: Scheduler = None

    def __post_init__(self) -> None:
        check(self)
        if self.rules is None and (self.images is None) != (self.masks is None):
            raise OptionError("--images and --masks belong together: give both")
        check_scheduler(self.scheduler, self.workers)
        if self.layout == "pairs" and not FORMATS[self.tile_format].is_picture:
            pictures = " or ".join(name for name, spec in FORMATS.items() if spec.is_picture)
            raise OptionError(f"--layout pairs needs --format {pictures}: two images side by side have no georeference")
        if self.fractions is not None:
            _check_fractions(self.fractions)

    @property
    def tile_format(self) -> TileFormat:
        """The format that is given, or the layout's default."""
        return self.format or ("png" if self.layout == "pairs" else "tif")


def _check_fractions(fractions: Fractions) -> None:
    if not (min(fractions) >= 0 and fractions[0] > 0 and math.isclose(sum(fractions), 1, abs_tol=1e-6)):
        given = ",".join(f"{share:g}" for share in fractions)
        raise OptionError(f"--fractions must be shares from 0 to 1 that sum to 1, with a share of train, got {given}")
