"""Rule files: which class the features of a vector map become, by their attributes, in the order of drawing."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError
from sattrans.utils.records import checked, parse_toml, read_text, refusing

BUILT_IN = {"osm": Path(__file__).with_name("osm.toml")}
"""Built-in rule files, by name."""

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
    from sattrans.maps.schemas import RulesFile

    path = BUILT_IN.get(str(source), Path(source))
    where = f"--rules {source}"
    named = CLASS_NAME.fullmatch(str(source)) and not get_close_matches(str(source), BUILT_IN)
    if named and not path.is_file():  # a folder may have the name of a class
        return Rules(str(source), str(source), BACKGROUND, False, (Rule(str(source), "*", {}, None),), True)
    if not path.exists():
        raise OptionError(f"{where}: no such file, nor built-in rules ({', '.join(BUILT_IN)})")
    with refusing(where, OptionError):
        text = read_text(path)
        file = checked(RulesFile, parse_toml(text), first=1)
    rules = (Rule(r.land_class, r.layer, r.where, r.width, frozenset(r.lacking)) for r in file.rule)
    digest = sha256(text.encode()).hexdigest()[:16]
    return Rules(str(source), digest, file.background, file.optional, tuple(rules))
