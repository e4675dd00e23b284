"""Names in tables and on pages: a spreadsheet computes nothing, and no mark turns the text around."""

import csv

import pytest

from sattrans.utils.shown import csv_cell, escape_directions, write_csv


@pytest.mark.parametrize(
    "text",
    [
        "=HYPERLINK(1)",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n@x",
        "  =1",
        "\u00a0=1",
        "＝1+1",
        "＋1",
        "－1",
        "＠x",
    ],
)
def test_a_text_that_begins_as_a_formula_gets_an_apostrophe(text):
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "a-b", "place_0", "'=1", "…", "مكان", "#1", "1-2"])
def test_other_texts_stay(text):
    assert csv_cell(text) == text


def test_marks_of_direction_are_shown_as_codes():
    marks = [0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    for mark in marks:
        assert escape_directions(f"a{chr(mark)}b") == f"a\\u{mark:04x}b"
        assert csv_cell(f"{chr(mark)}=1") == f"\\u{mark:04x}=1"
    assert escape_directions("עברית عربى 🛰️ e\u0301\u200d") == "עברית عربى 🛰️ e\u0301\u200d"


def test_numbers_stay_numbers_in_a_table(tmp_path):
    write_csv(
        tmp_path / "a.csv", ["=name", "value"], [["-x", -1.25], ["y,\n", None], ["z", 3], ["w", -0.0000123456789]]
    )
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["'=name", "value"], ["'-x", "-1.25"], ["y,\n", ""], ["z", "3"], ["w", "-1.23457e-05"]]
