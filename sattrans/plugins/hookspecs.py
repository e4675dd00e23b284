"""The two hooks a plugin may implement."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from sattrans.data.dataset import Dataset
    from sattrans.model import Model

hookspec = pluggy.HookspecMarker("sattrans")
hookimpl = pluggy.HookimplMarker("sattrans")


@hookspec
def register_datasets(register: Callable[[type[Dataset]], None]) -> None:
    """Call `register` with each `Dataset` class this plugin brings."""


@hookspec
def register_models(register: Callable[[type[Model]], None]) -> None:
    """Call `register` with each `Model` class this plugin brings."""
