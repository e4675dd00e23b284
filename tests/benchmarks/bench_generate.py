"""generate against MONAI's `sliding_window_inference` and opensr-utils: the same pix2pix, map and overlap, medians.

MONAI is given the encoded map as a tensor and returns one, as its users run it: the network as it was trained, in a
process of its own with PyTorch's defaults. `generate` reads a GeoTIFF, checks it, and writes a COG with overviews, a
record of its windows and a seam score. Beside both the bare network, as `generate` runs it.

opensr-utils reads a GeoTIFF and writes one, as `generate` does. It takes values of 0 to 10,000, which it gives to a
network as 0 to 1, so the map is written as colours of that range, and the network is wrapped to take and give them.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from makers import make_folder, make_indices, write_raster
from rounds import medians, peak_memory, timed

from sattrans.data.batches import encode_color
from sattrans.generate import GenerateOptions, generate
from sattrans.runs.device import fast_at_bf16
from sattrans.runs.translator import Translator
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

SIDE, TILE, BATCH, OVERLAP = int(os.environ.get("SATTRANS_SIDE", "2048")), 256, 4, 0.25
# Tests run on one thread a process; a network has the machine.
torch.set_num_threads(len(os.sched_getaffinity(0)))
VALUES = np.array([10, 30, 50], np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    place = make_folder(folder / "place", scenes=2, size=256, classes_toml=True)
    tiles = tile(place, folder / "t", options=TileOptions(size=TILE, split="random")).tileset
    return train(tiles.folder, folder / "r", TrainOptions(model="pix2pix", steps=1, monitor="l1")).run


MONAI = """
import os, sys, time
from pathlib import Path
import numpy as np, torch
from monai.inferers import sliding_window_inference
from sattrans.data.batches import encode_color
from sattrans.runs.run import Run, load_checkpoint, under
torch.set_num_threads(len(os.sched_getaffinity(0)))
run, size, batch, overlap = Run.open(Path(sys.argv[1])), *map(int, sys.argv[3:5]), float(sys.argv[5])
network = run.build_model().generator.eval()
network.load_state_dict(under("generator", load_checkpoint(run.checkpoint("best"), torch.device("cpu"))[0]))
source = encode_color(torch.from_numpy(np.load(sys.argv[2]))[None], run.palette).contiguous()
for _ in sys.stdin:
    begun = time.perf_counter()
    with torch.no_grad():
        sliding_window_inference(source, (size, size), batch, network, overlap=overlap, mode="gaussian")
    print(time.perf_counter() - begun, flush=True)
"""


OPENSR = """
import contextlib, os, sys, time
from pathlib import Path
import torch
from opensr_utils import large_file_processing
from sattrans.runs.run import Run, load_checkpoint, under
torch.set_num_threads(len(os.sched_getaffinity(0)))
run, size, batch, overlap = Run.open(Path(sys.argv[1])), *map(int, sys.argv[3:5]), float(sys.argv[5])

