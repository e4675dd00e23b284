"""Rule files: which attribute of a vector map's features makes which class, in the order they are painted."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError, did_you_mean

BUILT_IN = {"osm": Path(__file__).with_name("osm.toml")}
"""Rule files that come along, by name."""

KEYS = ("class", "layer", "where", "width")
FILE_KEYS = ("background", "optional", "rule")

Test = frozenset[str] | None
"""Of an attribute: the texts that are meant, or None for any that is told."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Features of the layers that `layer` matches (`*` for any text), of which all tests hold, become `land_class`.

    Lines and points are drawn `width` metres wide; without it a line is a pixel wide, and a point nothing.
    """

    land_class: str
    layer: str
    where: Mapping[str, Test]
    width: float | None

    def layer_fits(self, name: str) -> bool:
        """Say whether a layer is meant, by its name in whichever case."""
        return fnmatchcase(name.lower(), self.layer.lower())

    def chosen(self, attributes: Mapping[str, NDArray[np.object_]], count: int) -> NDArray[np.bool_]:
        """Return which of `count` features, of these attributes, are meant."""
        chosen = np.ones(count, bool)
        for name, wanted in self.where.items():
            values = attributes[name].tolist()
            holds = (bool(value) if wanted is None else value in wanted for value in values)
            chosen &= np.fromiter(holds, bool, count)
        return chosen


@dataclass(frozen=True, slots=True)
class Rules:
    """A rule file: `rules` in the order they are painted, over the class `background`.

    Where they are `optional`, a rule whose layer or attribute a map lacks paints nothing. `name` says which file it
    is, `digest` what stands in it.
    """

    name: str
    digest: str
    background: str
    optional: bool
    rules: tuple[Rule, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that are named, the background's first."""
        return tuple(dict.fromkeys((self.background, *(rule.land_class for rule in self.rules))))


def read_rules(told: str | Path) -> Rules:
    """Read a rule file, or one that comes along, by its name. Raises `OptionError` for what is not right."""
    path = BUILT_IN.get(str(told), Path(told))
    where = f"--rules {told}"
    try:
        data = path.read_bytes()
        table = tomllib.loads(data.decode())
    except FileNotFoundError:
        known = ", ".join(BUILT_IN)
        raise OptionError(f"{where}: no such file, nor one of the rules that come along ({known})") from None
    except OSError as error:
        raise OptionError(f"{where} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{where} is no TOML: {error}") from error
    _check_keys(where, table, FILE_KEYS)
    background, optional, rules = table.get("background"), table.get("optional", False), table.get("rule")
    if not isinstance(background, str) or not isinstance(optional, bool):
        raise OptionError(f'{where}: background = "…" has to name a class, and optional be true or false')
    if not isinstance(rules, list) or not rules or not all(isinstance(rule, dict) for rule in rules):
        raise OptionError(f"{where} holds no rule: write [[rule]] tables")
    made = tuple(_rule(f"{where}, rule {number}", rule) for number, rule in enumerate(rules, 1))
    return Rules(str(told), sha256(data).hexdigest()[:16], background, optional, made)


def _rule(where: str, table: Mapping[str, Any]) -> Rule:
    _check_keys(where, table, KEYS)
    land_class, layer, width = table.get("class"), table.get("layer", "*"), table.get("width")
    if not isinstance(land_class, str) or not isinstance(layer, str):
        raise OptionError(f'{where}: class = "…" is needed, and layer is a name, in which * stands for any text')
    if width is not None and (type(width) not in (int, float) or not 0 < width < float("inf")):
        raise OptionError(f"{where}: width = {width} is no width in metres above 0")
    tests = table.get("where", {})
    if not isinstance(tests, dict):
        raise OptionError(f'{where}: where is a table of attributes, such as {{ landuse = "forest" }}')
    return Rule(land_class, layer, {name: _test(where, name, value) for name, value in tests.items()}, width)


def _test(where: str, name: str, told: Any) -> Test:
    if told is True:
        return None
    values = told if isinstance(told, list) else [told]
    if not values or not all(type(value) in (str, int, float) for value in values):
        raise OptionError(
            f"{where}: {name} = {told!r} is no test: write a text or number, a list of them, or true for any"
        )
    return frozenset(f"{value:.15g}" if isinstance(value, float) else str(value) for value in values)


def _check_keys(where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise OptionError(f"{where}: there is no '{key}'{did_you_mean(key, known)}")
