"""The `folder` dataset, as a plugin."""

from collections.abc import Callable

from sattrans import Dataset, hookimpl


@hookimpl
def register_datasets(register: Callable[[type[Dataset]], None]) -> None:
    """Register `Folder`."""
    from sattrans_folder.dataset import Folder

    register(Folder)
