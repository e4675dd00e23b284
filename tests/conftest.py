"""What every test shares: how hypothesis looks for counterexamples."""

from hypothesis import HealthCheck, settings

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
