"""The `refine` model, as a plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sattrans import hookimpl

if TYPE_CHECKING:
    from sattrans.model import Model


@hookimpl
def register_models(register: Callable[[type[Model]], None]) -> None:
    """Register `Refiner`."""
    from sattrans_refine.model import Refiner

    register(Refiner)
