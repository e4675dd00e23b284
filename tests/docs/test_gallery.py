"""The gallery: the page is what its script says, its commands exist, its pictures are there and say whose they are."""

import importlib.util
import json
import shlex

import numpy as np
import pytest
from pages import DOCS
from PIL import Image
from typer.main import get_command

from sattrans.cli import app


def load():
    spec = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GALLERY = load()
PICTURES = (*GALLERY.SYNTHETIC, *GALLERY.REAL, *GALLERY.FAILURES)


def test_the_page_is_what_the_script_says():
    assert GALLERY.PAGE.read_text(encoding="utf-8") == GALLERY.page(), "run: python docs/make_gallery.py --page"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.title)
def test_a_picture_is_there_with_its_command_and_its_owner(picture):
    with Image.open(GALLERY.IMAGES / picture.file) as image:
        assert min(image.size) > 100
    assert picture.make or picture.credit, "a picture of data that is not ours"
    assert bool(picture.credit) == ("korea" in str(picture.commands) or "banepa" in str(picture.commands))
    commands = get_command(app).commands
    for line in picture.commands:
        name, verb, *words = shlex.split(line)
        assert name == "sattrans"
        known = {
            option for parameter in commands[verb].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert [word for word in words if word.startswith("-") and word not in known] == []


def test_no_picture_is_left_over():
    used = {GALLERY.IMAGES / picture.file for picture in PICTURES} | {GALLERY.IMAGES / GALLERY.TOWN}
    assert {path for path in (GALLERY.IMAGES / "gallery").iterdir() if path not in used} == set()


@pytest.mark.parametrize("picture", [it for it in GALLERY.made() if it.credit], ids=lambda picture: picture.file)
def test_rows_of_real_scenes_are_those_of_their_sheets(picture, tmp_path):
    """Recompressed, so not bit by bit."""
    picture.make(tmp_path, tmp_path / "row.jpg")
    made, kept = (
        np.asarray(Image.open(path).convert("RGB"), float)
        for path in (tmp_path / "row.jpg", GALLERY.IMAGES / picture.file)
    )
    assert made.shape == kept.shape
    assert np.abs(made - kept).mean() < 2


def test_parts_and_legends_are_put_side_by_side(tmp_path):
    left, _, right, bottom = GALLERY.PART
    for name, color in (("a.png", (200, 0, 0)), ("b.png", (0, 0, 200))):
        whole = Image.new("RGB", (right, bottom))
        whole.paste(color, GALLERY.PART)
        whole.save(tmp_path / name)
    GALLERY.parts((("a.png", "first"), ("b.png", "second")))(tmp_path, tmp_path / "parts.jpg")
    made = Image.open(tmp_path / "parts.jpg")
    assert made.width > 2 * (right - left)
    for place, color in ((0.25, (200, 0, 0)), (0.75, (0, 0, 200))):
        pixel = made.getpixel((int(place * made.width), made.height // 2))
        assert np.abs(np.subtract(pixel, color)).max() < 12
    GALLERY.with_legend("a.png", "b.png", 100)(tmp_path, tmp_path / "legend.jpg")
    assert Image.open(tmp_path / "legend.jpg").width == 100 + right
    GALLERY.copied("a.png", 50)(tmp_path, tmp_path / "small.jpg")
    assert Image.open(tmp_path / "small.jpg").width == 50
    assert not list(tmp_path.glob("*.drawn.png"))


def test_the_drawn_map_is_the_one_that_the_page_offers():
    text = (GALLERY.IMAGES / GALLERY.TOWN).read_text(encoding="utf-8")
    assert text == GALLERY.town()
    assert len(json.loads(text)["features"]) == 12
    assert "Twelve features" in GALLERY.page()
