"""A model's options: read, checked, and refused with the name that was meant."""

from typing import Literal

import pytest
from pydantic import Field

from sattrans.errors import OptionError
from sattrans.model import Model, ModelOptions
from sattrans.plugins import manager, model_class
from sattrans.runs.model_options import parse_settings, read_options, resolve


class Toy(Model):
    name = "toy"

    class Options(ModelOptions):
        lr: float = Field(2e-4, gt=0, description="learning rate")
        blend: Literal["add", "mix"] = Field("add", description="how")
        skip: bool = Field(False, description="whether")
        weights: tuple[float, ...] = Field((1.0,), description="weights")


def test_settings_are_split_at_the_first_equals_sign():
    assert parse_settings(["lr=1e-3", " blend = mix ", "name=a=b", "empty="]) == {
        "lr": "1e-3",
        "blend": "mix",
        "name": "a=b",
        "empty": "",
    }


def test_the_last_of_two_equal_settings_counts():
    assert parse_settings(["lr=1", "lr=2"]) == {"lr": "2"}


def test_a_setting_without_a_value_is_refused():
    with pytest.raises(OptionError, match="--set lr: write name=value"):
        parse_settings(["lr"])


def test_a_file_of_options_is_toml(tmp_path):
    path = tmp_path / "o.toml"
    path.write_text('lr = 0.001\nblend = "mix"\nskip = true\nweights = [1, 2.5]\n')
    options = resolve(Toy, read_options(path, [])[0])
    assert (options.lr, options.blend, options.skip, options.weights) == (0.001, "mix", True, (1.0, 2.5))


def test_a_recipe_has_a_table_of_what_every_training_shares(tmp_path):
    path = tmp_path / "o.toml"
    path.write_text('lr = 0.001\n\n[train]\nmodel = "toy"\nepochs = 3\n')
    assert read_options(path, ["model", "epochs"]) == ({"lr": 0.001}, {"model": "toy", "epochs": 3})
    with pytest.raises(OptionError, match=r"o\.toml: unknown option 'epochs' in \[train\]; did you mean 'epoch'"):
        read_options(path, ["model", "epoch"])
    path.write_text("train = 3\n")
    with pytest.raises(OptionError, match=r"\[train\] must be a table"):
        read_options(path, [])


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"lr: 1", "is not valid TOML"), (b"\xff\xfe", "is not valid TOML")],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(content, message, tmp_path):
    path = tmp_path / "o.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionError, match=rf"o\.toml:? {message}"):
        read_options(path, [])


def test_a_folder_of_options_is_refused(tmp_path):
    with pytest.raises(OptionError, match="is not valid TOML"):
        read_options(tmp_path, [])


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
    ],
)
def test_a_wrong_value_is_named_with_its_option(name, value):
    with pytest.raises(OptionError, match=f"option {name}={value} of model 'toy': .+"):
        resolve(Toy, {name: value})


def test_options_cannot_be_changed_once_they_are_resolved():
    options = resolve(Toy, {})
    with pytest.raises(ValueError, match="frozen"):
        options.lr = 1.0


@pytest.mark.parametrize("name", manager().names("model"))
def test_what_a_run_keeps_of_the_options_resolves_to_the_same(name):
    model = model_class(name)
    options = resolve(model, {"source": "onehot", "width": "8"})
    assert resolve(model, options.model_dump(mode="json")) == options
