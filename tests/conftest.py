"""What every test shares: one thread a process, and how hypothesis looks for counterexamples."""

import os
import signal

# Before anything imports torch: tests run two at a time on two cores, and threads that wait for each other
# there cost ten times what they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

from sattrans.utils.process import request_large_pages

request_large_pages()  # before torch allocates memory, as a command does

# A shell has what it starts in the background ignore Ctrl-C, and so would the commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time: a suite that fails on some days only is no use to anyone.
settings.register_profile(
    "suite",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")
