"""The plugin manager: finds datasets and models by their entry points, and loads each when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal

import pluggy

from sattrans.errors import DatasetNotFound, PluginError, did_you_mean
from sattrans.plugins import hookspecs

if TYPE_CHECKING:
    from sattrans.data.dataset import Dataset
    from sattrans.model import Model

Kind = Literal["dataset", "model"]
GROUPS: dict[Kind, str] = {"dataset": "sattrans.datasets", "model": "sattrans.models"}
BASES: dict[Kind, str] = {"dataset": "sattrans.data.dataset.Dataset", "model": "sattrans.model.Model"}
PUBLIC_BASES: dict[Kind, str] = {"dataset": "sattrans.Dataset", "model": "sattrans.model.Model"}
HOOKS: dict[Kind, str] = {"dataset": "register_datasets", "model": "register_models"}

MAX_REASON = 300
"""Characters of a plugin's error that its row shows, on one line."""


@dataclass(frozen=True)
class PluginRow:
    """A row of `sattrans plugins`; `error` is empty if the plugin loaded."""

    kind: Kind
    name: str
    origin: str
    version: str
    error: str


class PluginManager:
    """Loads plugins one by one, so that a plugin that fails does not affect the others."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[Kind, str], type[Any]] = {}
        self._failed: dict[tuple[Kind, str], str] = {}

    def names(self, kind: Kind) -> list[str]:
        """Return the registered names, sorted; imports nothing."""
        return sorted({point.name for point in entry_points(group=GROUPS[kind])})

    def _points(self, kind: Kind, name: str) -> list[EntryPoint]:
        # One distribution found twice on the path (an editable install run from its own root) is one plugin.
        points = entry_points(group=GROUPS[kind], name=name)
        return list({(point.value, point.dist.name if point.dist else ""): point for point in points}.values())

    def get(self, kind: Kind, name: str) -> type[Any]:
        """Return the class registered as `name`; raise `PluginError` if there is none or it does not load."""
        key = (kind, name)
        if key not in self._loaded and key not in self._failed:
            try:
                self._loaded[key] = self._load(kind, name)
            except PluginError as error:
                self._failed[key] = str(error)
        if key in self._failed:
            raise PluginError(self._failed[key])
        return self._loaded[key]

    def _load(self, kind: Kind, name: str) -> type[Any]:
        points = self._points(kind, name)
        if not points:
            raise PluginError(f"unknown {kind} '{name}'{did_you_mean(name, self.names(kind))}")
        if len(points) > 1:
            both = " and ".join(f"{_origin(point)} ({point.value})" for point in points)
            raise PluginError(f"{kind} '{name}' is provided by {both}; uninstall one of them")
        found: list[type[Any]] = []
        try:
            # Each plugin has a manager of its own, because pluggy's call stops at the first hook that raises, and
            # check_pending() would reject every plugin for a misspelt hook of one.
            manager = pluggy.PluginManager("sattrans")
            manager.add_hookspecs(hookspecs)
            manager.register(points[0].load(), name=name)
            manager.check_pending()
            getattr(manager.hook, HOOKS[kind])(register=found.append)
        except (Exception, SystemExit) as error:
            reason = shorten(f"{type(error).__name__}: {error}", MAX_REASON, placeholder=" …")
            raise PluginError(f"{kind} '{name}' ({_origin(points[0])}) failed to load: {reason}") from error
        for candidate in found:
            if getattr(candidate, "name", None) == name:
                if defect := _defect(kind, candidate):
                    raise PluginError(f"{kind} '{name}' ({_origin(points[0])}) {defect}")
                return candidate
        registered = ", ".join(str(getattr(item, "name", item)) for item in found) or "nothing"
        raise PluginError(
            f"{kind} '{name}' ({_origin(points[0])}) registers {registered}; the entry point and the "
            f"class's `name` must be equal"
        )

    def loadable(self, kind: Kind) -> Iterator[type[Any]]:
        """Yield every class of a kind that loads, by name."""
        for name in self.names(kind):
            try:
                yield self.get(kind, name)
            except PluginError:
                continue

    def row(self, kind: Kind, name: str) -> PluginRow:
        """Return the row of one plugin, broken or not. Raises `PluginError` if there is none of that name."""
        points = self._points(kind, name)
        error = ""
        try:
            self.get(kind, name)
        except PluginError as failure:
            if not points:
                raise
            error = str(failure)
        version = points[0].dist.version if points[0].dist else ""
        return PluginRow(kind, name, _origin(points[0]), version, error)

    def rows(self) -> Iterator[PluginRow]:
        """Yield a row for each plugin, broken ones included."""
        for kind in GROUPS:
            for name in self.names(kind):
                yield self.row(kind, name)


def _defect(kind: Kind, candidate: Any) -> str:
    """Return why a class that a plugin registers cannot be used; empty if it can."""
    # Compared by name, because importing the base class of models would load torch even for commands on datasets.
    bases = {f"{base.__module__}.{base.__name__}" for base in getattr(candidate, "__mro__", ())}
    if BASES[kind] not in bases:
        return f"registers {candidate!r}, which is not a subclass of {PUBLIC_BASES[kind]}"
    missing = sorted(getattr(candidate, "__abstractmethods__", ()))
    return f"does not define {', '.join(missing)}" if missing else ""


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


@cache
def manager() -> PluginManager:
    """Return the plugin manager of this process."""
    return PluginManager()


def dataset_class(name: str) -> type[Dataset]:
    """Return a dataset class by name, or raise `PluginError`."""
    return manager().get("dataset", name)


def model_class(name: str) -> type[Model]:
    """Return a model class by name, or raise `PluginError`."""
    return manager().get("model", name)


def default_model() -> str:
    """Return the name of the default model, the one with `fallback = True`."""
    fallbacks = [model.name for model in manager().loadable("model") if model.fallback]
    if len(fallbacks) != 1:
        raise PluginError(f"there is no default model; choose one with --model: {', '.join(manager().names('model'))}")
    return str(fallbacks[0])


def open_dataset(root: Path, name: str | None = None, described: bool = False) -> Dataset:
    """Return the dataset in a folder: the one named, or the one that recognises it, or a fallback.

    With `described`, the user says which files it has, and a fallback is taken without looking at them.

    Raises `DatasetNotFound` if the folder does not exist, if no dataset recognises it (with the files that each
    expects), or if several do.
    """
    if not root.is_dir():
        problem = "is a file; give the dataset's folder" if root.exists() else "no such folder"
        raise DatasetNotFound(f"{root}: {problem}")
    if name is not None:
        return dataset_class(name)(root)
    if described:
        name = next((dataset.name for dataset in manager().loadable("dataset") if dataset.fallback), "folder")
        return dataset_class(name)(root)
    recognising: list[type[Dataset]] = [
        dataset for dataset in manager().loadable("dataset") if _safely(dataset.recognises, root)
    ]
    chosen = [dataset for dataset in recognising if not dataset.fallback] or recognising
    if not chosen:
        from sattrans.data.not_recognised import not_recognised

        raise not_recognised(root, list(manager().loadable("dataset")))
    if len(chosen) > 1:
        names = ", ".join(dataset.name for dataset in chosen)
        raise DatasetNotFound(f"{root} looks like each of {names}: choose one with --dataset")
    return chosen[0](root)


def _safely(recognises: Callable[[Path], bool], root: Path) -> bool:
    try:
        return bool(recognises(root))
    except Exception:  # a broken plugin must not stop the others
        return False
