"""The options of training: on the command line, in a file, and checked."""

import pytest

from sattrans.errors import OptionError
from sattrans.train.options import TrainOptions, parse_setting, read_recipe


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("lr=1e-3", {"lr": "1e-3"}),
        (" blend = mix ", {"blend": "mix"}),
        ("name=a=b", {"name": "a=b"}),
        ("empty=", {"empty": ""}),
    ],
)
def test_settings_are_split_at_the_first_equals_sign(text, setting):
    assert parse_setting(text) == setting


def test_a_setting_without_a_value_is_refused():
    with pytest.raises(OptionError, match="--set must be name=value, got lr"):
        parse_setting("lr")


def test_a_recipe_holds_the_models_options_and_a_table_for_training(tmp_path):
    path = tmp_path / "o.toml"
    path.write_text('lr = 0.001\nweights = [1, 2.5]\n\n[train]\nmodel = "toy"\nepochs = 3\n')
    assert read_recipe(path) == ({"lr": 0.001, "weights": [1, 2.5]}, {"model": "toy", "epochs": 3})
    path.write_text("train = 3\n")
    with pytest.raises(OptionError, match=r"o\.toml: \[train\] must be a table"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"lr: 1", "it is not valid TOML"),
        (b"\xff\xff", "byte 1 is not text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(content, message, tmp_path):
    path = tmp_path / "o.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionError, match=rf"o\.toml:? {message}"):
        read_recipe(path)


def test_a_folder_is_not_a_recipe(tmp_path):
    with pytest.raises(OptionError, match="cannot be read: Is a directory"):
        read_recipe(tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "--epochs must be at least 1, got 0"),
        ({"steps": -1}, "--steps must be at least 1, got -1"),
        ({"batch_size": 0}, "--batch-size must be at least 1, got 0"),
        ({"patience": 0}, "--patience must be at least 1, got 0"),
        ({"devices": 0}, "--devices must be at least 1, got 0"),
        ({"seed": -1}, "--seed must be at least 0, got -1"),
        ({"ema": 1.0}, "--ema must be at least 0 and below 1, got 1"),
        ({"precision": "16"}, "--precision must be one of 32, bf16, got 16"),
        ({"epochs": 1, "steps": 1}, "--epochs and --steps exclude each other: give one"),
    ],
)
def test_values_out_of_bounds_are_refused(given, message):
    with pytest.raises(OptionError) as error:
        TrainOptions(**given)
    assert str(error.value) == message
