"""Turn masks into maps a person can read. The names below are loaded when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.colorize.api import ColorizeResult, colorize
    from sattrans.colorize.options import ColorizeOptions

__all__ = ["ColorizeOptions", "ColorizeResult", "colorize"]
__getattr__ = lazy_names(__name__, {"api": ["ColorizeResult", "colorize"], "options": ["ColorizeOptions"]})
