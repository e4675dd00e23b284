import logging
import time

import pytest

from sattrans.utils import progress
from sattrans.utils.console import pluralize, progress_bar


@pytest.mark.parametrize(
    ("count", "nouns", "expected"),
    [
        (0, ["window"], "0 windows"),
        (1, ["window"], "1 window"),
        (2, ["window"], "2 windows"),
        (1, ["process", "processes"], "1 process"),
        (3, ["process", "processes"], "3 processes"),
    ],
)
def test_only_one_is_singular(count, nouns, expected):
    assert pluralize(count, *nouns) == expected


def test_long_work_without_a_terminal_logs_lines_now_and_then(monkeypatch, caplog):
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.02)
    with caplog.at_level(logging.INFO, "sattrans"), progress_bar(4, "tile", "tile", 1) as work:
        for _ in range(2):
            time.sleep(0.03)
            work.update()
        work.update()  # at once, so without a line
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("tile: 2 of 4 tiles (50%), 00:00 passed, about 00:00 left")
    assert second.startswith("tile: 3 of 4 tiles (75%), ")


def test_short_work_and_a_silent_logger_log_nothing(monkeypatch, caplog):
    with caplog.at_level(logging.INFO, "sattrans"), progress_bar(2, "tile", "tile") as work:
        work.update()
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0)
    with caplog.at_level(logging.WARNING, "sattrans"), progress_bar(2, "tile", "tile") as work:
        work.update()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("rate", "initial", "told"),
    [
        (None, 0, "train: 30 of 100 steps (30%), 01:00 passed, about 02:20 left"),
        (None, 20, "train: 30 of 100 steps (30%), 01:00 passed, about 07:00 left"),
        (2.0, 0, "train: 30 of 100 steps (30%), 01:00 passed, about 00:35 left"),
    ],
)
def test_the_time_left_is_told_from_the_work_of_this_process(rate, initial, told):
    state = {"n": 30, "initial": initial, "total": 100, "elapsed": 60.0, "rate": rate, "prefix": "train"}
    assert progress.progress_line({**state, "unit": "step", "postfix": ""}) == told
    assert progress.progress_line({**state, "unit": "step", "postfix": "d=1"}) == f"{told}; d=1"
