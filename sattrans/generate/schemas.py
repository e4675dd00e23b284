"""Schemas of the records of generated images."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from sattrans.utils.schemas import Manifest, ManifestWithOptions, Options, Side


def _with_map(options: Options) -> Options:
    """Refuse options that do not begin the record of their map with its name."""
    map_ = options.get("map")
    if not isinstance(map_, list) or not map_ or not isinstance(map_[0], str):
        raise ValueError("must have a list map that begins with the name of a file")
    return options


MapOptions = Annotated[Options, AfterValidator(_with_map)]


class GeneratedManifest(ManifestWithOptions):
    """`generated.json` of a folder of tiles."""

    options: MapOptions


class WindowsManifest(Manifest):
    """The record beside an image."""

    options: MapOptions
    size: Annotated[list[Side], Field(min_length=2, max_length=2)]
    seal: Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]
    windows: list[Annotated[str, StringConstraints(pattern="^([0-9a-f]{16})+$")]]
    consistency: float | None = Field(default=None, ge=0)
    flat_field: str = ""
    """Held the flat field of the image, until runs had one."""
