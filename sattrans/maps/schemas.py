"""Schemas of rule files and class maps.

Importing this module loads pydantic, which takes time: import it in the function that reads such a file.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, RootModel

from sattrans.utils.schemas import Name, Table


def _target(target: Any) -> str:
    if type(target) not in (int, str) or target == "":
        raise ValueError("must be a class of the run, by its value or name, as in 5 = 2")
    return str(target)


class ClassMapFile(RootModel[dict[Name, Annotated[str, BeforeValidator(_target)]]]):
    """A file of `--class-map`: the class of the run that each value or class of the map becomes."""

    model_config = ConfigDict(strict=True)


def _test(value: Any) -> frozenset[str] | None:
    if value is True:
        return None
    values = value if isinstance(value, list) else [value]
    if not values or not all(type(item) in (str, int, float) for item in values):
        raise ValueError("must be a text or number, a list of them, or true for any")
    return frozenset(f"{item:.15g}" if isinstance(item, float) else str(item) for item in values)


class RuleTable(Table):
    """A rule; see `sattrans.maps.rules.Rule`."""

    land_class: Name = Field(alias="class")
    layer: Name = "*"
    where: dict[Name, Annotated[frozenset[str] | None, BeforeValidator(_test)]] = Field(default_factory=dict)
    width: Annotated[float, Field(gt=0, le=100_000)] | None = None
    lacking: list[Name] = Field(default_factory=list)


class RulesFile(Table):
    """A rule file."""

    background: Name
    optional: bool = False
    rule: Annotated[list[RuleTable], Field(min_length=1, max_length=10_000)]