class Wrapped(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = run.build_model().generator.eval()
        weights = under("generator", load_checkpoint(run.checkpoint("best"), torch.device("cpu"))[0])
        self.network.load_state_dict(weights)

    def forward(self, colors):
        return (self.network(colors * 2 - 1) + 1) / 2

network, target = Wrapped(), Path(sys.argv[2]).with_name("opensr.tif")
for _ in sys.stdin:
    begun = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        large_file_processing(
            sys.argv[2], network, (size, size), 1, round(size * overlap), device="cpu", batch_size=batch,
            output_path=str(target), overwrite=True,
        ).run()
    print(time.perf_counter() - begun, flush=True)
"""


@contextmanager
def peer(script, run, map_):
    """Give a function that has another tool go over a map once, and returns the seconds."""
    command = [sys.executable, "-c", script, *map(str, [run.folder, map_, TILE, BATCH, OVERLAP])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def once():
            process.stdin.write("go\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        yield once
        process.stdin.close()


def bare(translator, windows):
    """As many windows as the map has, one after the other, through the network alone."""
    source = encode_color(torch.zeros(BATCH, TILE, TILE, dtype=torch.uint8), translator.palette)
    source = source.contiguous(memory_format=torch.channels_last)
    reduced = torch.autocast("cpu", torch.bfloat16, enabled=translator.precision == "bf16")
    with torch.inference_mode(), reduced:
        for _ in range(-(-windows // BATCH)):
            translator.model.generator(source)


def test_generate_against_its_peers(run, tmp_path):
    indices = make_indices(SIDE, SIDE, 3)
    map_ = write_raster(tmp_path / "map.tif", VALUES[indices])
    threads = len(os.sched_getaffinity(0))

    def ours(precision):
        options = GenerateOptions(
            run=run.folder, res="native", overlap=f"{OVERLAP:.0%}", batch_size=BATCH, precision=precision
        )
        return generate(map_, tmp_path / "sat.tif", options, overwrite=True).windows

    windows = ours("32")
    bars = {"32": 1.15, "bf16": 2.5}
    if not fast_at_bf16(torch.device("cpu")):
        del bars["bf16"]  # it is emulated: `generate` takes float32, and a round would take many minutes
    translators = {precision: Translator(run, precision=precision) for precision in bars}
    contestants = {f"generate, {p}": partial(ours, p) for p in bars}
    contestants |= {f"the bare network, {p}": partial(bare, translators[p], windows) for p in bars}
    np.save(tmp_path / "indices.npy", indices)
    colors = np.moveaxis(np.array(run.palette.colors)[indices], -1, 0)
    scaled = write_raster(tmp_path / "scaled.tif", (colors / 255 * 10_000).round().astype(np.uint16))
    name_of_peer, other = "MONAI, float32, gaussian", "opensr-utils, float32"
    with peer(MONAI, run, tmp_path / "indices.npy") as once, peer(OPENSR, run, scaled) as also:
        taken = medians({name_of_peer: once, other: also, **{name: timed(work) for name, work in contestants.items()}})
    base = taken[name_of_peer]
    print(f"\n{SIDE}² px, {windows} windows of {TILE} px, pix2pix of width 64, {threads} threads")
    for name, time_ in taken.items():
        print(f"{name:28}{time_:7.2f} s{SIDE**2 / time_ / 1e6:7.3f} Mpx/s{base / time_:7.2f} ×")
    for precision, bar in bars.items():
        ratio = base / taken[f"generate, {precision}"]
        share = taken[f"the bare network, {precision}"] / taken[f"generate, {precision}"]
        print(f"{precision}: {ratio:.2f} × MONAI (bar {bar}); {share:.2f} of the bare network's windows/s (bar 0.9)")
        print(f"{precision}: {taken[other] / taken[f'generate, {precision}']:.2f} × opensr-utils (bar 2)")


def test_memory_does_not_grow_with_the_map(tmp_path):
    """A map of 20,000 px square, and one four times as high, by a tiny network; the peak of a process each."""
    place = make_folder(tmp_path / "place", scenes=2, size=256, classes_toml=True)
    tiles = tile(place, tmp_path / "t", options=TileOptions(size=TILE, split="random")).tileset
    run = train(
        tiles.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings={"width": 1}, steps=1, monitor="l1")
    ).run
    width = int(os.environ.get("SATTRANS_WIDE", "20000"))
    peaks = []
    for height in (width, 4 * width):
        map_ = tmp_path / f"{height}.tif"
        write_raster(map_, np.full((height, width), 10, np.uint8), compress="zstd", tiled=True)
        command = [sys.executable, "-m", "sattrans", "generate", map_, "-o", tmp_path / "sat.tif", "--run", run.folder]
        command += ["--res", "native", "--overwrite", "--overlap", "0", "--batch-size", "16"]
        peaks.append(peak_memory(command) / 1e9)
    print(f"\npeak memory: {peaks[0]:.2f} GB for {width}², {peaks[1]:.2f} GB four times as high (bar 1.5 GB, 10 %)")
