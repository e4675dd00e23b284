"""Run: a folder that training leaves - manifest, checkpoints, metrics, samples."""

import json
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from sattrans.data.tileset import MANIFEST as TILESET
from sattrans.data.tileset import Tileset
from sattrans.errors import NothingToUse, OutputExists, SattransError, TrainingError, UsageError
from sattrans.model import Model, ModelOptions, TileSpec
from sattrans.plugins import model_class
from sattrans.raster.palette import Palette
from sattrans.runs.model_options import resolve
from sattrans.runs.schemas import MetricsLine, RunManifest
from sattrans.runs.tensors import read_tensors
from sattrans.utils.atomic import write_bytes
from sattrans.utils.console import log
from sattrans.utils.folder_output import FolderOutput
from sattrans.utils.folders import runs_folder
from sattrans.utils.manifest import begun_of, folders_with, read_manifest, write_manifest
from sattrans.utils.output import Found
from sattrans.utils.records import parse_json, read_lines

VERSION = 1
MANIFEST = "run.json"
METRICS = "metrics.jsonl"
RIGHTS = ("licence", "attribution")
"""What run.json takes from the tileset about the rights in its images."""


class RunOutput(FolderOutput):
    """The folder of a run that is being trained. Only --overwrite replaces a run."""

    manifest = MANIFEST
    kind = "run"
    version = VERSION
    sets_aside = True

    def _options_in(self, manifest: Path) -> Mapping[str, Any] | None:
        return {} if manifest.is_file() else None

    def compare(self, recorded: Mapping[str, Any]) -> SattransError:
        """See `Output`: whatever its options, a run is in the way of a new one."""
        return OutputExists(
            f"{self.path} is a run already; choose another output, resume the run with --resume {self.path}, or "
            "replace it with --overwrite"
        )

    def find_unfinished(self) -> Found:
        """See `Output`."""
        return Found("absent") if self.read_unfinished() is None else Found("other options", self.compare({}))

    def abandon(self, error: BaseException) -> None:
        """Keep what has trained; otherwise nothing is lost, and --resume last must not find the run."""
        if not Run(self.path, {}).has_trained():
            self.discard(self.path)
            if self.aside.exists():
                self.aside.rename(self.path)


