import numpy as np
import pytest
from PIL import Image

from sattrans.data.contact_sheet import GAP, HEAD, font, legible, percent, shortened, write_png, write_sheet


def picture(seed, height=20, width=30):
    return np.random.default_rng(seed).integers(0, 256, (3, height, width), np.uint8)


def test_a_png_holds_the_pixels_as_they_are(tmp_path):
    write_png(tmp_path / "a.png", picture(0))
    assert (np.asarray(Image.open(tmp_path / "a.png")) == np.moveaxis(picture(0), 0, -1)).all()


def test_a_sheet_has_each_picture_in_its_row_and_column(tmp_path):
    rows = [[picture(10 * row + column) for column in range(3)] for row in range(2)]
    write_sheet(tmp_path / "sheet.png", rows, ("map", "generated", "real"))
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (HEAD + GAP + 2 * (20 + GAP), GAP + 3 * (30 + GAP), 3)
    for row in range(2):
        for column in range(3):
            top, left = HEAD + GAP + row * (20 + GAP), GAP + column * (30 + GAP)
            found = sheet[top : top + 20, left : left + 30]
            assert (found == np.moveaxis(rows[row][column], 0, -1)).all()


def test_a_sheet_has_a_title_over_each_column(tmp_path):
    write_sheet(tmp_path / "sheet.png", [[picture(0, 40, 80), picture(1, 40, 80)]], ("map", ""))
    head = np.asarray(Image.open(tmp_path / "sheet.png"))[:HEAD]
    left, right = head[:, : GAP + 80], head[:, GAP + 80 + GAP :]
    assert (left < 100).any() and (right == 255).all()


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path):
    write_png(tmp_path / "a.png", picture(0))
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises((TypeError, ValueError)):
        write_png(tmp_path / "a.png", picture(0)[:2].astype(np.float64))
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("text", "written"),
    [("Gebäude", "Gebaude"), ("łąka", "laka"), ("水", "?"), ("10 %", "10 %"), ("Straße", "Strasse")],
)
def test_text_is_written_in_letters_that_the_font_has(text, written):
    assert legible(text) == written


def test_a_text_is_cut_to_the_room_it_has():
    assert shortened("background", 15, 500) == "background"
    cut = shortened("background", 15, 60)
    assert cut.endswith("...") and font(15).getlength(cut) <= 60


@pytest.mark.parametrize(("share", "told"), [(0, "0.0 %"), (0.0001, "<0.1 %"), (0.1234, "12.3 %"), (1, "100.0 %")])
def test_what_is_there_never_reads_as_nothing(share, told):
    assert percent(share) == told
