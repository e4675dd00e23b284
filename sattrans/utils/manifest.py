"""Manifests: JSON files that say what a file or folder is, which version of the format, and how it was made."""

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
    """Whether a folder holds the manifest of an unfinished folder, and not the finished one beside it."""
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
            f"{path} has format version {body.get('version')}, and this sattrans reads version {version}; "
            f"it was made by {made_by}: make it again, or use that version"
        )
    return body


def as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as JSON gives them back: tuples as lists, keys as strings."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(options)))
    return plain


def format_value(value: Any) -> str:
    """Return an option's value for a message: none, yes, no, numbers and names with commas between."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{key} {format_value(part)}" for key, part in value.items()) or "none"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


_said = format_value


def check_same_options(
    where: Path, made_with: Mapping[str, Any], asked: Mapping[str, Any], words: Mapping[str, str] | None = None
) -> None:
    """Raise `OutputExists`, naming what differs, unless what stands at `where` was made with the same options.

    Of what another command made, that is said instead. `words` are for options whose values tell a reader nothing,
    such as hashes: "of other tiles", where they differ. A hash may follow from other options: where those differ, too,
    they alone are said.
    """
    asked = as_json(asked)
    keys = {**made_with, **asked}
    if 2 * len(made_with.keys() & asked.keys()) < len(keys):  # versions of one command share most of their options
        raise OutputExists(
            f"{where} was made by another sattrans command; choose another output, or replace it with --overwrite"
        )
    differing = [key for key in keys if made_with.get(key) != asked.get(key)]
    in_words = [words[key] for key in differing if words and key in words]
    if in_words and len(in_words) == len(differing):
        raise OutputExists(
            f"{where} was made {' and '.join(in_words)}; choose another output, or replace it with --overwrite"
        )
    differing = [key for key in differing if not words or key not in words]
    if differing:
        told = "; ".join(f"{key}: {_said(made_with.get(key))} before, {_said(asked.get(key))} now" for key in differing)
        raise OutputExists(
            f"{where} was made with other options ({told}); choose another output, or replace it with --overwrite"
        )


def check_writable_folder(path: Path) -> None:
    """Raise `OptionError` where `path` cannot become a folder of ours."""
    if path.is_symlink() and not path.exists():
        raise OptionError(f"{path} is a link that leads nowhere: give a folder")
    if path.exists() and not path.is_dir():
        raise OptionError(f"{path} is a file: give a folder")


def check_free(folder: Path, manifest: str) -> None:
    """Raise `OutputExists` for a folder of other things: that holds files, but no such manifest, finished or begun."""
    ours = [folder / manifest, begun_of(folder / manifest)]
    if not folder.is_dir() or any(path.is_file() for path in ours):
        return
    if set(folder.iterdir()) - {part_of(path) for path in ours}:  # a kill may leave the first file's part
        raise OutputExists(f"{folder} holds other files; choose another output")
