"""What the commands take as Python functions: texts as paths, and options as keywords."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from sattrans.errors import OptionError
from sattrans.utils.commands import command
from sattrans.utils.options import Option, check


def numbers(text):
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise OptionError(f"--bands {text}: write numbers") from None


@dataclass(frozen=True, slots=True)
class Choices:
    size: Annotated[int | None, Option("Side.", minimum=8)] = None
    area: Annotated[Path | None, Option("Area.")] = None
    bands: Annotated[tuple[int, ...] | None, Option("Bands.", parse=numbers)] = None
    bounds: Annotated[str | None, Option("Bounds.")] = None
    names: Annotated[tuple[str, ...], Option("Names; repeatable.")] = ()
    edge: Annotated[Literal["drop", "pad"], Option("Edge.")] = "drop"
    shares: Annotated[Mapping[str, float], Option("Shares.")] = field(default_factory=dict)

    def __post_init__(self):
        check(self)


@command
def cut(root: Path, output: Path | None = None, options: Choices = Choices(), *, overwrite: bool = False):
    """Return what it was given."""
    return root, output, options, overwrite


@command
def look(place: str | Path, runs: Sequence[Path] = ()):
    return place, runs


def test_texts_are_paths_except_where_they_may_be_addresses():
    assert cut("a", "b/c.tif")[:2] == (Path("a"), Path("b/c.tif"))
    assert cut(root=Path("a"), output=None)[:2] == (Path("a"), None)
    assert look("https://a/b.tif") == ("https://a/b.tif", ())
    assert look("m", "one")[1] == (Path("one"),) == look("m", Path("one"))[1]
    assert look("m", ["one", Path("two")])[1] == (Path("one"), Path("two"))


def test_fields_of_the_options_are_keywords():
    options = cut("a", size=np.int64(64), area="x.gpkg", bands=[3, 2, 1], bounds=(1, 2.5, 3, 4), shares={"w": 0.1})[2]
    assert options == Choices(64, Path("x.gpkg"), (3, 2, 1), "1,2.5,3,4", shares={"w": 0.1})
    assert type(options.size) is int


def test_a_text_is_what_the_command_line_takes():
    assert cut("a", bands="3,2,1", names="road")[2] == Choices(bands=(3, 2, 1), names=("road",))


def test_keywords_change_options_that_are_given_with_them():
    assert cut("a", options=Choices(size=32, edge="pad"), size=16, overwrite=True)[2:] == (
        Choices(16, edge="pad"),
        True,
    )


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"sise": 64}, "cut(): unknown option 'sise'; did you mean 'size'?"),
        ({"overwrit": True}, "cut(): unknown option 'overwrit'; did you mean 'overwrite'?"),
        ({"options": {"size": 64}}, "cut(): options must be Choices, got dict"),
        ({"root": "b"}, "cut(): multiple values for argument 'root'"),
    ],
)
def test_a_wrong_keyword_is_a_type_error_that_names_the_nearest(keywords, message):
    with pytest.raises(TypeError) as caught:
        cut("a", **keywords)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"size": "large"}, "size"),
        ({"size": 4}, "size must be at least 8, got 4"),
        ({"edge": "trim"}, "edge"),
        ({"area": 3}, "area"),
        ({"bands": "3;2"}, "bands 3;2: write numbers"),
    ],
)
def test_a_wrong_value_is_an_option_error_that_names_the_keyword(keywords, told):
    with pytest.raises(OptionError) as caught:
        cut("a", **keywords)
    assert str(caught.value).startswith(f"cut(): {told}") and "\n" not in str(caught.value)


def test_a_function_without_options_takes_no_others():
    with pytest.raises(TypeError, match=r"look\(\): .*'size'"):
        look("a", size=64)


def test_the_function_keeps_its_name_and_documentation():
    assert (cut.__name__, cut.__doc__) == ("cut", "Return what it was given.")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: cut(""), "cut(): root"),
        (lambda: cut("a", output=" "), "cut(): output"),
        (lambda: cut("a", area=""), "cut(): area"),
        (lambda: cut("a", bounds=""), "cut(): bounds"),
        (lambda: look("a", ["one", ""]), "look(): runs"),
    ],
)
def test_an_empty_text_is_neither_the_current_folder_nor_a_default(call, name):
    with pytest.raises(OptionError) as refused:
        call()
    assert str(refused.value) == f"{name} is empty; give a value, or leave it out"
