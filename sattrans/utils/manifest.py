"""Manifests: JSON files that describe what a file or folder is, the version of its format, and how it was made."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sattrans.errors import OptionError, OutputExists, SattransError
from sattrans.utils.atomic import part_of, write_json


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


def read_manifest(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a manifest. Raises `SattransError` if it is of another kind or version, or damaged."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SattransError(f"{path} cannot be read as a sattrans manifest: {error}") from error
    if not isinstance(body, dict) or body.get("format") != f"sattrans.{kind}":
        raise SattransError(f"{path} is not a sattrans {kind}")
    if body.get("version") != version:
        made_by = body.get("created_by", "another version of sattrans")
        raise SattransError(
            f"{path} has format version {body.get('version')}, but this sattrans reads version {version}; "
            f"it was made by {made_by}; make it again, or use that version"
        )
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
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def check_same_options(
    where: Path, made_with: Mapping[str, Any], options: Mapping[str, Any], wording: Mapping[str, str] | None = None
) -> None:
    """Raise `OutputExists` unless the output at `where` was made with the same options; the message names differences.

    If another command made it, the message says that instead. `wording` has phrases for options whose values mean
    nothing to a reader, such as "of other tiles" for a hash. A hash may depend on other options: if those differ, too,
    only those are named.
    """
    options = as_json(options)
    keys = {**made_with, **options}
    if 2 * len(made_with.keys() & options.keys()) < len(keys):  # versions of one command share most of their options
        raise OutputExists(
            f"{where} was made by another sattrans command; choose another output, or replace it with --overwrite"
        )
    differing = [key for key in keys if made_with.get(key) != options.get(key)]
    reasons = [wording[key] for key in differing if wording and key in wording]
    if reasons and len(reasons) == len(differing):
        raise OutputExists(
            f"{where} was made {' and '.join(reasons)}; choose another output, or replace it with --overwrite"
        )
    differing = [key for key in differing if not wording or key not in wording]
    if differing:
        changes = "; ".join(
            f"{key}: {format_value(made_with.get(key))} before, {format_value(options.get(key))} now"
            for key in differing
        )
        raise OutputExists(
            f"{where} was made with other options ({changes}); choose another output, or replace it with --overwrite"
        )


def check_writable_folder(path: Path) -> None:
    """Raise `OptionError` if `path` cannot be an output folder."""
    if path.is_symlink() and not path.exists():
        raise OptionError(f"{path} is a broken link; give a folder")
    if path.exists() and not path.is_dir():
        raise OptionError(f"{path} is a file; give a folder")


def check_free(folder: Path, manifest: str) -> None:
    """Raise `OutputExists` for a folder of other things: that holds files, but no such manifest, finished or begun."""
    ours = [folder / manifest, begun_of(folder / manifest)]
    if not folder.is_dir() or any(path.is_file() for path in ours):
        return
    if set(folder.iterdir()) - {part_of(path) for path in ours}:  # a kill may leave the first file's part
        raise OutputExists(f"{folder} holds other files; choose another output")
