"""Styles: what a model learned of each scene it was trained on, such as its season and light; or those of an image."""

from pathlib import Path

from sattrans.errors import OptionError, did_you_mean
from sattrans.model import Model, TileSpec
from sattrans.utils.hashing import sha256

AUTO = "auto"
"""Chooses the scene whose classes are most like those of the map."""

SHOWN = 5
"""Scenes that a message names if none is like the one asked for."""


def check_style(style: str, spec: TileSpec, kind: type[Model]) -> None:
    """Raise `OptionError` if a run has no style of this name, and the name is not that of a reference image for it."""
    if style == AUTO or (kind.styled and style in spec.scenes):
        return
    if reference_of(style, spec):
        if kind.encodes_styles:
            return
        raise OptionError(
            f"--style {style}: model '{kind.name}' takes no style from an image; "
            + ("name a training scene" if kind.styled else "leave the option out")
        )
    if not kind.styled or not spec.scenes:
        raise OptionError(f"--style {style}: model '{kind.name}' has no styles; leave the option out")
    hint = did_you_mean(style, spec.scenes)
    if "did you mean" not in hint and len(spec.scenes) > SHOWN:
        hint = f"; available: {', '.join(spec.scenes[:SHOWN])} and {len(spec.scenes) - SHOWN} more"
    image = ", and there is no such image" if kind.encodes_styles else ""
    raise OptionError(f"--style {style}: the run was trained on no such scene{image}{hint}")


def reference_of(style: str, spec: TileSpec) -> Path | None:
    """Return the reference image that a style names; None if it names a training scene, "auto" or no file."""
    return Path(style) if style != AUTO and style not in spec.scenes and Path(style).is_file() else None


def recorded_reference(path: Path) -> str:
    """Return how an output records the reference image it was made with: by name and content."""
    return f"{path.name} (SHA-256 {sha256(path)[:16]})"
