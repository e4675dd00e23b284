"""The commands sattrans datasets, sattrans models and sattrans plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sattrans.cli.completion import COMPLETIONS
from sattrans.cli.console import present, show_table
from sattrans.cli.guard import group

if TYPE_CHECKING:
    from sattrans.cli.documents import DatasetEntry, ModelEntry, PluginEntry
    from sattrans.data.dataset import Dataset
    from sattrans.model import Model
    from sattrans.plugins import PluginRow

ModelName = Annotated[str, typer.Argument(metavar="NAME", autocompletion=COMPLETIONS["models"], help="A model's name.")]
DatasetName = Annotated[
    str, typer.Argument(metavar="NAME", autocompletion=COMPLETIONS["datasets"], help="A dataset's name.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for name, listing, showing in (
        ("datasets", list_datasets, show_dataset),
        ("models", list_models, show_model),
        ("plugins", list_plugins, show_plugin),
    ):
        app.add_typer(
            group(f"List {name}, or show one.", listing, show=showing), name=name, rich_help_panel="What there is"
        )


def list_datasets() -> None:
    """List the datasets that are installed."""
    from sattrans.cli.documents import DatasetsDocument
    from sattrans.plugins import manager

    found = list(manager().loadable("dataset"))
    present(
        lambda: DatasetsDocument(datasets=[_dataset(d) for d in found]),
        lambda: show_table(["dataset", "what", "home page"], [[d.name, d.title, d.homepage] for d in found]),
        asked=True,
    )


def _dataset(dataset: type[Dataset]) -> DatasetEntry:
    from pathlib import Path

    from sattrans.cli.documents import DatasetEntry
    from sattrans.errors import SattransError

    classes = None
    try:
        palette = dataset(Path()).palette
        classes = (
            {f"{c.value} {c.name}": "#{:02x}{:02x}{:02x}".format(*c.color) for c in palette.classes} if palette else {}
        )
    except SattransError:  # the folder says them
        pass
    return DatasetEntry(
        name=dataset.name,
        title=dataset.title,
        layout=dataset.layout,
        licence=dataset.licence,
        homepage=dataset.homepage,
        published_size=dataset.published_size,
        classes=classes,
    )


def show_dataset(name: DatasetName) -> None:
    """Show a dataset: layout, classes, licence, home page."""
    from sattrans.cli.documents import DatasetsDocument
    from sattrans.plugins import dataset_class

    entry = _dataset(dataset_class(name))
    present(lambda: DatasetsDocument(datasets=[entry]), lambda: _show_dataset(entry), asked=True)


def _show_dataset(entry: DatasetEntry) -> None:
    rows = [
        ["what", entry.title],
        ["layout", entry.layout],
        ["licence", entry.licence],
        ["home page", entry.homepage],
    ]
    if entry.published_size:
        rows.append(["published tile size", f"{entry.published_size} px"])
    if entry.classes is None:
        classes = "those of the folder"
    else:
        classes = "\n".join(map(" ".join, entry.classes.items())) or "none: its maps are pictures"
    show_table(["", entry.name], [*rows, ["classes", classes]])


def list_models() -> None:
    """List the models that are installed; * marks the default."""
    from sattrans.cli.documents import ModelsDocument
    from sattrans.plugins import manager

    found = list(manager().loadable("model"))
    rows = [[m.name + (" *" if m.fallback else ""), m.title, m.paper] for m in found]
    present(
        lambda: ModelsDocument(models=[_model(m) for m in found]),
        lambda: show_table(["model", "what", "paper"], rows),
        asked=True,
    )


def _model(model: type[Model]) -> ModelEntry:
    from dataclasses import asdict

    from sattrans.cli.documents import ModelEntry

    return ModelEntry(
        name=model.name,
        title=model.title,
        paper=model.paper,
        default=model.fallback,
        sizes=list(model.sizes),
        training=asdict(model.defaults),
        options=model.Options.model_json_schema(),
    )


def show_model(name: ModelName) -> None:
    """Show a model: its paper, its training defaults, its options for --set."""
    from sattrans.cli.documents import ModelsDocument
    from sattrans.plugins import model_class

    model = model_class(name)
    present(lambda: ModelsDocument(models=[_model(model)]), lambda: _show_model(model), asked=True)


def _show_model(model: type[Model]) -> None:
    from dataclasses import asdict

    given = {key: value for key, value in asdict(model.defaults).items() if value is not None}
    if "steps" in given:
        del given["epochs"]  # which steps replace
    defaults = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in given.items())
    sizes = ", ".join(map(str, model.sizes))
    show_table(
        ["", model.name], [["what", model.title], ["paper", model.paper], ["training", defaults], ["tile sizes", sizes]]
    )
    fields = model.Options.model_fields
    types: dict[str, Any] = model.Options.model_json_schema()["properties"]
    show_table(
        ["option", "type", "default", "what"],
        [[key, _type(types[key]), str(field.default), field.description or ""] for key, field in fields.items()],
    )


def _type(schema: dict[str, object]) -> str:
    if "enum" in schema:
        values = schema["enum"]
        assert isinstance(values, list)
        return " | ".join(map(str, values))
    if "anyOf" in schema:
        parts = schema["anyOf"]
        assert isinstance(parts, list)
        return " | ".join(_type(part) for part in parts)
    return str(schema.get("type", schema.get("const", "")))


def list_plugins() -> None:
    """List every plugin: where it comes from, and why one failed to load."""
    from sattrans.plugins import manager

    _present_plugins(list(manager().rows()))


def show_plugin(name: Annotated[str, typer.Argument(metavar="NAME", help="A plugin's name.")]) -> None:
    """Show the plugins of a name: where they come from, and why one failed to load."""
    from sattrans.errors import PluginError, did_you_mean
    from sattrans.plugins import manager

    rows = list(manager().rows())
    found = [row for row in rows if row.name == name]
    if not found:
        raise PluginError(f"unknown plugin '{name}'{did_you_mean(name, [row.name for row in rows])}")
    _present_plugins(found)


def _present_plugins(rows: list[PluginRow]) -> None:
    from sattrans.cli.documents import PluginsDocument

    table = [[r.kind, r.name, r.origin, r.version, r.error or "loaded"] for r in rows]
    present(
        lambda: PluginsDocument(plugins=[_plugin(row) for row in rows]),
        lambda: show_table(["kind", "name", "package", "version", "state"], table),
        asked=True,
    )


def _plugin(row: PluginRow) -> PluginEntry:
    from sattrans.cli.documents import PluginEntry

    return PluginEntry(kind=row.kind, name=row.name, package=row.origin, package_version=row.version, error=row.error)
