"""The options of a model: names and values become its options class."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sattrans.errors import OptionError, did_you_mean
from sattrans.model import Model, ModelOptions


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
