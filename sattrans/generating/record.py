"""The record beside a generated image: what each window's map was, so that a change of the map is found."""

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import SattransError, UsageError
from sattrans.files import as_json, part_of, read_manifest, write_manifest
from sattrans.generating.flat import FlatField
from sattrans.generating.plan import Plan
from sattrans.generating.stream import read_band
from sattrans.mapping.opened import Map
from sattrans.progress import bar
from sattrans.raster.gate import open_raster

VERSION = 1
DIGEST = 8
"""Bytes of a window's hash: of a million windows two differ unseen once in 10^7 times."""

Digests = NDArray[np.uint64]
"""The hash of each window's map, (rows, columns)."""


def record_path(output: Path) -> Path:
    """Return where the record of an image stands: `sat.tif.json` beside `sat.tif`."""
    return output.with_name(output.name + ".json")


def digests(map_: Map, plan: Plan) -> Digests:
    """Read the map once, and return the hash of what lies under each window."""
    found = np.zeros((len(plan.rows), len(plan.cols)), np.uint64)
    with bar(len(plan.rows), "read the map", "row") as progress:
        for row in range(len(plan.rows)):
            band = read_band(map_, plan, row, 0, len(plan.cols) - 1)
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


def write_record(path: Path, told: Mapping[str, Any], plan: Plan, found: Digests, sealed: str, flat: FlatField) -> None:
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
    output: Path, tags: Mapping[str, str], plan: Plan, told: Mapping[str, Any], ours: frozenset[str]
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
