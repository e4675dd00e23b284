"""Write docs/gallery.md and its synthetic pictures: `python docs/make_gallery.py [FOLDER]`; the page alone: `--page`.

The commands of the page run in FOLDER, in their order, and resume what is there: a quarter of an hour on one processor
core the first time. The pictures of real scenes are not made here, because their data is not part of the repository; a
row of one becomes the README's picture.
"""

import json
import math
import os
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sattrans.data.contact_sheet import write_sheet
from sattrans.demo.landscape import PALETTE

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "gallery.md"
IMAGES = DOCS / "images"

KOREA = "Contains modified Copernicus Sentinel data."
BANEPA = "Imagery: OpenAerialMap, CC-BY 4.0; buildings: © OpenStreetMap contributors, ODbL."
KOREA_TILES = (
    "sattrans tile korea_s2/ --size 256 --bidx 3,2,1 --split scene --fractions 0.7,0.1,0.2 --buffer 1 --seed 11"
)
PAPER = "--set source=color --set upsampling=transposed --set augment=off --monitor l1"

ROW, ROW_TOP, HEAD = 262, 22, 22
"""Height of a row of the sheets of real scenes, where the first one begins, and the height of the titles."""

PART = (420, 180, 740, 500)
"""The part of the demo's map that is shown: left, top, right, bottom, in pixels."""


@dataclass(frozen=True)
class Picture:
    """A picture of the page with what made it.

    Attributes:
        title: Its heading.
        text: What is to be seen.
        file: Its file in docs/images.
        alt: The picture in words.
        commands: What made it, as a user types it.
        credit: Whom the data belongs to.
        make: Writes it from the folder of the demo; None for a picture that is not made here.
        runs: Whether the commands run here: not those of real data, nor those that the demo ran.
    """

    title: str
    text: str
    file: str
    alt: str
    commands: tuple[str, ...]
    credit: str = ""
    make: Callable[[Path, Path], None] | None = None
    runs: bool = False


# How the pictures are made: from the folder of the commands, into a file


def copied(source: str, width: int | None = None) -> Callable[[Path, Path], None]:
    """Return what copies a picture, at most `width` pixels wide."""

    def make(folder: Path, path: Path) -> None:
        picture = Image.open(folder / source).convert("RGB")
        picture.thumbnail((width or picture.width, picture.height))
        _save(picture, path)

    return make


def parts(sources: Sequence[tuple[str, str]]) -> Callable[[Path, Path], None]:
    """Return what puts the same part of several rasters side by side, each with its title."""

    def make(folder: Path, path: Path) -> None:
        row = [_pixels(Image.open(folder / source).crop(PART)) for source, _ in sources]
        drawn = path.with_suffix(".drawn.png")
        write_sheet(drawn, [row], [title for _, title in sources])
        _save(Image.open(drawn).convert("RGB"), path)
        drawn.unlink()

    return make


def with_legend(mask: str, legend: str, width: int) -> Callable[[Path, Path], None]:
    """Return what puts a coloured mask, made smaller, beside its legend."""

    def make(folder: Path, path: Path) -> None:
        colours, key = Image.open(folder / mask).convert("RGB"), Image.open(folder / legend).convert("RGB")
        colours = colours.resize((width, round(width * colours.height / colours.width)), Image.Resampling.NEAREST)
        both = Image.new("RGB", (width + key.width, max(colours.height, key.height)), "white")
        both.paste(colours, (0, 0))
        both.paste(key, (width, 0))
        _save(both, path)

    return make


def row_of(sheet: str, number: int) -> Callable[[Path, Path], None]:
    """Return what cuts a row out of a sheet in docs/images; the first is 0."""

    def make(_: Path, path: Path) -> None:
        whole = Image.open(IMAGES / sheet)
        top = ROW_TOP + number * ROW
        row = Image.new("RGB", (whole.width, HEAD + ROW), "white")
        row.paste(whole.crop((0, 0, whole.width, HEAD)), (0, 0))
        row.paste(whole.crop((0, top, whole.width, top + ROW)), (0, HEAD))
        _save(row, path)

    return make


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """Return a picture as (3, H, W), a map in the colours of its classes."""
    pixels = np.asarray(picture)
    return PALETTE.to_rgb(PALETTE.from_values(pixels)) if pixels.ndim == 2 else np.moveaxis(pixels[..., :3], -1, 0)


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=88)


# A map by hand

TOWN = "gallery/town.geojson"


