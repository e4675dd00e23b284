"""The options of a model: names and values become its options class."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sattrans.errors import OptionError, did_you_mean
from sattrans.model import Model, ModelOptions
from sattrans.utils.records import describe


def resolve(model: type[Model], given: Mapping[str, Any]) -> ModelOptions:
    """Return a model's options with the given values. Raises `OptionError` for an unknown name or a wrong value."""
    known = model.Options.model_fields
    for name in given:
        if name not in known:
            raise OptionError(
                f"unknown option '{name}' of model '{model.name}'{did_you_mean(name, known)} "
                f"(sattrans models show {model.name} lists them)"
            )
    typed = {name: value for name, value in given.items() if not isinstance(value, str)}
    try:
        # Texts may come from the command line, so pydantic parses them. Other values come from a file and must have the
        # right type: `true` is not accepted as a number.
        model.Options.model_validate_json(json.dumps(typed), strict=True)
        return model.Options.model_validate(dict(given))
    except ValidationError as error:
        raise OptionError(f"model '{model.name}': option {describe(error, first=1)}") from error
    except TypeError as error:
        raise OptionError(f"model '{model.name}': {error}; give numbers, texts, flags or lists of them") from error