@dataclass(frozen=True)
class Run:
    """A run, finished or not. Open one with `Run.open` or `Run.newest`, begin one with `Run.begin`."""

    folder: Path
    manifest: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Run {str(self.folder)!r}: {self.model_name}{'' if self.finished else ', unfinished'}>"

    @classmethod
    def begin(cls, folder: Path, body: Mapping[str, Any]) -> "Run":
        """Make a run's folder; its manifest is named `run.json.begun` until `finish`."""
        folder.mkdir(parents=True, exist_ok=True)
        versions = {name: version(name) for name in ("torch", "numpy", "rasterio")} | {
            "python": platform.python_version()
        }
        write_manifest(begun_of(folder / MANIFEST), "run", VERSION, {**body, "versions": versions})
        return cls.open(folder)

    def finish(self, summary: Mapping[str, Any]) -> "Run":
        """Write the finished manifest, and return the run as it then is."""
        body = {key: value for key, value in self.manifest.items() if key not in ("format", "version", "created_by")}
        write_manifest(self.folder / MANIFEST, "run", VERSION, {**body, "summary": dict(summary)})
        begun_of(self.folder / MANIFEST).unlink(missing_ok=True)
        return Run.open(self.folder)

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Open a run, finished or not, by its folder or by its name under `runs_folder()`.

        Raises `UsageError` if it is not a run.
        """
        if not folder.exists() and folder == Path(folder.name) and (runs_folder() / folder).is_dir():
            folder = runs_folder() / folder
        path = folder / MANIFEST
        if path.is_file():
            return cls(folder, read_manifest(path, "run", VERSION, lambda: RunManifest))
        if begun_of(path).is_file():
            return cls(folder, read_manifest(begun_of(path), "run", VERSION, lambda: RunManifest))
        raise UsageError(f"{folder} is not a run; sattrans runs list shows the runs in runs/, sattrans train makes one")

    @classmethod
    def all(cls, under: Path | None = None) -> list["Run"]:
        """Return the runs under a folder (by default `runs_folder()`), oldest first.

        A damaged one is named and left out.
        """
        under = under or runs_folder()
        runs = []
        for folder in folders_with(under, MANIFEST, begun_of(Path(MANIFEST)).name):
            try:
                runs.append(cls.open(folder))
            except SattransError as error:
                log.warning("%s", error)
        return sorted(runs, key=lambda run: str(run.manifest["created"]))

    @classmethod
    def newest(
        cls,
        under: Path | None = None,
        finished: bool = True,
        by: str = "with --run",
        usable: Callable[["Run"], bool] = lambda _: True,
    ) -> "Run":
        """Open the newest run, of the finished or of the unfinished ones, that is `usable`.

        Raises `NothingToUse` if there is none; the message says `by` which option another run can be chosen.
        """
        under = under or runs_folder()
        begun = cls.all(under)
        runs = [run for run in begun if run.finished == finished]
        newest = next((run for run in reversed(runs) if usable(run)), runs[-1] if runs else None)
        if newest:
            return newest
        if not finished:
            raise NothingToUse(f"no unfinished run in {under}/ to resume; sattrans train starts one")
        if begun:
            last = begun[-1].folder
            raise NothingToUse(
                f"no run in {under}/ is finished, and {last} is not either: finish it with sattrans train --resume "
                f"{last}, or name another one {by}"
            )
        raise NothingToUse(f"no run in {under}/; make one with sattrans train, or name one {by}")

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def finished(self) -> bool:
        """Whether training has finished."""
        return "summary" in self.manifest

    @property
    def model_name(self) -> str:
        """The model trained."""
        return str(self.manifest["model"])

    @cached_property
    def palette(self) -> Palette | None:
        """The classes it was trained on; None if its maps are pictures."""
        classes = self.manifest["palette"]
        return Palette.from_json(classes) if classes is not None else None

    @property
    def spec(self) -> TileSpec:
        """What its networks were built for."""
        recorded = self.manifest["spec"]
        shares = tuple(tuple(scene) for scene in recorded.get("shares", ()))
        return TileSpec(**{**recorded, "scenes": tuple(recorded.get("scenes", ())), "shares": shares})

    @property
    def unseen_classes(self) -> tuple[str, ...]:
        """The classes that no training tile holds; they are kept, so that maps with them can be read."""
        names = self.palette.names if self.palette else ()
        seen = [any(shares) for shares in zip(*self.spec.shares, strict=True)] or [True] * len(names)
        return tuple(name for name, is_seen in zip(names, seen, strict=True) if not is_seen)

    @property
    def ground_resolution(self) -> tuple[float, float] | None:
        """The shortest and the longest side of a pixel it was trained on, in metres; None if unknown."""
        recorded = self.manifest.get("ground_resolution")
        return (float(recorded[0]), float(recorded[1])) if recorded else None

    @property
    def rights(self) -> dict[str, str]:
        """The `licence` and the `attribution` of the training images, as far as they are known."""
        return {name: str(self.manifest[name]) for name in RIGHTS if self.manifest.get(name)}

    @property
    def model_options(self) -> ModelOptions:
        """The model's options. Raises `PluginError` if its plugin is not installed."""
        return resolve(model_class(self.model_name), self.manifest["options"])

    @property
    def kind(self) -> type[Model]:
        """The model's class with the run's options. Raises `PluginError` if its plugin is not installed."""
        return model_class(self.model_name).configured(self.model_options)

    def build_model(self) -> Model:
        """Return the model with fresh weights. Raises `PluginError` if its plugin is not installed."""
        return self.kind(self.spec, self.model_options)

    def checkpoint(self, which: str) -> Path:
        """Return the path of the checkpoint `last` or `best`."""
        return self.folder / "checkpoints" / f"{which}.safetensors"

    def check_present(self) -> None:
        """Raise `TrainingError` if the folder of the unfinished run is gone, instead of making it again in part."""
        if not (begun_of(self.folder / MANIFEST).is_file() or (self.folder / MANIFEST).is_file()):
            raise TrainingError(f"{self.folder} was deleted or moved while it was trained; train again")

    def has_trained(self) -> bool:
        """Return whether the folder contains anything but the manifest written at the start."""
        return any(path != begun_of(self.folder / MANIFEST) for path in self.folder.glob("*"))

    def at(self, data: Path | None) -> "Run":
        """Return the run with the folder in which its tileset lies now: `data`, the recorded one, or one found.

        Raises `UsageError` if that is not the tileset of the training.
        """
        folder = self.tileset(data).folder.resolve()
        return Run(self.folder, {**self.manifest, "data": {**self.manifest["data"], "folder": str(folder)}})

    def _moved_tileset(self) -> Path | None:
        """Return where the tileset lies after a project was moved: at the end of its recorded path, elsewhere."""
        parts = Path(self.manifest["data"]["folder"]).parts[1:]
        for base in (Path.cwd(), *self.folder.resolve().parents):
            for start in range(len(parts)):
                folder = base.joinpath(*parts[start:])
                with suppress(SattransError, OSError):
                    if (folder / TILESET).is_file() and Tileset.open(folder).hash == self.manifest["data"]["hash"]:
                        log.info("the tileset was moved to %s", folder)
                        return folder
        return None

    def tileset(self, moved: Path | None = None) -> Tileset:
        """Return the tileset it was trained on, which may have `moved`.

        Raises `UsageError` if it does not exist, or is not the tileset of the training.
        """
        recorded = self.manifest["data"]
        folder = moved or Path(recorded["folder"])
        if not folder.exists() and not moved:
            folder = self._moved_tileset() or folder
        if not folder.exists() and not moved:
            raise UsageError(
                f"{folder}, the tileset that {self.folder} was trained on, does not exist; give its folder with --data"
            )
        tileset = Tileset.open(folder)
        if tileset.hash != recorded["hash"]:
            raise UsageError(
                f"{tileset.folder} is not the tileset that {self.folder} was trained on"
                + ("" if moved else ", because it was made again since; if you have the old one, name it with --data")
            )
        return tileset

    def metrics(self) -> list[dict[str, Any]]:
        """Return the contents of `metrics.jsonl`: one dict per epoch."""
        path = self.folder / METRICS
        if not path.is_file():
            return []
        try:
            return read_lines(path, MetricsLine)
        except OSError as error:
            raise SattransError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise SattransError(f"{path} is damaged: {error}; remove that line") from error


def remove_run(run: Run) -> None:
    """Remove a run's folder. Raises `LockedError` if the run is being trained."""
    output = RunOutput(run.folder, {})
    with output.locked():
        output.discard(run.folder)


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors, and `state` as JSON in the file's own metadata: one file, so never half of the two."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(on_cpu, {"state": json.dumps(dict(state))}))


def load_checkpoint(path: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_checkpoint` wrote. Raises `SattransError` if it is missing or damaged."""
    if not path.is_file():
        raise SattransError(
            f"{path} does not exist, because the run was stopped before its first checkpoint; train again"
        )
    try:
        tensors, metadata = read_tensors(path, device)
        state = parse_json(metadata.get("state", ""), nan=True)
        if not isinstance(state, dict):
            raise ValueError("it has no state")
    except (ValueError, OSError) as error:
        raise SattransError(f"{path} is damaged ({error}): resume from another checkpoint, or train again") from error
    return tensors, state


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names start with `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}
