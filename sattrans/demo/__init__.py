"""Run the whole pipeline on a synthetic landscape. The names below are loaded when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.demo.api import DemoOptions, Step, demo

__all__ = ["DemoOptions", "Step", "demo"]
__getattr__ = lazy_names(__name__, {"api": __all__})
