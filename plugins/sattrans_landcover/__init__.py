"""The `landcover` dataset, as a plugin."""

from collections.abc import Callable

from sattrans import Dataset, hookimpl


@hookimpl
def register_datasets(register: Callable[[type[Dataset]], None]) -> None:
    """Register `LandCover`."""
    from sattrans_landcover.dataset import LandCover

    register(LandCover)
