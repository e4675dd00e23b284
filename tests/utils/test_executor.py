import os
import threading
import time

import pytest

from sattrans.errors import OptionError
from sattrans.utils.executor import InlineExecutor, executor


def number_and_process(number):
    return number, os.getpid()


def slow_first(number):
    time.sleep(0.3 if number == 0 else 0)
    return number


def fail_at_two(number):
    if number == 2:
        raise ValueError("number 2 cannot be done")
    return number


def process_and_thread(number):
    time.sleep(0.05)
    return os.getpid(), threading.current_thread().name


def spread(function, workers=None, scheduler=None):
    with executor(workers, scheduler) as pool:
        return list(pool.map(function, range(4)))


def test_one_worker_is_this_process():
    with executor(1) as pool:
        assert isinstance(pool, InlineExecutor)
        assert list(pool.map(number_and_process, range(3))) == [(n, os.getpid()) for n in range(3)]


def test_one_worker_does_a_piece_when_its_result_is_asked_for():
    done = []
    with executor(1) as pool:
        results = pool.map(done.append, range(3))
        assert done == []
        next(results)
        assert done == [0]


def test_two_workers_are_threads_of_this_process_and_results_keep_their_order():
    with executor(2) as pool:
        assert list(pool.map(slow_first, range(4))) == [0, 1, 2, 3]
        found = set(pool.map(process_and_thread, range(8)))
        assert {process for process, _ in found} == {os.getpid()}
        assert len(found) == 2 and threading.current_thread().name not in {thread for _, thread in found}
        with pytest.raises(ValueError, match="number 2 cannot be done"):
            list(pool.map(fail_at_two, range(4)))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_what_was_not_begun_is_not_done_and_nothing_goes_on(error):
    begun, ended = [], []

    def fail_first(number):
        begun.append(number)
        if number == 0:
            raise error("the first cannot be done")
        time.sleep(0.02)
        ended.append(number)

    with pytest.raises(error, match="the first cannot be done"), executor(2) as pool:
        list(pool.map(fail_first, range(100)))
    assert len(begun) < 20
    assert sorted(ended) == sorted(set(begun) - {0})  # those begun were waited for
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sattrans")]


@pytest.mark.parametrize("workers", [0, -1])
def test_a_number_of_workers_below_1_is_refused(workers):
    with pytest.raises(OptionError, match=f"^--workers must be at least 1, got {workers}$"), executor(workers):
        pass


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_as_they_are_done_with_their_places(workers):
    with executor(workers) as pool:
        came = list(pool.as_done(slow_first, range(3)))
    assert sorted(came) == [(0, 0), (1, 1), (2, 2)]
    assert came[-1 if workers > 1 else 0] == (0, 0)  # the slow one is waited for by none but itself
