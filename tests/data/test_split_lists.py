"""Split lists as they are saved by editors and tools: each entry is the name that it means."""

import pytest

from sattrans.data.split_lists import read_split_lists
from sattrans.errors import DatasetNotFound


@pytest.mark.parametrize(
    "content",
    [
        b"a_0\r\nb\r\n",
        b"\xef\xbb\xbfa_0\nb\n",
        "a_0\nb\n".encode("utf-16"),
        b"a_0.jpg\nb.TIF\n",
        b"images/train/a_0.png\n./b\n",
        b"images\\a_0.png\r\nC:\\data\\b\r\n",
        b"images/a_0.png masks/a_0.png\nimages/b.png masks/b.png\n",
        b"\n  a_0\n\nb  ",
    ],
)
def test_entries_are_read_as_meant(content, tmp_path):
    (tmp_path / "train.txt").write_bytes(content)
    assert read_split_lists(tmp_path).split_of == {"a_0": "train", "b": "train"}


def test_names_with_a_point_or_a_space_and_in_both_forms_of_unicode_are_kept_whole(tmp_path):
    (tmp_path / "val.txt").write_text("M-34.1-a_3\n1 (2)\nMu\u0308nchen\n", encoding="utf-8")
    assert set(read_split_lists(tmp_path).split_of) == {"M-34.1-a_3", "1 (2)", "M\u00fcnchen"}


def test_what_names_nothing_is_named_with_its_list(tmp_path):
    (tmp_path / "train.txt").write_text("a\n" + "".join(f"x{n}.png\n" for n in range(5)))
    (tmp_path / "test.txt").write_text("b\n")
    (notice,) = read_split_lists(tmp_path).notices({"a", "b"}, "scene")
    assert notice == f"{tmp_path}/train.txt has 5 entries that name no scene: x0.png, x1.png, x2.png …"


def test_a_name_in_two_lists_is_refused_whatever_its_form(tmp_path):
    (tmp_path / "train.txt").write_text("a.png\n")
    (tmp_path / "test.txt").write_text("images/a\n")
    with pytest.raises(DatasetNotFound, match=r"test\.txt lists images/a, which is in train\.txt, too"):
        read_split_lists(tmp_path)
