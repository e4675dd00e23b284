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
        ("value = 1", "building.color is missing"),
        ('color = "#614a4a"', "building.value is missing"),
        ('value = "1"\ncolor = "#614a4a"', "building.value must be an integer, got '1'"),
        ('value = true\ncolor = "#614a4a"', "building.value must be an integer, got True"),
        ('value = 1.5\ncolor = "#614a4a"', "building.value must be an integer, got 1.5"),
        ('value = nan\ncolor = "#614a4a"', "a number must be finite, got nan"),
        ('value = 256\ncolor = "#614a4a"', "building.value must be at most 255, got 256"),
        (f'value = 0x{"f" * 5000}\ncolor = "#614a4a"', "must be at least -2.63 and below 2.63, got one of 20000 bits"),
        ('value = 1\ncolor = "#614a4a"\ncolour = 1', "building has the unknown key 'colour'; did you mean 'color'"),
        ('value = 1\ncolor = "brown"', r"building.color must be .* or \[97, 74, 74\], each 0 to 255, got 'brown'"),
        ('value = 1\ncolor = "#614a4"', "building.color must be"),
        ("value = 1\ncolor = [97, 74]", "building.color must be"),
        ("value = 1\ncolor = [97, 74, 7.5]", "building.color must be"),
        ("value = 1\ncolor = [97, 74, 256]", "building.color must be"),
        ("value = 1\ncolor = 2026-01-01", "2026-01-01 is a date or a time"),
        ('value = 1\ncolor = "#614\\u00004a"', "a text must not contain the character NUL"),
        ('value = 2\ncolor = "#614a4a"', "'road' and 'building' share the value 2"),
        ('value = 1\ncolor = "#cfcfcf"', "'road' and 'building' share the color"),
    ],
)
def test_a_wrong_class_is_named_with_its_file(table, message, tmp_path):
    path = write_classes(tmp_path, f'[road]\nvalue = 2\ncolor = "#cfcfcf"\n[building]\n{table}\n')
    with pytest.raises(ClassesError, match=rf"classes\.toml.*{message}"):
        read_classes(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[building", "is not valid TOML"),
        ("", "1 to 255 classes"),
        ("a = 1", "a must be a table, got 1"),
        ("a = 1\na = 2", "not valid TOML"),
    ],
)
def test_a_file_without_classes_is_refused_by_name(text, message, tmp_path):
    with pytest.raises(ClassesError, match=rf"classes\.toml.*{message}"):
        read_classes(write_classes(tmp_path, text))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_windows_programs_are_read(encoding, end, tmp_path):
    path = tmp_path / "classes.toml"
    path.write_bytes(f'["숲 Grün"]{end}value = 1{end}color = "#614a4a"{end}'.encode(encoding))
    assert read_classes(path).names == ("숲 Grün",)


def test_a_name_or_a_text_of_two_lines_is_shown_in_one(tmp_path):
    for text in ('["a\\nb"]\nvalue = 1', '[a]\nvalue = "b\\nc"', '[a]\n"b\\nc" = 1'):
        with pytest.raises(ClassesError) as refused:
            read_classes(write_classes(tmp_path, text))
        assert "\n" not in str(refused.value) and "\\n" in str(refused.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(ClassesError, match=r"none\.toml cannot be read: No such file"):
        read_classes(tmp_path / "none.toml")
