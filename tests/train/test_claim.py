"""Trainings that begin at the same moment take different numbers; a folder that was named is not left for another."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from sattrans.errors import LockedError, OptionError
from sattrans.runs.run import RunOutput
from sattrans.train.claim import claim, new_folders
from sattrans.train.launcher import check_enough_tiles


def test_a_number_that_another_training_has_claimed_is_left_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = next(new_folders("m", "t"))
    with ExitStack() as stack:  # all have chosen the same number before any has begun
        claimed = [claim(RunOutput(first, {}), ("m", "t"), stack).path for _ in range(3)]
        assert claimed == [Path(f"runs/m-t-{number}") for number in (1, 2, 3)]


def test_a_folder_that_was_named_is_claimed_or_refused(tmp_path):
    with ExitStack() as stack:
        claim(RunOutput(tmp_path / "r", {}), None, stack)
        with pytest.raises(LockedError, match="is being written by process"):
            claim(RunOutput(tmp_path / "r", {}), None, stack)


def test_fewer_tiles_than_processes_is_told_before_they_start(tiny_tileset):
    check_enough_tiles(tiny_tileset, 1)
    with pytest.raises(OptionError, match="--devices 9: .* has 1 training tile, and each process needs one"):
        check_enough_tiles(tiny_tileset, 9)
