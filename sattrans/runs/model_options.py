"""A model's options: `--set name=value` takes precedence over an options file, and that over the model's defaults.

An options file is TOML, one line per option of the model. A recipe also has a table `[train]` with `model` and the
options of training (`epochs`, `batch_size`, …).
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sattrans.errors import OptionError, did_you_mean
from sattrans.model import Model, ModelOptions


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Split texts of the form `name=value`. Raises `OptionError` for one without `=`."""
    parsed = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise OptionError(f"--set {setting}: write name=value")
        parsed[name.strip()] = value.strip()
    return parsed


def read_options(path: Path, training: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the options of the model and the options in the table `[train]`, whose known names are `training`.

    Raises `OptionError` if the file cannot be read, or for unknown names in the table.
    """
    of_model = _read(path)
    of_training = of_model.pop("train", {})
    if not isinstance(of_training, dict):
        raise OptionError(f"--options {path}: [train] must be a table")
    for name in of_training:
        if name not in training:
            suggestion = did_you_mean(name, training)
            raise OptionError(
                f"--options {path}: unknown option '{name}' in [train]{suggestion} (known: {', '.join(training)})"
            )
    return of_model, of_training


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OptionError(f"--options {path}: no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(f"--options {path} is not valid TOML: {error}") from error


def resolve(model: type[Model], given: Mapping[str, Any]) -> ModelOptions:
    """Return a model's options with the given values. Raises `OptionError` for an unknown name or a wrong value."""
    known = model.Options.model_fields
    for name in given:
        if name not in known:
            raise OptionError(
                f"unknown option '{name}' of model '{model.name}'{did_you_mean(name, known)} "
                f"(sattrans models show {model.name} lists them)"
            )
    try:
        return model.Options.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise OptionError(f"option {name}={first['input']} of model '{model.name}': {first['msg']}") from error
