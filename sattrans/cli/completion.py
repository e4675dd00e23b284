"""What a shell completes: names of models, datasets, runs, tilesets and classes. Nothing heavy is imported for it."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from sattrans.runs.options import DEVICES
from sattrans.utils.folders import runs_folder, tiles_folder

Completion = Callable[[typer.Context, str], list[str]]


def _plugins(group: str) -> Completion:
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        from importlib.metadata import entry_points

        return sorted({point.name for point in entry_points(group=group) if point.name.startswith(incomplete)})

    return complete


def _folders(under: Callable[[], Path], manifest: str, full: bool) -> Completion:
    """Complete folders that hold a manifest: by their name, or by their path if an option takes a path."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        folders = sorted(path.parent for path in under().glob(f"*/{manifest}*"))
        shown = dict.fromkeys(str(folder) if full else folder.name for folder in folders)
        return [name for name in shown if name.startswith(incomplete)]

    return complete


def _classes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the classes of the run that is given, or of the newest, also behind `VALUE=`."""
    before, equals, begun = incomplete.rpartition("=")
    given = ctx.params.get("run")
    runs = [Path(given)] if given else [path.parent for path in runs_folder().glob("*/run.json")]
    manifests = []
    for run in runs:
        with suppress(OSError, ValueError):
            manifests.append(json.loads((run / "run.json").read_text(encoding="utf-8")))
    newest: Any = max(manifests, key=lambda manifest: str(manifest.get("created")), default={})
    names = [entry["name"] for entry in newest.get("palette") or ()]
    return [f"{before}{equals}{name}" for name in names if name.startswith(begun)]


def _devices(ctx: typer.Context, incomplete: str) -> list[str]:
    return [name for name in DEVICES if name.startswith(incomplete)]


COMPLETIONS: dict[str, Completion] = {
    "models": _plugins("sattrans.models"),
    "datasets": _plugins("sattrans.datasets"),
    "runs": _folders(runs_folder, "run.json", full=True),
    "run names": _folders(runs_folder, "run.json", full=False),
    "tilesets": _folders(tiles_folder, "tileset.json", full=True),
    "tileset names": _folders(tiles_folder, "tileset.json", full=False),
    "classes": _classes,
    "devices": _devices,
}
"""By what `Option.complete` says."""
