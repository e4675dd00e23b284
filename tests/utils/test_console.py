import pytest

from sattrans.utils.console import counted


@pytest.mark.parametrize(
    ("count", "words", "expected"),
    [
        (0, ["window"], "0 windows"),
        (1, ["window"], "1 window"),
        (2, ["window"], "2 windows"),
        (1, ["process", "processes"], "1 process"),
        (3, ["process", "processes"], "3 processes"),
    ],
)
def test_one_is_one_thing_and_any_other_number_is_many(count, words, expected):
    assert counted(count, *words) == expected
