"""Records are read within bounds; what is wrong is one line with the field, what was found and what was expected."""

import os
from typing import Annotated

import pytest
from pydantic import Field

from sattrans.utils.records import MAX_DEPTH, checked, checked_json, parse_json, parse_toml, read_lines, read_text
from sattrans.utils.schemas import FileInside, Schema, Time, Transform


class Part(Schema):
    value: Annotated[int, Field(ge=0, le=255)]
    name: str = ""


class Whole(Schema):
    parts: list[Part]
    transform: Transform = Field(default_factory=lambda: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    file: FileInside = "images/a.tif"
    created: Time = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({}, "parts is missing"),
        ({"parts": 7}, "parts must be a list, got 7"),
        ({"parts": [{"value": 1}, {"value": "x"}]}, "parts.1.value must be an integer, got 'x'"),
        ({"parts": [{"value": True}]}, "parts.0.value must be an integer, got True"),
        ({"parts": [{"value": 256}]}, "parts.0.value must be at most 255, got 256"),
        ({"parts": [{"value": 1, "name": ["x"]}]}, "parts.0.name must be a string, got a list of 1"),
        (
            {"parts": [], "transform": [1, 2, 3]},
            "transform must have at least 6 items, got a list of 3",
        ),
        ({"parts": [], "transform": [1, 2, 3, 4, 5, float("nan")]}, "transform.5 must be a finite number, got nan"),
        ({"parts": [], "file": "../a.tif"}, "file must match pattern"),
        ({"parts": [], "file": "/etc/passwd"}, "file must match pattern"),
        ({"parts": [], "file": "images/../../a.tif"}, "file must match pattern"),
        ({"parts": [], "file": "images/"}, "file must match pattern"),
        ({"parts": [], "file": "images/./a.tif"}, "file must match pattern"),
        ({"parts": [], "file": "c:/a.tif"}, "file must match pattern"),
        ({"parts": [], "created": "yesterday"}, "created must be a time such as"),
        ({"parts": [], "created": "2026-01-01"}, "created must be a time such as"),
        ([], "must be a table, got a list of 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(value, told):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  its text is compared
        checked(Whole, value)
    assert str(refused.value).strip().startswith(told) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["a\\", "a\\..\\..\\b"])
def test_a_backslash_is_a_letter_unless_it_separates_folders(name):
    value = {"parts": [], "file": f"images/{name}.tif"}
    if os.name == "nt":
        with pytest.raises(ValueError, match="file must match pattern"):
            checked(Whole, value)
    else:
        assert checked(Whole, value).file == f"images/{name}.tif"


def test_a_long_value_is_shown_in_part():
    with pytest.raises(ValueError, match="…$") as refused:
        checked(Whole, {"parts": "x" * 10_000})
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "a is there twice"),
        ('{"a": NaN}', "must be finite, got NaN"),
        ('{"a": -Infinity}', "must be finite"),
        ('{"a": 1e999}', "must be finite"),
        ("[" * 1100 + "]" * 1100, f"nested more than {MAX_DEPTH} deep"),
        ("[" * 100_000 + "]" * 100_000, f"nested more than {MAX_DEPTH} deep"),
        ('{"a":' * 40 + "1" + "}" * 40, f"nested more than {MAX_DEPTH} deep"),
        ("9" * 5000, "4300"),
        ("", "Expecting value"),
        (b"\xff", "not text in UTF-8"),
        ("[" + "0," * 4_000_001 + "0]", "more than 4 million values"),
        (b"[" + b"{}," * 4_000_001 + b"{}]", "more than 4 million values"),
    ],
    ids=[
        "twice",
        "NaN",
        "infinite",
        "large",
        "deep",
        "deeper",
        "objects",
        "digits",
        "empty",
        "encoding",
        "values",
        "bytes",
    ],
)
def test_json_that_is_not_right(text, told):
    with pytest.raises(ValueError, match=told):
        parse_json(text)


def test_metrics_may_hold_what_is_not_finite():
    assert parse_json('{"a": [1e5, Infinity]}', nan=True) == {"a": [1e5, float("inf")]}


@pytest.mark.parametrize("text", ["a = " + "[" * 1500 + "]" * 1500, "a = " + "9" * 5000, "a = 1\na = 2"])
def test_toml_that_is_not_right(text):
    with pytest.raises(ValueError, match=r"nested|4300|overwrite"):
        parse_toml(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_read_in_what_its_byte_order_mark_names(tmp_path, encoding):
    (tmp_path / "a.toml").write_text('name = "숲"\n', encoding=encoding)
    assert parse_toml(read_text(tmp_path / "a.toml")) == {"name": "숲"}


def test_text_of_another_encoding_or_size_is_refused(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes("# Grün\n".encode("latin-1"))
    with pytest.raises(ValueError, match="byte 5 is not text in UTF-8"):
        read_text(path)
    path.write_bytes(b"#" * 101)
    with pytest.raises(ValueError, match="larger than"):
        read_text(path, limit=100)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a pipe"):
        read_text(tmp_path / "pipe")


def test_a_large_file_is_checked_while_it_is_parsed():
    assert checked_json(Whole, b'{"parts": [{"value": 3}]}').parts[0].value == 3
    with pytest.raises(ValueError, match=r"parts\.0\.value must be at most"):
        checked_json(Whole, b'{"parts": [{"value": 300}]}')
    with pytest.raises(ValueError, match="EOF"):
        checked_json(Whole, b'{"parts": [')


def test_a_torn_last_line_is_left_out_and_any_other_is_named(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"value": 1}\n{"value": 2}\n{"val')
    assert read_lines(path, Part) == [{"value": 1}, {"value": 2}]
    path.write_text('{"value": 1}\n{"value": 2}')
    assert read_lines(path, Part) == [{"value": 1}, {"value": 2}]
    path.write_text('{"value": 1}\n{"value": "x"}\n{"value": 3}\n')
    with pytest.raises(ValueError, match=r"line 2: value must be an integer, got 'x'"):
        read_lines(path, Part)
