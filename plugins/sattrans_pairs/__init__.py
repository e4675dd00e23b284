"""The `pairs` dataset, as a plugin."""

from collections.abc import Callable

from sattrans import Dataset, hookimpl


@hookimpl
def register_datasets(register: Callable[[type[Dataset]], None]) -> None:
    """Register `Pairs`."""
    from sattrans_pairs.dataset import Pairs

    register(Pairs)
