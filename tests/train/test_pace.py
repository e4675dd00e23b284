"""The line that training logs after its first steps: how long it takes, and when a useful image can be expected."""

import pytest

from sattrans.train import loggers
from sattrans.train.loggers import Pace


def lines(monkeypatch, seconds, steps, useful_after, begun=0):
    """Return what a training says whose steps take so many seconds each."""
    pace = Pace(begun, steps, None, useful_after)
    clock = [0.0]
    monkeypatch.setattr(loggers.time, "monotonic", lambda: clock[0])
    said = []
    for step in range(begun + 1, steps + 1):
        clock[0] += seconds
        said.append(pace.message(step))
    return [line for line in said if line]


def test_a_long_training_says_once_when_an_image_is_useful_and_when_it_ends(monkeypatch):
    (line,) = lines(monkeypatch, 1.0, 1220, 260)
    assert line.startswith("a first useful image in about 4 minutes, the last step in about 20 minutes;")


@pytest.mark.parametrize("useful_after", [None, 400, 10])
def test_only_the_end_is_told_if_nothing_is_known_or_it_lies_behind(monkeypatch, useful_after):
    (line,) = lines(monkeypatch, 1.0, 320, useful_after)
    assert line.startswith("the last step in about 5 minutes;")


def test_a_resumed_training_measures_its_own_steps(monkeypatch):
    (line,) = lines(monkeypatch, 2.0, 1000, 250, begun=900)
    assert line.startswith("the last step in about 3 minutes;")


def test_a_training_of_under_a_minute_says_nothing(monkeypatch):
    assert lines(monkeypatch, 0.5, 100, 50) == []
