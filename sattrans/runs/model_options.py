"""A model's options: `--set name=value` over an options file over the model's defaults.

An options file is TOML: a line a model's option, and where it is a whole recipe a table `[train]` with `model` and what
every training shares (`epochs`, `batch_size`, …).
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sattrans.errors import OptionError, did_you_mean
from sattrans.model import Model, ModelOptions


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Split `name=value` texts; raise `OptionError` for one without `=`."""
    parsed = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise OptionError(f"--set {setting}: write name=value")
        parsed[name.strip()] = value.strip()
    return parsed


def read_options(path: Path, training: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read an options file: the model's options, and what its table `[train]` says, whose names are `training`.

    Raises `OptionError` for a file that is none, and for unknown names in the table.
    """
    own = _read(path)
    shared = own.pop("train", {})
    if not isinstance(shared, dict):
        raise OptionError(f"--options {path}: [train] is to be a table")
    for name in shared:
        if name not in training:
            known = ", ".join(training)
            raise OptionError(
                f"--options {path}: [train] has no '{name}'{did_you_mean(name, training)}; it has {known}"
            )
    return own, shared


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OptionError(f"--options {path}: no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(f"--options {path} is no TOML: {error}") from error


def resolve(model: type[Model], given: Mapping[str, Any]) -> ModelOptions:
    """Return the model's options with those given; raise `OptionError` naming what is wrong and what was meant."""
    known = model.Options.model_fields
    for name in given:
        if name not in known:
            raise OptionError(
                f"model '{model.name}' has no option '{name}'{did_you_mean(name, known)} "
                f"(sattrans models show {model.name} lists them)"
            )
    try:
        return model.Options.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise OptionError(f"option {name}={first['input']} of model '{model.name}': {first['msg']}") from error
