"""A model's options: read, checked, and refused with the name that was meant."""

from typing import Literal

import pytest
from pydantic import Field

from sattrans.errors import OptionError
from sattrans.model import Model, ModelOptions
from sattrans.plugins import manager, model_class
from sattrans.runs.model_options import resolve


class Toy(Model):
    name = "toy"

    class Options(ModelOptions):
        lr: float = Field(2e-4, gt=0, description="learning rate")
        blend: Literal["add", "mix"] = Field("add", description="how")
        skip: bool = Field(False, description="whether")
        weights: tuple[float, ...] = Field((1.0,), description="weights")


def test_text_becomes_what_the_option_is():
    options = resolve(Toy, {"lr": "1e-3", "skip": "true", "width": "8", "source": "onehot"})
    assert (options.lr, options.skip, options.width, options.source) == (1e-3, True, 8, "onehot")


def test_what_is_not_given_keeps_its_default():
    assert resolve(Toy, {"skip": True}) == Toy.Options(skip=True)


def test_an_unknown_name_says_which_was_meant_and_where_they_are_listed():
    with pytest.raises(
        OptionError, match=r"unknown option 'blnd' of model 'toy'; did you mean 'blend'\?.*models show toy"
    ):
        resolve(Toy, {"blnd": "mix"})


def test_a_name_like_none_lists_them_all():
    with pytest.raises(OptionError, match="'xyz' of model 'toy'; available: blend, lr, skip, source, weights, width"):
        resolve(Toy, {"xyz": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", "fast"),
        ("lr", "0"),
        ("lr", "nan"),
        ("blend", "multiply"),
        ("width", "0"),
        ("width", "4.5"),
        ("source", "rgb"),
        ("width", True),
        ("width", 8.0),
        ("skip", 1),
        ("lr", [1]),
        ("weights", {"a": 1}),
    ],
)
def test_a_wrong_value_is_named_with_its_option(name, value):
    with pytest.raises(OptionError, match=rf"model 'toy': option {name} must be .+, got ") as refused:
        resolve(Toy, {name: value})
    assert "\n" not in str(refused.value)


def test_options_cannot_be_changed_once_they_are_resolved():
    options = resolve(Toy, {})
    with pytest.raises(ValueError, match="frozen"):
        options.lr = 1.0


@pytest.mark.parametrize("name", manager().names("model"))
def test_what_a_run_keeps_of_the_options_resolves_to_the_same(name):
    model = model_class(name)
    options = resolve(model, {"source": "onehot", "width": "8"})
    assert resolve(model, options.model_dump(mode="json")) == options
