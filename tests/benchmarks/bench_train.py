"""train against the classical loop: pix2pix at 256 px with the paper's widths, the same networks, medians in one run.

The classical loop is that of the PyTorch repository of pix2pix, written from its description: float32, NCHW, one
image a step, the discriminator on real and on generated images apart, `requires_grad` toggled around its step,
Adam as it comes. Ours is `train`'s own loop, with all that belongs to a step: reading, jitter, averaging, checks.
"""

import itertools
import os
import statistics
import time
from dataclasses import replace

import pytest
import torch
from makers import make_folder
from torch import nn
from torch.nn import functional as F
from torch.optim import Adam

from sattrans.plugins import model_class
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train
from sattrans.train.api import build_loop

ROUNDS = 5
SECONDS = 5.0
"""About what a contestant takes in a round: so many steps as fit, one at least."""

# Tests run on one thread a process; a training has the machine.
torch.set_num_threads(os.process_cpu_count() if hasattr(os, "process_cpu_count") else len(os.sched_getaffinity(0)))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BARS = {"ours, 1 image, bf16": 1.5, "ours, 8 images, bf16": 3.0}
if DEVICE.type == "cuda":
    BARS = {"ours, 1 image, bf16, compiled": 4.0, "ours, 16 images, bf16, compiled": 8.0}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    root = make_folder(folder / "place", scenes=3, size=768)
    return tile(root, folder / "tiles", options=TileOptions(size=256, split="random")).tileset


def ours(tiles, folder, batch_size, precision, keep=True, compiled=False):
    """Return a function that does one step of the loop of a run that was begun for it."""
    options = TrainOptions(steps=1, batch_size=batch_size, precision=precision, compile=compiled, monitor="l1")
    run = train(tiles.folder, folder, replace(options, model="pix2pix")).run
    loop = build_loop(run, DEVICE)
    loop.model.train()
    if not keep:
        loop.train.store.device = None
    loop.load()
    loop.step = 0

    def step():
        loop.train_step()
        loop.step %= loop.train.per_epoch

    return step, batch_size


def classical(tiles, folder):
    """Return the same of the classical loop; its batches come from memory."""
    step, _ = ours(tiles, folder, 1, "32")
    loop = next(c.cell_contents for c in step.__closure__ if hasattr(c.cell_contents, "train_step"))
    kind = model_class("pix2pix")
    model = kind(loop.model.spec, kind.Options()).to(DEVICE)
    generator, discriminator = model.generator, model.discriminator
    of_generator, of_discriminator = (
        Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in (generator, discriminator)
    )
    bce = nn.BCEWithLogitsLoss()
    numbers = itertools.cycle(range(loop.train.per_epoch))

    def classical_step():
        batch = loop.train.train(next(numbers))
        source, target = batch.source.contiguous(), batch.target.contiguous()
        fake = generator(source)
        discriminator.requires_grad_(True)
        of_discriminator.zero_grad()
        judged_fake, judged_real = discriminator(source, fake.detach()), discriminator(source, target)
        of_fake, of_real = (
            bce(judged_fake, torch.zeros_like(judged_fake)),
            bce(judged_real, torch.ones_like(judged_real)),
        )
        ((of_fake + of_real) * 0.5).backward()
        of_discriminator.step()
        discriminator.requires_grad_(False)
        of_generator.zero_grad()
        judged = discriminator(source, fake)
        (bce(judged, torch.ones_like(judged)) + 100 * F.l1_loss(fake, target)).backward()
        of_generator.step()

    return classical_step, 1


def images_per_second(step, images):
    done, begun = 0, time.perf_counter()
    while not done or time.perf_counter() - begun < SECONDS:
        step()
        done += 1
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return images * done / (time.perf_counter() - begun)


def test_train_against_the_classical_loop(tiles, tmp_path):
    contestants = {
        "classical, 1 image, float32": classical(tiles, tmp_path / "c"),
        "ours, 1 image, float32": ours(tiles, tmp_path / "a", 1, "32"),
        "ours, 1 image, bf16": ours(tiles, tmp_path / "b", 1, "bf16"),
        "ours, 8 images, float32": ours(tiles, tmp_path / "d", 8, "32"),
        "ours, 8 images, bf16": ours(tiles, tmp_path / "e", 8, "bf16"),
        "ours, 8 images, bf16, from files": ours(tiles, tmp_path / "f", 8, "bf16", keep=False),
    }
    if DEVICE.type == "cuda":  # a GPU has room for more; compiling takes a minute, too long for what a CPU gains by it
        for count, name in ((1, "1 image"), (16, "16 images")):
            contestants[f"ours, {name}, bf16, compiled"] = ours(
                tiles, tmp_path / str(count), count, "bf16", compiled=True
            )
        contestants["ours, 16 images, bf16"] = ours(tiles, tmp_path / "g", 16, "bf16")
    for step, _ in contestants.values():
        step()  # what is set up once
    rounds = [{name: images_per_second(*c) for name, c in contestants.items()} for _ in range(ROUNDS)]
    rates = {name: statistics.median(r[name] for r in rounds) for name in contestants}
    base = next(iter(rates.values()))
    print(f"\npix2pix, 256 px, width 64, {DEVICE}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    for name, rate in rates.items():
        bar = ""
        if name in BARS:
            bar = f"  ≥ {BARS[name]} ×: {'reached' if rate >= BARS[name] * base else 'missed'}"
        print(f"{name:34}{rate:7.2f} images/s{rate / base:7.2f} ×{bar}")
    memory, files = (rates[name] for name in ("ours, 8 images, bf16", "ours, 8 images, bf16, from files"))
    print(f"a step fed from files takes {memory / files - 1:+.1%} of one fed from memory")