def town() -> str:
    """Return a map as one might draw it in QGIS: a road with houses, a wood and a pond, as GeoJSON with tags."""
    houses = [_box(20 + 26 * n, 62 if n % 2 else 92, 14, 10) for n in range(8)]
    wood = [(172 + 55 * math.cos(a) * (1 + 0.2 * math.sin(3 * a)), 150 + 34 * math.sin(a)) for a in _angles()]
    pond = [(60 + 32 * math.cos(a), 150 + 20 * math.sin(a) * (1 + 0.3 * math.cos(a))) for a in _angles()]
    features = [_feature("Polygon", [house], building="yes") for house in houses]
    features.append(_feature("LineString", [(0, 80), (110, 84), (230, 78)], highway="residential"))
    features.append(_feature("LineString", [(132, 83), (140, 0)], highway="residential"))
    features.append(_feature("Polygon", [wood], natural="wood"))
    features.append(_feature("Polygon", [pond], natural="water"))
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n"


def _angles() -> list[float]:
    return [2 * math.pi * step / 24 for step in range(24)]


def _box(left: float, bottom: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(left, bottom), (left + width, bottom), (left + width, bottom + height), (left, bottom + height)]


def _feature(kind: str, shape: list, **tags: str) -> dict:
    def degrees(x: float, y: float) -> tuple[float, float]:
        return round(21 + x / 66_300, 7), round(53.5 + y / 111_200, 7)

    if kind == "Polygon":
        places: list = [[degrees(*point) for point in [*ring, ring[0]]] for ring in shape]
    else:
        places = [degrees(*point) for point in shape]
    return {"type": "Feature", "properties": tags, "geometry": {"type": kind, "coordinates": places}}


# The page

SYNTHETIC = (
    Picture(
        "Demo",
        "All steps at once, on a landscape that sattrans draws itself. The model has seen no image of this map; it "
        "was trained for 256 steps on other parts of the landscape.",
        "demo.png",
        "A land-cover map, and the image generated from it",
        ("sattrans demo",),
        make=lambda folder, path: path.write_bytes((folder / "demo.png").read_bytes()),
    ),
    Picture(
        "Tiles",
        "`--preview` draws tiles of each class, image beside map, to look at before training.",
        "gallery/tiles.jpg",
        "Tiles of each class, image beside map",
        ("sattrans tile landcover --size 256 --preview",),
        make=copied("tiles/landcover-256/preview.png", 1000),
        runs=True,
    ),
    Picture(
        "Masks that people can read",
        "Published masks look black in an image viewer. `colorize` gives them their colours and a legend.",
        "gallery/colorize.jpg",
        "A mask in colours with its legend",
        ("sattrans colorize landcover --rgb --legend",),
        make=with_legend("landcover-color/scene-1.tif", "landcover-color/legend.png", 512),
        runs=True,
    ),
    Picture(
        "Training",
        "The demo trained like this. After each epoch a run draws what the model paints, beside map and real image.",
        "gallery/samples.jpg",
        "Tiles of a map, images painted by the model, and the real images",
        ("sattrans train --data tiles/landcover-128 --steps 256",),
        make=copied("runs/projected/samples/epoch-0002.png"),
    ),
    Picture(
        "Variants",
        "Two images of one map: other fields and textures, the same roads and houses.",
        "gallery/variants.jpg",
        "A part of a map, and two images of it that differ",
        ("sattrans generate map.tif -o variant.tif --run runs/projected --variants 2",),
        make=parts((("map.tif", "map"), ("variant-1.tif", "variant 1"), ("variant-2.tif", "variant 2"))),
        runs=True,
    ),
    Picture(
        "A map drawn by hand",
        f"Twelve features with the tags of OpenStreetMap, in [town.geojson](images/{TOWN}).",
        "gallery/town.jpg",
        "A drawn map of a road, houses, a wood and a pond, and the image generated from it",
        ("sattrans generate town.geojson -o town.tif --run runs/projected --rules osm --preview town.png",),
        make=copied("town.png", 1000),
        runs=True,
    ),
)

REAL = (
    Picture(
        "Sentinel-2 over South Korea",
        "Maps of scenes that the model has not seen, the generated and the real images: 48 tiles of 256 px, 16 minutes "
        "of CPU time.",
        "korea.jpg",
        "Maps, images generated by the default model, and real Sentinel-2 images",
        (KOREA_TILES, "sattrans train"),
        KOREA,
    ),
    Picture(
        "A drone over Banepa, Nepal",
        "A map of buildings alone, at 0.15 m: 147 tiles, 18 minutes of CPU time.",
        "banepa.jpg",
        "Maps of buildings, generated and real images",
        ("sattrans tile banepa/ --size 256", "sattrans train"),
        BANEPA,
    ),
    Picture(
        "Real patches, without training",
        "The model exemplar puts images together from patches of the training tiles. The same 48 tiles; the run is "
        "ready after 22 seconds of CPU time, an image of a megapixel takes some 40.",
        "korea-exemplar.jpg",
        "Maps, images put together by exemplar, and real Sentinel-2 images",
        (KOREA_TILES, "sattrans train --model exemplar"),
        KOREA,
    ),
    Picture(
        "Roofs of Banepa from real roofs",
        "The same on the drone's images.",
        "banepa-exemplar.jpg",
        "Maps of buildings, images put together by exemplar, and real images",
        ("sattrans tile banepa/ --size 256", "sattrans train --model exemplar"),
        BANEPA,
    ),
)

