"""Styles: what a model learned of each scene it was trained on, such as its season and light."""

from sattrans.errors import OptionError, did_you_mean
from sattrans.model import TileSpec

AUTO = "auto"
"""Chooses the scene whose classes are most like those of the map."""

SHOWN = 5
"""Scenes that a message names if none is like the one asked for."""


def check_style(style: str, spec: TileSpec, model: str, styled: bool) -> None:
    """Raise `OptionError` if a run has no style of this name."""
    if style == AUTO:
        return
    if not styled or not spec.scenes:
        raise OptionError(f"--style {style}: model '{model}' has no styles; leave the option out")
    if style not in spec.scenes:
        hint = did_you_mean(style, spec.scenes)
        if "did you mean" not in hint and len(spec.scenes) > SHOWN:
            hint = f"; available: {', '.join(spec.scenes[:SHOWN])} and {len(spec.scenes) - SHOWN} more"
        raise OptionError(f"--style {style}: the run was trained on no such scene{hint}")
