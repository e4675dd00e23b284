"""Schemas that records of several kinds share. This module loads pydantic, so import it where a record is read."""

import os
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sattrans.errors import did_you_mean
from sattrans.utils.records import MAX_WHOLE, UNKNOWN_KEY, shown

Text = Annotated[str, StringConstraints(max_length=4096)]
LongText = Annotated[str, StringConstraints(max_length=1 << 16)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=MAX_WHOLE)]
Side = Annotated[int, Field(ge=1, lt=1 << 31)]
Share = Annotated[float, Field(ge=0, le=1.000001)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Options = Annotated[dict[Name, JsonValue], Field(max_length=1000)]


def _time(text: str) -> str:
    try:
        complete = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        complete = False
    if not complete:
        raise ValueError("must be a time such as 2025-01-31T12:00:00+00:00")
    return text


Time = Annotated[str, StringConstraints(max_length=64), AfterValidator(_time)]
_BACKSLASH = "\\\\" if os.name == "nt" else ""  # a letter of names on Linux and macOS
FileInside = Annotated[
    str,
    StringConstraints(
        max_length=1024,
        pattern=rf"^[^/.:\x00{_BACKSLASH}][^/:\x00{_BACKSLASH}]*(/\.?[^/.\x00{_BACKSLASH}][^/\x00{_BACKSLASH}]*)*$",
    ),
]
"""The path of a file in the record's folder, which it cannot leave."""

Transform = Annotated[list[FiniteFloat], Field(min_length=6, max_length=6)]


class Schema(BaseModel):
    """A schema that takes each value as its own type, and ignores fields that it does not know."""

    model_config = ConfigDict(strict=True)


class Table(Schema):
    """A table of a file that people write, in which a key that is unknown is a mistake."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, table: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in table if isinstance(table, dict) else ():
            if key not in known:
                raise PydanticCustomError(
                    UNKNOWN_KEY, "has the unknown key {told}", {"told": f"{shown(key)}{did_you_mean(key, known)}"}
                )
        return table


class Manifest(Schema):
    """What each manifest opens with."""

    format: Name
    version: int
    created_by: Text = ""


class ManifestWithOptions(Manifest):
    """A manifest that records options."""

    options: Options
