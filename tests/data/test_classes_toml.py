"""classes.toml: what it may say, and what is refused by name."""

import pytest

from sattrans import read_classes
from sattrans.errors import ClassesError


def write_classes(tmp_path, text):
    path = tmp_path / "classes.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("color", ['"#614a4A"', "[97, 74, 74]"])
def test_a_colour_is_hex_or_a_list(color, tmp_path):
    path = write_classes(tmp_path, f"[building]\nvalue = 1\ncolor = {color}\n")
    assert read_classes(path).colors == ((97, 74, 74),)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("value = 1", r"\[building\] needs"),
        ('color = "#614a4a"', r"\[building\] needs"),
        ('value = "1"\ncolor = "#614a4a"', r"\[building\] needs"),
        ('value = true\ncolor = "#614a4a"', r"\[building\] needs"),
        ('value = 1.5\ncolor = "#614a4a"', r"\[building\] needs"),
        ('value = 1\ncolor = "#614a4a"\ncolour = 1', r"\[building\] needs"),
        ('value = 1\ncolor = "brown"', r"\[building\] has color 'brown'"),
        ('value = 1\ncolor = "#614a4"', r"\[building\] has color"),
        ("value = 1\ncolor = [97, 74]", r"\[building\] has color"),
        ("value = 1\ncolor = [97, 74, 7.5]", r"\[building\] has color"),
        ("value = 1\ncolor = [97, 74, 256]", "'building' has colour"),
        ('value = 256\ncolor = "#614a4a"', "'building' has value 256"),
        ('value = 2\ncolor = "#614a4a"', "'road' and 'building' share the value 2"),
        ('value = 1\ncolor = "#cfcfcf"', "'road' and 'building' share the color"),
    ],
)
def test_a_wrong_class_is_named_with_its_file(table, message, tmp_path):
    path = write_classes(tmp_path, f'[road]\nvalue = 2\ncolor = "#cfcfcf"\n[building]\n{table}\n')
    with pytest.raises(ClassesError, match=rf"classes\.toml.*{message}"):
        read_classes(path)


@pytest.mark.parametrize(
    ("text", "message"), [("[building", "is not valid TOML"), ("", "1 to 255 classes"), ("a = 1", r"\[a\]")]
)
def test_a_file_without_classes_is_refused_by_name(text, message, tmp_path):
    with pytest.raises(ClassesError, match=rf"classes\.toml.*{message}"):
        read_classes(write_classes(tmp_path, text))


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(ClassesError, match=r"none\.toml cannot be read: No such file"):
        read_classes(tmp_path / "none.toml")
