import pytest

from sattrans.utils.console import pluralize


@pytest.mark.parametrize(
    ("count", "nouns", "expected"),
    [
        (0, ["window"], "0 windows"),
        (1, ["window"], "1 window"),
        (2, ["window"], "2 windows"),
        (1, ["process", "processes"], "1 process"),
        (3, ["process", "processes"], "3 processes"),
    ],
)
def test_only_one_is_singular(count, nouns, expected):
    assert pluralize(count, *nouns) == expected
