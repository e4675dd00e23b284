"""The `inria` dataset, as a plugin."""

from collections.abc import Callable

from sattrans import Dataset, hookimpl


@hookimpl
def register_datasets(register: Callable[[type[Dataset]], None]) -> None:
    """Register `Inria`."""
    from sattrans_inria.dataset import Inria

    register(Inria)
