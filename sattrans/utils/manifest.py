"""Manifests: JSON files that describe what a file or folder is, the version of its format, and how it was made."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sattrans.errors import SattransError
from sattrans.utils.atomic import write_json
from sattrans.utils.records import MAX_RECORD, checked, parse_json, read_text, shown

if TYPE_CHECKING:
    from pydantic import BaseModel

REMEDY = "put a copy of it back, or make the output again"
"""What to do about a record that is damaged."""


def begun_of(path: Path) -> Path:
    """Return the name that the manifest `path` has while its folder is being filled."""
    return path.with_name(path.name + ".begun")


def is_unfinished(folder: Path) -> bool:
    """Return whether a folder has the manifest of an unfinished output but not that of the finished one."""
    begun = folder.glob(begun_of(Path("*.json")).name)
    return any(not path.with_suffix("").exists() for path in begun)


def write_manifest(path: Path, kind: str, version: int, body: Mapping[str, Any]) -> None:
    """Write a manifest: `format`, `version`, `created_by`, then `body`."""
    from sattrans.utils.version import __version__

    head = {"format": f"sattrans.{kind}", "version": version, "created_by": f"sattrans {__version__}"}
    write_json(path, {**head, **body})


def schema_of_manifest() -> "type[BaseModel]":
    """Return the schema of a manifest of which any fields may follow the head."""
    from sattrans.utils.schemas import Manifest

    return Manifest


def schema_with_options() -> "type[BaseModel]":
    """Return the schema of a manifest that records options."""
    from sattrans.utils.schemas import ManifestWithOptions

    return ManifestWithOptions


def read_manifest(
    path: Path, kind: str, version: int, schema: "Callable[[], type[BaseModel]]" = schema_of_manifest
) -> dict[str, Any]:
    """Read a manifest. Raises `SattransError` if it is of another kind or version, or damaged.

    Args:
        path: The manifest.
        kind: What it must describe.
        version: The version of its format.
        schema: Returns what its fields must be. It is called when a manifest is read, because it loads pydantic.
    """
    try:
        body = parse_json(read_text(path, MAX_RECORD))
    except OSError as error:
        raise SattransError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SattransError(f"{path} cannot be read as a sattrans manifest: {error}; {REMEDY}") from error
    if not isinstance(body, dict) or body.get("format") != f"sattrans.{kind}":
        raise SattransError(f"{path} is not a sattrans {kind}")
    if body.get("version") != version:
        made_by = shown(body.get("created_by", "another version of sattrans")).strip("'")
        raise SattransError(
            f"{path} has format version {shown(body.get('version'))}, but this sattrans reads version {version}; "
            f"it was made by {made_by}; make it again, or use that version"
        )
    try:
        checked(schema(), body)
    except ValueError as error:
        raise SattransError(f"{path} is damaged: {error}; {REMEDY}") from error
    return body


def as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they are after a round trip through JSON: tuples as lists, keys as strings."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(options)))
    return plain


def format_value(value: Any) -> str:
    """Return the text of an option's value for a message: none, yes, no, or values separated by commas."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{key} {format_value(part)}" for key, part in value.items()) or "none"
    return (",".join(map(str, value)) if isinstance(value, list) else str(value)) or "none"


def folders_with(under: Path, *manifests: str) -> list[Path]:
    """Return the folders directly under a folder that have one of these manifests, by name.

    Hidden folders are left out: `.NAME.before` is an output that --overwrite is replacing at the moment.
    """
    found = {path.parent for name in manifests for path in under.glob(f"*/{name}")}
    return sorted(folder for folder in found if not folder.name.startswith("."))
