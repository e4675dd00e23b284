"""One run on several machines: as torchrun starts its processes, with an agent for each machine, and as SLURM does."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import error_line
from forks import Fork
from makers import make_folder

from sattrans.errors import TrainingError
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train.membership import Membership, first_host, membership

SMALL = ("-m", "pix2pix", "--set", "width=1", "--device", "cpu", "--batch-size", "4")


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return tile(make_folder(folder / "f", size=256), folder / "t", options=TileOptions(size=64)).tileset


@pytest.fixture
def recipe(tmp_path):
    """Options in a file: torchrun takes --monitor for one of its own."""
    path = tmp_path / "recipe.toml"
    path.write_text('[train]\nmonitor = "l1"\n')
    return path


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def slurm(monkeypatch, rank, **more):
    """Set what srun sets for a task of two, each on a machine of its own."""
    told = {"PROCID": rank, "LOCALID": 0, "STEP_NUM_TASKS": 2, "STEP_NODELIST": "127.0.0.1,gpu[02-03]", "JOB_ID": 7}
    for name, value in {**told, **more}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))


@pytest.mark.parametrize(
    ("listed", "first"),
    [
        ("gpu03", "gpu03"),
        ("gpu[03-05,7],cpu1", "gpu03"),
        ("n1,n2", "n1"),
        ("rack2-[10,12]-ib", "rack2-10-ib"),
        ("10.0.0.3", "10.0.0.3"),
    ],
)
def test_the_first_machine_of_a_list(listed, first):
    assert first_host(listed) == first


def test_slurm_says_which_process_this_is_and_where_all_meet(monkeypatch):
    slurm(monkeypatch, 1, STEP_NODELIST="gpu[02-03]", JOB_ID=20_005)
    assert membership() == Membership(1, 2, 0, "tcp://gpu02:20005")
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert membership().meeting == "tcp://10.0.0.1:29500"
    monkeypatch.setenv("WORLD_SIZE", "4")  # torchrun inside a task of SLURM
    monkeypatch.setenv("RANK", "3")
    assert membership() == Membership(3, 4, 0)


def test_a_batch_script_of_slurm_is_one_process(monkeypatch):
    for name, value in {"PROCID": "0", "NTASKS": "4", "JOB_ID": "7", "JOB_NODELIST": "gpu02"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert membership() == Membership()


@pytest.mark.parametrize("told", [{"WORLD_SIZE": "two"}, {"WORLD_SIZE": "2", "RANK": "2"}, {"WORLD_SIZE": "0"}])
def test_variables_that_make_no_sense_are_refused(monkeypatch, told):
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="RANK"):
        membership()


def test_how_to_resume_names_the_way_in_which_the_processes_were_started(tmp_path):
    assert Membership().resuming("r") == "sattrans train --resume r"
    assert Membership(0, 2, devices=True).resuming("r") == "sattrans train --resume r --devices 2"
    assert Membership(0, 4).resuming("r") == "sattrans train --resume r in 4 processes as before"


def test_tasks_of_slurm_train_one_run_which_the_first_alone_writes(tiles, recipe, tmp_path, monkeypatch):
    port, processes = free_port(), []
    (tmp_path / "there").mkdir()
    for rank, folder in enumerate((tmp_path, tmp_path / "there")):  # each machine in a folder of its own
        slurm(monkeypatch, rank)
        monkeypatch.setenv("MASTER_PORT", str(port))
        monkeypatch.chdir(folder)
        processes.append(Fork("train", *SMALL, "-d", tiles.folder, "--options", recipe, "--steps", 3, "-o", "r"))
    told = [process.communicate() for process in processes]
    assert [process.wait() for process in processes] == [0, 0], told
    assert Run.open(tmp_path / "r").manifest["settings"]["processes"] == 2
    assert Run.open(tmp_path / "r").finished
    assert not list((tmp_path / "there").iterdir())
    assert told[0][0].strip() and told[1] == ("", "")


@pytest.mark.faults
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_ends_the_other_with_one_line_and_the_run_resumes(tiles, recipe, tmp_path, monkeypatch, lost):
    def start(*arguments):
        port, processes = free_port(), []
        for rank in (0, 1):
            slurm(monkeypatch, rank)
            monkeypatch.setenv("MASTER_PORT", str(port))
            processes.append(Fork("train", *arguments))
        return processes

    run = tmp_path / "r"
    processes = start(*SMALL, "-d", tiles.folder, "--options", recipe, "--steps", 100_000, "-o", run)
    while not (run / "checkpoints" / "last.safetensors").exists():
        assert processes[0].poll() is None, processes[0].communicate()
        time.sleep(0.05)
    processes[lost].kill()
    other = processes[1 - lost]
    _, told = other.communicate()
    assert f"process {2 - lost} of 2 cannot reach the others any more" in error_line(told)
    assert other.wait() == 1
    trained = Run.open(run).metrics()[-1]["step"]
    processes = start("--resume", run, "--steps", trained + 5, "--device", "cpu")
    assert [process.wait() for process in processes] == [0, 0], [process.communicate() for process in processes]
    assert Run.open(run).manifest["summary"]["steps"] == trained + 5


def agents(port, *arguments):
    """Start what a user starts on each of two machines: torchrun with an agent of its own."""
    for node in (0, 1):
        told = ["--nnodes", "2", "--nproc-per-node", "1", "--node-rank", node, "--rdzv-backend", "static"]
        told += ["--master-addr", "127.0.0.1", "--master-port", port, "-m", "sattrans", "train", *arguments]
        command = [sys.executable, "-m", "torch.distributed.run", *map(str, told)]
        yield subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(agent):
    """Kill an agent and what it started."""
    if agent.poll() is None:
        children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children")
        for child in children.read_text().split() if children.exists() else ():
            os.kill(int(child), signal.SIGKILL)
        agent.kill()


@pytest.mark.faults
def test_torchrun_on_two_machines_trains_loses_one_and_resumes(tiles, recipe, tmp_path):
    run = tmp_path / "r"
    begun = list(agents(free_port(), *SMALL, "-d", tiles.folder, "--options", recipe, "--steps", 100_000, "-o", run))
    try:
        while not (run / "checkpoints" / "last.safetensors").exists():
            assert all(agent.poll() is None for agent in begun), [agent.communicate() for agent in begun]
            time.sleep(0.05)
        end(begun[1])  # a machine that is gone
        told = begun[0].communicate(timeout=120)[1]
    finally:
        for agent in begun:
            end(agent)
    lines = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "process 1 of 2 cannot reach the others any more" in lines[0], told
    assert begun[0].returncode
    trained = Run.open(run).metrics()[-1]["step"]
    resumed = list(agents(free_port(), "--resume", run, "--steps", trained + 3, "--device", "cpu"))
    told = [agent.communicate(timeout=120) for agent in resumed]
    assert [agent.returncode for agent in resumed] == [0, 0], told
    assert Run.open(run).manifest["summary"]["steps"] == trained + 3
