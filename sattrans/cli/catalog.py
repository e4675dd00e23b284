"""The commands sattrans datasets, sattrans models and sattrans plugins."""

from typing import Annotated

import typer

from sattrans.cli.console import guarded, show_table


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    panel = "What there is"
    datasets = typer.Typer(help="List datasets, or show one.", invoke_without_command=True)
    datasets.callback()(guarded(list_datasets))
    datasets.command("show")(guarded(show_dataset))
    app.add_typer(datasets, name="datasets", rich_help_panel=panel)
    models = typer.Typer(help="List models, or show one.", invoke_without_command=True)
    models.callback()(guarded(list_models))
    models.command("show")(guarded(show_model))
    app.add_typer(models, name="models", rich_help_panel=panel)
    app.command("plugins", rich_help_panel=panel)(guarded(plugins))


def list_datasets(context: typer.Context) -> None:
    """List the datasets that are installed."""
    if context.invoked_subcommand is None:
        from sattrans.plugins import manager

        found = manager().loadable("dataset")
        show_table(["dataset", "what", "home page"], [[d.name, d.title, d.homepage] for d in found])


def show_dataset(name: Annotated[str, typer.Argument(metavar="NAME", help="A dataset's name.")]) -> None:
    """Show a dataset: layout, classes, licence, home page."""
    from pathlib import Path

    from sattrans.errors import SattransError
    from sattrans.plugins import dataset_class

    dataset = dataset_class(name)
    rows = [
        ["what", dataset.title],
        ["layout", dataset.layout],
        ["licence", dataset.licence],
        ["home page", dataset.homepage],
    ]
    if dataset.published_size:
        rows.append(["published tile size", f"{dataset.published_size} px"])
    try:
        palette = dataset(Path()).palette
        classes = (
            "\n".join("{} {} #{:02x}{:02x}{:02x}".format(c.value, c.name, *c.color) for c in palette.classes)
            if palette
            else "none: its maps are pictures"
        )
    except SattransError:
        classes = "those of the folder"
    show_table(["", name], [*rows, ["classes", classes]])


def list_models(context: typer.Context) -> None:
    """List the models that are installed; * marks the default."""
    if context.invoked_subcommand is None:
        from sattrans.plugins import manager

        found = manager().loadable("model")
        show_table(
            ["model", "what", "paper"], [[m.name + (" *" if m.fallback else ""), m.title, m.paper] for m in found]
        )


def show_model(name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name.")]) -> None:
    """Show a model: its paper, its training defaults, its options for --set."""
    from dataclasses import asdict

    from sattrans.plugins import model_class

    model = model_class(name)
    given = {key: value for key, value in asdict(model.defaults).items() if value is not None}
    if "steps" in given:
        del given["epochs"]  # which steps replace
    defaults = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in given.items())
    sizes = ", ".join(map(str, model.sizes))
    show_table(
        ["", name], [["what", model.title], ["paper", model.paper], ["training", defaults], ["tile sizes", sizes]]
    )
    fields = model.Options.model_fields
    types = model.Options.model_json_schema()["properties"]
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


def plugins() -> None:
    """List every plugin: where it comes from, and why one failed to load."""
    from sattrans.plugins import manager

    rows = [[r.kind, r.name, r.origin, r.version, r.error or "loaded"] for r in manager().rows()]
    show_table(["kind", "name", "package", "version", "state"], rows)