FAILURES = (
    Picture(
        "What the map does not say",
        "`background` in this map means water as well as land between houses. So a reservoir in the woods became a "
        "meadow.",
        "gallery/reservoir.jpg",
        "A map, an image with a meadow in a valley, and the real image with a reservoir there",
        (KOREA_TILES, "sattrans train"),
        KOREA,
        make=row_of("korea.jpg", 0),
    ),
    Picture(
        "Too little training",
        "After 8 steps everything is blurred, and roads are blue. Beside it is the same part after the 256 steps of "
        "the demo.",
        "gallery/short.jpg",
        "A part of a map, and images of it after 8 and after 256 steps",
        (
            "sattrans train --data tiles/landcover-128 --steps 8 -o runs/short",
            "sattrans generate map.tif -o short.tif --run runs/short",
        ),
        make=parts((("map.tif", "map"), ("short.tif", "8 steps"), ("sat.tif", "256 steps"))),
        runs=True,
    ),
    Picture(
        "The paper's settings after 24 minutes",
        "pix2pix with the settings of its paper needs more tiles and hours: after 24 minutes of CPU time there is a "
        "grid from its transposed convolutions, and no texture. Our defaults for pix2pix differ, and "
        "[do better](benchmark.md).",
        "korea-bench-pix2pix-paper.jpg",
        "Maps, images with a grid of dots, and the real images",
        (KOREA_TILES, f"sattrans train --model pix2pix --set width=32 {PAPER}"),
        KOREA,
    ),
)

README_PICTURE = Picture("", "", "korea-row.jpg", "", (), KOREA, make=row_of("korea.jpg", 1))

INTRO = """\
<!-- Written by docs/make_gallery.py: change that, then run it again. -->

# Gallery

What the commands make, each picture with its commands. [How real the images are](realism.md) has scores, and more of
what still gives images away.

## A synthetic landscape

You can make these pictures yourself, without any data: `sattrans demo` writes the folder `sattrans-demo`, and the other
commands run inside it.
"""

REAL_INTRO = """\
## Real scenes

The data of these pictures is not part of sattrans. The commands are those that trained the models; the sheets show
tiles of the test split.
"""

FAILURES_INTRO = """\
## Failures

What goes wrong, so that you recognise it.
"""


def page() -> str:
    """Return the page as Markdown."""
    sections = ((INTRO, SYNTHETIC), (REAL_INTRO, REAL), (FAILURES_INTRO, FAILURES))
    return "\n".join(part for intro, pictures in sections for part in (intro, *map(_entry, pictures)))


def _entry(picture: Picture) -> str:
    text = textwrap.fill(picture.text, 120, break_long_words=False, break_on_hyphens=False)
    commands = "\n".join(picture.commands)
    credit = f"\n{picture.credit}\n" if picture.credit else ""
    return (
        f"### {picture.title}\n\n{text}\n\n```bash\n{commands}\n```\n\n"
        f"![{picture.alt}](images/{picture.file})\n{credit}"
    )


def made() -> list[Picture]:
    """Return the pictures that are made here."""
    return [picture for picture in (*SYNTHETIC, *REAL, *FAILURES, README_PICTURE) if picture.make]


def run(line: str, folder: Path) -> None:
    """Run a command of the page, unless it is a training that was run before."""
    words = shlex.split(line)[1:]
    if words[0] == "train" and (folder / words[words.index("-o") + 1] / "run.json").is_file():
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-m", "sattrans", *words], cwd=folder, env=environment, check=True)  # noqa: S603


def main() -> None:
    """Run the commands, and write the pictures and the page."""
    PAGE.write_text(page(), encoding="utf-8")
    if "--page" in sys.argv:
        return
    work = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
    folder = work / "sattrans-demo"
    run("sattrans demo", work)
    for path in (folder / "town.geojson", IMAGES / TOWN):
        path.parent.mkdir(exist_ok=True)
        path.write_text(town(), encoding="utf-8")
    for picture in made():
        for line in picture.commands if picture.runs else ():
            run(line, folder)
        picture.make(folder, IMAGES / picture.file)


if __name__ == "__main__":
    main()
