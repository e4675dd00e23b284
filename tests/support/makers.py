"""Rasters and folders made by code: small, with a real CRS and transform, laid out as the real datasets are."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

POLAND = "EPSG:2180"
HERE = Affine(0.25, 0, 500_000, 0, -0.25, 600_000)
"""A quarter of a metre a pixel, somewhere in Poland."""

CITIES = {"austin": ("EPSG:26914", 620_000, 3_350_000), "vienna": ("EPSG:31256", 2_000, 341_000)}
"""CRS and top left corner of each made Inria city: they differ, as the real ones do."""

COLORS = ((60, 70, 50), (170, 90, 80), (30, 100, 40), (40, 90, 160), (190, 185, 180), (220, 200, 90), (120, 60, 140))


def write_raster(
    path: Path,
    array: NDArray[Any],
    crs: Any = POLAND,
    transform: Affine | None = HERE,
    colormap: Mapping[int, tuple[int, int, int]] | None = None,
    tags: Mapping[str, str] | None = None,
    **profile: Any,
) -> Path:
    """Write (H, W) or (bands, H, W) as a raster, a GeoTIFF unless `driver` says otherwise; return the path."""
    bands = array if array.ndim == 3 else array[np.newaxis]
    count, height, width = bands.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "dtype": bands.dtype, **profile}
    with catch_warnings():
        simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", count=count, height=height, width=width, crs=crs, transform=transform, **profile
        ) as dst:
            dst.write(bands)
            if colormap:
                dst.write_colormap(1, dict(colormap))
            if tags:
                dst.update_tags(**tags)
    return path


def make_indices(height: int, width: int, classes: int, seed: int = 0, patch: int = 32) -> NDArray[np.uint8]:
    """Return class indices (H, W) in square patches; every class covers about as much as any other."""
    rng = np.random.default_rng(seed)
    rows, cols = -(-height // patch), -(-width // patch)
    drawn = rng.permutation(np.arange(rows * cols) % classes).reshape(rows, cols).astype(np.uint8)
    return drawn.repeat(patch, axis=0).repeat(patch, axis=1)[:height, :width]


def make_picture(indices: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint8]:
    """Return an image (3, H, W) of the classes: each in its colour, with soft light and a little noise over it."""
    rng = np.random.default_rng(seed + 1000)
    height, width = indices.shape
    rgb = np.moveaxis(np.asarray(COLORS, np.float32)[indices % len(COLORS)], -1, 0)
    down, across = np.arange(height)[:, np.newaxis], np.arange(width)[np.newaxis, :]
    light = 10 * np.sin(down / 23 + seed) + 10 * np.cos(across / 31 - seed)
    noise = rng.integers(-6, 7, (1, height, width))
    return np.clip(rgb + light + noise, 1, 255).astype(np.uint8)


def make_landcover(root: Path, scenes: int = 2, height: int = 1100, width: int = 1300, seed: int = 0) -> Path:
    """Make a look-alike of LandCover.ai: five classes, and lists of the whole 512 px cells, counted with gaps."""
    ids = []
    for number in range(scenes):
        stem = f"M-34-{number + 1}-A-b-{number % 4 + 1}-{number % 2 + 1}"
        indices = make_indices(height, width, 5, seed + number)
        place = HERE @ Affine.translation(number * 2 * width, 0)
        write_raster(root / "images" / f"{stem}.tif", make_picture(indices, seed + number), transform=place)
        write_raster(root / "masks" / f"{stem}.tif", indices, transform=place, compress="deflate")
        ids += landcover_ids(stem, height, width)
    write_landcover_lists(root, ids, seed)
    return root


def landcover_ids(stem: str, height: int, width: int) -> list[str]:
    """Return the ids of a scene's whole 512 px cells, counted with gaps: the count takes in those cut by the edge."""
    columns = -(-width // 512)
    return [f"{stem}_{row * columns + col}" for row in range(height // 512) for col in range(width // 512)]


def write_landcover_lists(root: Path, ids: Sequence[str], seed: int = 0) -> None:
    """Write the lists of ids, dealt out in turn, about 70/15/15: each list has one from four on."""
    shuffled = [ids[place] for place in np.random.default_rng(seed).permutation(len(ids))]
    held_out = max(1, round(len(ids) * 0.15))
    lists = {
        "val": shuffled[:held_out],
        "test": shuffled[held_out : 2 * held_out],
        "train": shuffled[2 * held_out :],
    }
    for split, held in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in sorted(held)), encoding="utf-8")


def make_inria(
    root: Path,
    cities: Sequence[str] = ("austin", "vienna"),
    numbers: Sequence[int] = (1, 5, 6, 36),
    size: int = 256,
) -> Path:
    """Make a look-alike of Inria: `AerialImageDataset/train/{images,gt}/<city><number>.tif`, masks of 0 and 255."""
    train = root / "AerialImageDataset" / "train"
    for position, city in enumerate(cities):
        crs, left, top = CITIES.get(city, ("EPSG:32633", 300_000, 5_000_000))
        for number in numbers:
            place = Affine(0.3, 0, left + number * 2 * size, 0, -0.3, top)
            indices = make_indices(size, size, 2, seed=100 * position + number)
            picture = make_picture(indices, seed=100 * position + number)
            write_raster(train / "images" / f"{city}{number}.tif", picture, crs, place)
            write_raster(train / "gt" / f"{city}{number}.tif", indices * np.uint8(255), crs, place, compress="deflate")
    return root


def make_folder(
    root: Path,
    scenes: int = 3,
    size: int = 256,
    values: Sequence[int] = (10, 30, 50),
    classes_toml: bool = False,
    colortable: bool = False,
) -> Path:
    """Make `images/` and `masks/` whose masks hold `values`, told by `classes.toml`, a colour table, or neither."""
    place = Affine(10, 0, 300_000, 0, -10, 4_100_000)
    colors = {value: COLORS[index] for index, value in enumerate(values)}
    for number in range(scenes):
        indices = make_indices(size, size, len(values), seed=number)
        there = place @ Affine.translation(number * 2 * size, 0)
        picture = make_picture(indices, seed=number)
        write_raster(root / "images" / f"place{number}.tif", picture, "EPSG:32652", there)
        mask = np.asarray(values, np.uint8)[indices]
        write_raster(
            root / "masks" / f"place{number}.tif",
            mask,
            "EPSG:32652",
            there,
            colormap=colors if colortable else None,
            compress="deflate",
        )
    if classes_toml:
        told = [f'[class{v}]\nvalue = {v}\ncolor = "#{r:02x}{g:02x}{b:02x}"\n' for v, (r, g, b) in colors.items()]
        (root / "classes.toml").write_text("\n".join(told), encoding="utf-8")
    return root


@contextmanager
def web_server() -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine; gives its address and the list of paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}", asked
        httpd.shutdown()
