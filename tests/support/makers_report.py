"""Pages for a report, made by code: what an evaluation of a few runs would show, with any names."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from makers import COLORS, make_indices, make_picture
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sattrans.data.contact_sheet import to_picture
from sattrans.evaluate.report.page import (
    ClassBars,
    Example,
    Footprint,
    LegendEntry,
    LossCurves,
    Page,
    PageColumn,
    Picture,
    SceneMap,
    ScoreCell,
    ScoreRow,
)

Pair = tuple[Picture, Picture]
"""A map as colours, and its real image."""

NAMES = ("pix2pix", "ResSE", "WGAN", "background", "building", "woodland", "water", "road", "place_1", "place_2")
"""Three columns, five classes, two scenes; whatever else has a name takes the next one, and so on again."""

HOSTILE = {
    name: name
    for name in (
        "<script>alert(1)</script>",
        "</title><script>alert(2)</script>",
        "</style><script>alert(3)</script>",
        "</script><script>alert(4)</script>",
        '"><img src=x onerror=alert(5)>',
        "' onfocus=alert(6) autofocus='",
        "javascript:alert(7)",
        "{{7*7}}{% raw %}{# x #}",
        "${alert(8)}`",
        "<svg onload=alert(9)><title>",
        "</text></svg><script>alert(10)</script>",
        "<!-- --><!--",
        "]]><![CDATA[ <?php ?>",
        "&lt;b&gt; &amp; &#60; &nbsp;",
        "url(https://example.org/x) }*{background:url(//example.org)}",
        "data:text/html,<script>alert(11)</script>",
        "x" * 3000,
        "🛰️ e\u0301 \u200b\u200d\ufeff 漢字",
        "</bdi></figure></main></body></html><plaintext>",
        "   ",
    )
} | {
    "nul\x00 bell\x07 escape\x1b delete\x7f": "nul\ufffd bell\ufffd escape\ufffd delete\ufffd",
    "\u202ereversed\u202c \u2067isolated\u2069 עברית عربى": r"\u202ereversed\u202c \u2067isolated\u2069 עברית عربى",
    "half \ud83d, none \ufffe": "half \ufffd, none \ufffd",
    "line\r\nline\rline\nline": "line\nline\nline\nline",
}
"""A name, and the text that it is on the page: what HTML cannot hold is replaced, and marks of direction are shown."""


def made_pairs(count: int = 3, size: int = 64) -> list[Pair]:
    """Return pairs of patches of colour and a picture like them."""
    pairs = []
    for seed in range(count):
        indices = make_indices(size, size, 5, seed, patch=size // 4)
        colors = np.moveaxis(np.asarray(COLORS, np.uint8)[indices], -1, 0)
        pairs.append((colors, make_picture(indices, seed)))
    return pairs


def real_pairs(data: Path, size: int = 256) -> list[Pair]:
    """Return tiles of the real scenes in `data`, where colours of classes are ours."""
    from rasterio import open as open_raster
    from rasterio.windows import Window

    pairs = []
    for number in (3, 9, 12, 16):
        name, window = f"202309_patchN_{number}.tif", Window(128, 128, size, size)
        with open_raster(data / "korea_s2" / "images" / name) as image:
            photo = image.read([3, 2, 1], window=window)
        with open_raster(data / "korea_s2" / "masks" / name) as mask:
            indices = np.searchsorted([10, 30, 50, 70, 100], mask.read(1, window=window))
        colors = ((200, 60, 50), (90, 90, 95), (235, 205, 110), (60, 120, 60), (150, 180, 205))
        pairs.append((np.moveaxis(np.asarray(colors, np.uint8)[indices], -1, 0), photo.astype(np.uint8)))
    return pairs


def blurred(picture: Picture, radius: float, tint: int = 0) -> Picture:
    """Return a picture out of focus and of another colour: what stands in for a generated one."""
    soft: NDArray[np.uint8] = np.asarray(to_picture(picture).filter(ImageFilter.GaussianBlur(radius)))
    turned = np.asarray(
        Image.fromarray(soft)
        .convert("HSV")
        .point([(n + tint) % 256 for n in range(256)] + [*range(256)] * 2)
        .convert("RGB")
    )
    return np.moveaxis(turned, -1, 0)


def make_page(names: Sequence[str] = NAMES, pairs: Sequence[Pair] = (), columns: int = 3) -> Page:
    """Return a page with all that a page can have; every name in it is one of `names`."""
    pairs = pairs or made_pairs()
    following = cycle(names)
    runs, classes, scenes = (list(islice(following, count)) for count in (columns, 5, 2))
    rng = np.random.default_rng(0)
    tiles = [
        Example(
            "",
            f"{next(following)}_{number}",
            map_,
            {run: blurred(real, 0.8 + 0.7 * place, 6 * place) for place, run in enumerate(runs)},
            real,
            {run: f"MAE {8 + 3 * place}.{number}" for place, run in enumerate(runs)},
        )
        for number, (map_, real) in enumerate(pairs)
    ]
    return Page(
        title=f"Three models on {next(following)}",
        subtitle=f"Scores on 32 test tiles of {next(following)}, 256 px at 10 m; each run beside the real images.",
        columns=[PageColumn(name, f"3 runs, seeds 1 to 3, {next(following)}") for name in runs],
        rows=list(_rows(runs, next(following))),
        verdict=f"By KID, the images of {runs[0]} (0.575) look less real than those of {next(following)} (0.074).",
        notes=[
            f"Neighbouring tiles are alike, so the truth is wider than the intervals: {next(following)}.",
            "Class colours paint each class with its mean colour: pixel errors like that.",
        ],
        classes=[
            ClassBars(
                title, unit, better, {c: {r: float(rng.uniform(0.1, 0.9) * times) for r in runs} for c in classes}
            )
            for title, unit, better, times in (("Class colour", "grey levels", "↓", 20), ("mIoU", "", "↑", 1))
        ],
        examples=[
            replace(tile, title=title) for title, tile in zip(cycle(("Best", "Median", "Worst")), tiles, strict=False)
        ],
        selection="The tiles with the best, the median and the worst MAE, in grey levels.",
        legend=[LegendEntry(name, color) for name, color in zip(classes, COLORS, strict=False)],
        tiles=tiles,
        tiles_order=f"{len(tiles)} tiles, from the best to the worst MAE.",
        error_title="MAE, grey levels",
        scenes=[_scene(scene, next(following), runs, rng, side) for scene, side in zip(scenes, (4, 12), strict=True)],
        curves=[_curves(run, rng) for run in runs],
        about={
            f"Run {next(following)}": {
                "model": next(following),
                "weights": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "options": "lr 0.0002, width 64, source onehot\nepochs 30, patience 10",
            },
            "Tileset": {"name": next(following), "tiles": "640 train, 80 val, 80 test", "CRS": "EPSG:32652"},
        },
    )


def _rows(runs: Sequence[str], word: str) -> list[ScoreRow]:
    told = (
        ("mae", "MAE", "grey levels", "↓", 24.5, "grey levels 0 to 255, an image at a time, then the mean"),
        ("psnr", "PSNR", "dB", "↑", 18.62, "per image for range 255, then the mean"),
        ("ssim", "SSIM", "", "↑", 0.3271, "Gaussian 11×11, σ 1.5, only where the window lies inside"),
        ("class_color", "class colour", "grey levels", "↓", 12.41, "the distance of mean colours inside each class"),
        ("swd", "SWD × 10³", "deviations", "↓", 312.0, "7×7 patches of a Laplacian pyramid of three scales"),
        ("nearest", "nearest tile", "grey levels", "→ real", 31.2, "the nearest training tile or its mirror image"),
    )
    rows = []
    for name, title, unit, better, value, how in told:
        values = [value * (1 + 0.13 * place) for place in range(len(runs))]
        best = max(values) if better == "↑" else min(values)
        cells = [
            ScoreCell(f"{v:.4g}", f"{0.96 * v:.4g} to {1.05 * v:.4g}", f"{0.98 * v:.4g} to {1.02 * v:.4g}", v == best)
            for v in values
        ]
        sets = name in ("swd", "nearest")
        baselines = {
            "shuffled": "=" if sets else f"{1.4 * value:.4g}",
            "real": "0",
            "class colours": f"{1.1 * value:.4g}",
        }
        rows.append(
            ScoreRow(name, title, unit, better, f"{how}; {word}", cells, baselines, ignores_pairing=name == "ssim")
        )
    rows.append(
        ScoreRow("fid", "FID", "", "↓", "‖Δμ‖² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½)", missing="needs --weights inception=FILE")
    )
    return rows


def _scene(name: str, crs: str, runs: Sequence[str], rng: np.random.Generator, side: int) -> SceneMap:
    size = 256
    tiles = [
        Footprint(
            f"{name}_{n}",
            size * row,
            size * col,
            size,
            size,
            {r: float(rng.gamma(9, 2 + p)) for p, r in enumerate(runs)},
        )
        for n, (row, col) in enumerate(np.ndindex(side, side))
        if (row + col) % 5 != 1
    ]
    return SceneMap(name, crs, side * size, side * size + 100, tiles)


def _curves(run: str, rng: np.random.Generator) -> LossCurves:
    epochs = list(range(1, 31))
    fall = 0.08 + 0.3 * np.exp(-np.asarray(epochs) / 6)

    def loss(height: float) -> list[float | None]:
        return [float(v) for v in height * fall * rng.uniform(0.93, 1.07, len(epochs))]

    train = {"d_real": loss(2), "d_fake": loss(2.2), "g_gan": loss(9), "g_l1": loss(60)}
    val: dict[str, list[float | None]] = {"g_l1": loss(70), "l1": loss(0.7)}
    val["l1"][4] = None
    return LossCurves(run, epochs, train, val, "l1", best_epoch=24)
