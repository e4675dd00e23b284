"""An image that stands there already: whether it is the one asked for, or may be updated to become it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OutputExists, RasterError, UsageError
from sattrans.files import as_json, check_same_options, part_of
from sattrans.generating.flat import FlatField
from sattrans.generating.plan import Plan
from sattrans.generating.record import ANEW, TAG, Digests, known_seal, read_record, record_of, settle
from sattrans.grid import Window
from sattrans.raster.cog import is_whole
from sattrans.raster.creation import Creation
from sattrans.raster.gate import Raster, open_raster
from sattrans.raster.rows import begun_with, check_whole, is_finished, options_of

WORDS = {
    "map": "of another map, or of this one before it changed",
    "run_created": "by another run of that name",
}
"""How an image was made where these options alone differ: what they hold is a hash and a time."""


@dataclass(frozen=True)
class Former:
    """An open image that was made before: of which map, window by window, and with which flat field."""

    path: Path
    image: Raster
    digests: Digests
    flat: FlatField

    @property
    def name(self) -> str:
        """What tells it from others."""
        return f"{self.path.name} ({self.image.tags()[TAG]})"

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the bands of a part of it, alpha included."""
        try:
            return self.image.read(window).astype(np.uint8, copy=False)
        except RasterError as error:
            raise RasterError(f"--update {self.path}: a part of it cannot be read: {ANEW}") from error


@contextmanager
def former(path: Path, told: Mapping[str, Any], plan: Plan, bands: int) -> Iterator[Former]:
    """Open an image that is there for an update. Raises `UsageError` where it is damaged, or was made otherwise."""
    settle(path)
    with open_raster(path) as image:
        if not is_whole(path):
            raise UsageError(f"--update {path}: it is damaged, its end is missing: {ANEW}")
        found = read_record(path, image.tags(), plan, told, frozenset({"map"}))
        if image.bands != bands:
            raise UsageError(f"--update {path}: it has {image.bands} bands, not {bands}: {ANEW}")
        yield Former(path, image, *found)


def image_finished(
    output: Path,
    told: Mapping[str, Any],
    creation: Creation,
    sealed: Callable[[], str],
    updatable: Callable[[], bool],
) -> bool:
    """Say whether an image stands there, made as it is `told`. Raises `OutputExists` where it was made otherwise.

    Of the map its contents count: `sealed` reads it, which is done only where nothing else differs, and the map's
    file is not the one in the image's record. `updatable` says whether an update could take over what stands there.
    Raises `RasterError` for an image that was cut short.
    """
    settle(output)
    made_with = options_of(output)
    if made_with is None or "map" not in made_with:  # not there, or not ours
        return is_finished(output, told, creation)
    check_whole(output)
    asked = as_json(creation.added_to({**told, "map": made_with["map"]}))
    check_same_options(output, made_with, asked, WORDS)
    asked["map"] = known_seal(output, told) or sealed()
    if asked["map"] != made_with["map"]:
        record = record_of(output)
        if record and record["seal"] == made_with["map"]:
            was, now = record["options"]["map"][0], told["map"][0]
            of = "this map as it was before" if was == now else f"another map, {was}"
            raise OutputExists(f"{output} was made of {of}: {_remedy(output, asked, updatable())}")
    return is_finished(output, {**told, "map": asked["map"]}, creation, WORDS)


def _remedy(output: Path, asked: Mapping[str, Any], updatable: bool) -> str:
    """Return how to come from an image of another map to that of this one, what was begun of it taken up."""
    begun = begun_with(output) or {}
    if {**begun, UPDATE: None} == {**asked, UPDATE: None}:
        option = f"--update {output}" if UPDATE in begun else "--overwrite"
        return f"with {option} the same command goes on with what lies unfinished in {part_of(output)}"
    if updatable:
        return f"--update {output} makes anew what differs, --overwrite all of it"
    return "choose another output, or --overwrite to replace it"


UPDATE = "update"
"""Of what lies unfinished: the image that it updates."""
