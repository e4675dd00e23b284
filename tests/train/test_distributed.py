"""Several processes that train one run together, as torchrun starts them."""

import os
import socket
import subprocess
import sys

import pytest
import torch
from commands import sattrans as command_line
from forks import Fork
from makers import make_folder
from safetensors.torch import load_file

from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

# A model of another package: batch norm and dropout see a process's own tiles, and would make two processes differ
# from one with all tiles.
PLAIN = '''
import torch
from torch import nn
from torch.nn import functional as F
from sattrans import hookimpl
from sattrans.model import Model, TrainDefaults, Update

class Plain(Model):
    """Two convolutions under L1, and a second pair under L2 that sees what the first made."""

    name = "plain"
    defaults = TrainDefaults(monitor="l1")

    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.generator, self.second = (
            nn.Sequential(nn.Conv2d(c, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 3, 3, padding=1))
            for c in (spec.source_channels, 3)
        )

    def optimizers(self):
        one = torch.optim.Adam(self.generator.parameters(), 1e-3)
        return {"one": one, "two": torch.optim.SGD(self.second.parameters(), 0.1)}

    def training_step(self, batch):
        fake = self.generator(batch.source)
        yield Update("one", {"l1": F.l1_loss(fake, batch.target)})
        yield Update("two", {"l2": F.mse_loss(self.second(fake.detach()), batch.target)})

@hookimpl
def register_models(register):
    register(Plain)
'''


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """The package, where every process finds it."""
    site = tmp_path / "site"
    info = site / "plain-1.dist-info"
    info.mkdir(parents=True)
    (site / "plain_model.py").write_text(PLAIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plain\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[sattrans.models]\nplain = plain_model\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return tile(make_folder(folder / "f", size=256), folder / "t", options=TileOptions(size=64)).tileset


def start_two(monkeypatch, *arguments):
    """Start a command in two processes, in the environment that torchrun gives them: forks, which start at once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    processes = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        processes.append(Fork(*arguments))
    return processes


def sattrans(*arguments):
    """Run a command in two processes that torchrun starts, as a user would."""
    command = [*TORCHRUN, "-m", "sattrans", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_two_processes_do_what_one_does_with_batches_twice_as_large(tiles, environment, tmp_path, monkeypatch):
    arguments = ["train", "-m", "plain", "-d", tiles.folder, "--steps", 12, "--device", "cpu"]
    assert Fork(*arguments, "--batch-size", 4, "-o", tmp_path / "one").wait() == 0
    processes = start_two(monkeypatch, *arguments, "--batch-size", 2, "-o", tmp_path / "two")
    printed = [process.communicate()[0] for process in processes]
    assert [process.wait() for process in processes] == [0, 0]
    one, two = (Run.open(tmp_path / name) for name in ("one", "two"))
    assert two.manifest["settings"]["processes"] == 2
    weights = [load_file(run.checkpoint("last")) for run in (one, two)]
    names = [name for name in weights[0] if name.startswith(("model.", "average."))]
    assert len(names) > 10
    assert all(torch.allclose(weights[0][n].float(), weights[1][n].float(), atol=1e-6, rtol=0) for n in names)
    assert [line["step"] for line in two.metrics()] == [line["step"] for line in one.metrics()]
    assert [text.count("best l1") for text in printed] == [1, 0]  # the first process alone reports


@pytest.mark.faults
def test_a_gan_trains_in_two_processes_and_resumes_with_as_many(tiles, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    told = ["--set", "width=4", "--monitor", "l1", "--device", "cpu", "--batch-size", 8]
    arguments = ["train", "-m", "pix2pix", "-d", tiles.folder, *told]
    assert Fork(*arguments, "--epochs", 1, "--devices", 2, "-o", tmp_path / "r").wait() == 0
    run = Run.open(tmp_path / "r")
    assert run.finished
    assert run.manifest["summary"]["steps"] == len(tiles.split("train")) // 16
    (tmp_path / "r" / "run.json").rename(tmp_path / "r" / "run.json.begun")
    text = (tmp_path / "r" / "run.json.begun").read_text()
    (tmp_path / "r" / "run.json.begun").write_text(text.replace('"summary"', '"before"'))
    alone = command_line("train", "--resume", tmp_path / "r")
    assert alone.exit_code == 2
    assert "was trained by 2 processes, not 1: resume with --devices 2" in alone.stderr
    sattrans("train", "--resume", tmp_path / "r", "--device", "cpu")
    assert Run.open(tmp_path / "r").finished


def test_a_single_process_is_recorded_as_one(tiles, tmp_path):
    run = train(
        tiles.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1")
    ).run
    assert run.manifest["settings"]["processes"] == 1
