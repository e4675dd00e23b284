"""Run the whole pipeline on a synthetic landscape. The names below are loaded when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.demo.api import DemoResult, Step, demo
    from sattrans.demo.options import DemoOptions

__all__ = ["DemoOptions", "DemoResult", "Step", "demo"]
__getattr__ = lazy_names(__name__, {"api": ["DemoResult", "Step", "demo"], "options": ["DemoOptions"]})
