"""train --compile against train: the losses are the same, and images a second, medians in one run.

Compiling takes about half a minute, too long for the test suite; it needs a C++ compiler.
"""

import statistics
import time
from dataclasses import replace

import pytest
import torch
from bench_train import DEVICE, ROUNDS, images_per_second
from makers import make_folder

from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train
from sattrans.train.api import build_loop

BATCH = 8


def test_compiled_networks_train_to_the_same_losses(tmp_path):
    place = make_folder(tmp_path / "place", scenes=3, size=768)
    tiles = tile(place, tmp_path / "t", options=TileOptions(size=256, split="random")).tileset
    loops, losses, begun = {}, {}, {}
    for name, compiled in (("plain", False), ("compiled", True)):
        begun[name] = time.perf_counter()
        options = TrainOptions(steps=2, batch_size=BATCH, compile=compiled, ema=0, monitor="l1")
        run = train(tiles.folder, tmp_path / name, replace(options, model="pix2pix")).run
        losses[name] = run.metrics()[0]["train"]
        begun[name] = time.perf_counter() - begun[name]
        loops[name] = build_loop(run, DEVICE)
        loops[name].model.train()
        loops[name].train_step()
    assert losses["compiled"] == pytest.approx(losses["plain"], rel=1e-2)
    rates = {name: [] for name in loops}
    for _ in range(ROUNDS):
        for name, loop in loops.items():

            def step(loop=loop):
                loop.train_step()
                loop.step = 0

            rates[name].append(images_per_second(step, BATCH))
    plain, compiled = (statistics.median(rates[name]) for name in ("plain", "compiled"))
    print(f"\npix2pix, 256 px, width 64, batch {BATCH}, float32, {DEVICE}, {torch.get_num_threads()} threads")
    print(f"compiled {compiled:.2f} images/s, plain {plain:.2f}: {compiled / plain:.2f} ×")
    print(f"two steps and their judging, start included: {begun['compiled']:.0f} s against {begun['plain']:.0f} s")
