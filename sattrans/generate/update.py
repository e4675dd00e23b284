"""The record beside a generated image: what each window's map was, so that a change of the map is found."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OutputExists, RasterError, SattransError, UsageError
from sattrans.generate.flat_field import FlatField
from sattrans.generate.stream import read_map_row
from sattrans.generate.windows import WindowPlan
from sattrans.maps.open import Map
from sattrans.raster.cog.layout import is_whole
from sattrans.raster.cog.options import Creation
from sattrans.raster.cog.writer import begun_with, check_whole, is_finished, options_of
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.window import Window
from sattrans.utils.atomic import part_of
from sattrans.utils.console import bar
from sattrans.utils.manifest import as_json, check_same_options, read_manifest, write_manifest

VERSION = 1
DIGEST = 8
"""Bytes of a window's hash: of a million windows two differ unseen once in 10^7 times."""

Digests = NDArray[np.uint64]
"""The hash of each window's map, (rows, columns)."""


def record_path(output: Path) -> Path:
    """Return where the record of an image stands: `sat.tif.json` beside `sat.tif`."""
    return output.with_name(output.name + ".json")


def digests(map_: Map, plan: WindowPlan) -> Digests:
    """Read the map once, and return the hash of what lies under each window."""
    found = np.zeros((len(plan.rows), len(plan.cols)), np.uint64)
    with bar(len(plan.rows), "read the map", "row") as progress:
        for row in range(len(plan.rows)):
            band = read_map_row(map_, plan, row, 0, len(plan.cols) - 1)
            for col, left in enumerate(plan.cols):
                window = np.ascontiguousarray(band[..., left : left + plan.size])
                digest = blake2b(window.data, digest_size=DIGEST).digest()
                found[row, col] = int.from_bytes(digest, "big")
            progress.update()
    return found


TAG = "SATTRANS_WINDOWS"
"""Of the image: its map's seal, by which a record that is another image's is known."""


def seal(found: Digests, map_: Map) -> str:
    """Return one hash over what an image takes from its map: its windows, size, place, whether it may hold nothing."""
    about = json.dumps([map_.georeference.to_json(), map_.partial, map_.height, map_.width])
    return blake2b(found.astype(">u8").tobytes() + about.encode(), digest_size=DIGEST).hexdigest()


def record_of(output: Path) -> dict[str, Any] | None:
    """Return an image's record; None where there is none that can be read."""
    with suppress(SattransError):
        return read_manifest(record_path(output), "windows", VERSION)
    return None


def known_seal(output: Path, told: Mapping[str, Any]) -> str | None:
    """Return the seal in an image's record, if that is of the same file of the map, by its size and time."""
    record = record_of(output)
    return str(record["seal"]) if record and record["options"] == as_json(told) else None


PENDING = "record.json"
"""Of what lies unfinished: the record of the image that it will be."""


def settle(output: Path) -> None:
    """Put a record beside its image that a kill between the two left behind."""
    pending = part_of(output) / PENDING
    if pending.is_file() and output.is_file():
        with open_raster(output) as image:
            sealed = image.tags().get(TAG)
        if read_manifest(pending, "windows", VERSION)["seal"] == sealed:
            pending.replace(record_path(output))


def write_record(
    path: Path, told: Mapping[str, Any], plan: WindowPlan, found: Digests, sealed: str, flat: FlatField
) -> None:
    """Write the record of an image that was made with the options `told`."""
    rows = ["".join(f"{int(value):016x}" for value in row) for row in found]
    body = {
        "options": dict(told),
        "size": [plan.height, plan.width],
        "seal": sealed,
        "windows": rows,
        "flat_field": flat.encode(),
    }
    write_manifest(path, "windows", VERSION, body)


ANEW = "without --update, --overwrite makes it anew"
"""What helps where an update does not."""


def read_record(
    output: Path, tags: Mapping[str, str], plan: WindowPlan, told: Mapping[str, Any], ours: frozenset[str]
) -> tuple[Digests, FlatField]:
    """Return the hashes that an image, which has these `tags`, was made from, and its flat field.

    Raises `UsageError` where there is no record of it, or where it was made otherwise: of another size, or with
    options that differ, but for those in `ours`, which tell one map's file from another's.
    """
    path = record_path(output)
    if not path.is_file():
        raise UsageError(f"--update {output}: {path} is not there, which says what it was made from: {ANEW}")
    record = read_manifest(path, "windows", VERSION)
    if record["seal"] != tags.get(TAG):
        raise UsageError(f"--update {output}: {path} is not the record of this image: {ANEW}")
    if record["size"] != [plan.height, plan.width]:
        high, wide = record["size"]
        raise UsageError(
            f"--update {output}: it is {wide} wide × {high} high, the map now {plan.width} × {plan.height}: {ANEW}"
        )
    for name, value in told.items():
        if name not in ours and record["options"].get(name) != value:
            raise UsageError(
                f"--update {output}: it was made with {name} {record['options'].get(name)}, not {value}: "
                f"take the same options; or {ANEW}"
            )
    found = [[int(row[at : at + 16], 16) for at in range(0, len(row), 16)] for row in record["windows"]]
    return np.array(found, np.uint64), FlatField.decode(record["flat_field"])


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
def former(path: Path, told: Mapping[str, Any], plan: WindowPlan, bands: int) -> Iterator[Former]:
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
