"""Rule files: which class the features of a vector map become, by their attributes, in the order of drawing."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError, did_you_mean
from sattrans.utils.records import parse_toml, read_text

BUILT_IN = {"osm": Path(__file__).with_name("osm.toml")}
"""Built-in rule files, by name."""

KEYS = ("class", "layer", "where", "width", "lacking")
FILE_KEYS = ("background", "optional", "rule")

BACKGROUND = "background"
"""The class of pixels without a feature if the rules are the name of a class."""

CLASS_NAME = re.compile(r"\w[\w -]*")
"""The name of a class given as --rules; a name with a point or a slash is that of a file."""

AttributeTest = frozenset[str] | None
"""The texts that an attribute may have; None for any text."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that gives features a class.

    Attributes:
        land_class: The name of the class.
        layer: The layers of the features, with `*` for any text.
        where: The test of each attribute; a feature must pass all.
        width: Width in metres of lines and points. Without it, a line is a pixel wide and points are not drawn.
        lacking: Attributes that the layer must not have, so that its name is all that says what its features are.
    """

    land_class: str
    layer: str
    where: Mapping[str, AttributeTest]
    width: float | None
    lacking: frozenset[str] = frozenset()

    def matches_layer(self, name: str) -> bool:
        """Return whether the rule applies to a layer of this name, in small letters or capitals."""
        return fnmatchcase(name.lower(), self.layer.lower())

    def fits(self, name: str, fields: Collection[str]) -> bool:
        """Return whether the rule applies to a layer of this name with these attributes."""
        return self.matches_layer(name) and set(self.where) <= set(fields) and not self.lacking & set(fields)

    def matches(self, attributes: Mapping[str, NDArray[np.object_]], count: int) -> NDArray[np.bool_]:
        """Return which of `count` features, with these attributes, the rule selects."""
        selected = np.ones(count, bool)
        for name, texts in self.where.items():
            values = attributes[name].tolist()
            passes = (bool(value) if texts is None else value in texts for value in values)
            selected &= np.fromiter(passes, bool, count)
        return selected


@dataclass(frozen=True, slots=True)
class Rules:
    """A rule file.

    Attributes:
        name: Its path, or its name if it is built in.
        digest: A hash of its content.
        background: The class of pixels without a feature.
        optional: Whether a rule is ignored if the map lacks its layer or attribute.
        rules: The rules in the order of drawing.
        one_layer: Whether they are the name of a class, which all features of a map with one layer have.
    """

    name: str
    digest: str
    background: str
    optional: bool
    rules: tuple[Rule, ...]
    one_layer: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of all classes, the background's first."""
        return tuple(dict.fromkeys((self.background, *(rule.land_class for rule in self.rules))))


def read_rules(source: str | Path) -> Rules:
    """Read a rule file, given by its path or by the name of a built-in one; another name is that of a class.

    Raises `OptionError`.
    """
    path = BUILT_IN.get(str(source), Path(source))
    where = f"--rules {source}"
    try:
        text = read_text(path)
        table = parse_toml(text)
    except FileNotFoundError:
        near = get_close_matches(str(source), BUILT_IN)
        if CLASS_NAME.fullmatch(str(source)) and not near:
            return Rules(str(source), str(source), BACKGROUND, False, (Rule(str(source), "*", {}, None),), True)
        raise OptionError(f"{where}: no such file, nor built-in rules ({', '.join(BUILT_IN)})") from None
    except OSError as error:
        raise OptionError(f"cannot read {where}: {error.strerror}") from error
    except ValueError as error:
        raise OptionError(f"{where} is not valid TOML: {error}") from error
    _check_keys(where, table, FILE_KEYS)
    background, optional, rules = table.get("background"), table.get("optional", False), table.get("rule")
    if not isinstance(background, str) or not isinstance(optional, bool):
        raise OptionError(f'{where}: background = "…" must name a class, and optional must be true or false')
    if not isinstance(rules, list) or not rules or not all(isinstance(rule, dict) for rule in rules):
        raise OptionError(f"{where} contains no rule; write [[rule]] tables")
    parsed = tuple(_rule(f"{where}, rule {number}", rule) for number, rule in enumerate(rules, 1))
    return Rules(str(source), sha256(text.encode()).hexdigest()[:16], background, optional, parsed)


def _rule(where: str, table: Mapping[str, Any]) -> Rule:
    _check_keys(where, table, KEYS)
    land_class, layer, width = table.get("class"), table.get("layer", "*"), table.get("width")
    if not isinstance(land_class, str) or not isinstance(layer, str):
        raise OptionError(f'{where}: class = "…" is missing, or layer is not a name, in which * stands for any text')
    if width is not None and (type(width) not in (int, float) or not 0 < width < float("inf")):
        raise OptionError(f"{where}: width must be in metres above 0, got {width}")
    tests = table.get("where", {})
    if not isinstance(tests, dict):
        raise OptionError(f'{where}: where must be a table of attributes, such as {{ landuse = "forest" }}')
    lacking = table.get("lacking", [])
    if not isinstance(lacking, list) or not all(isinstance(name, str) for name in lacking):
        raise OptionError(f'{where}: lacking must be a list of attributes, such as ["fclass"]')
    parsed = {name: _test(where, name, value) for name, value in tests.items()}
    return Rule(land_class, layer, parsed, width, frozenset(lacking))


def _test(where: str, name: str, value: Any) -> AttributeTest:
    if value is True:
        return None
    values = value if isinstance(value, list) else [value]
    if not values or not all(type(item) in (str, int, float) for item in values):
        raise OptionError(
            f"{where}: {name} = {value!r} is not a test; write a text or number, a list of them, or true for any"
        )
    return frozenset(f"{item:.15g}" if isinstance(item, float) else str(item) for item in values)


def _check_keys(where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise OptionError(f"{where}: unknown key '{key}'{did_you_mean(key, known)}")
