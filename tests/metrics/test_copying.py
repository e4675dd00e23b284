"""Copying: collages of training pieces are found, whatever their brightness; noise and other places are not."""

import numpy as np
import pytest
import torch
from ladders import blur, hue, noise

from sattrans.demo.landscape import make_landscape
from sattrans.evaluate.base import ImagePair, MetricContext
from sattrans.evaluate.copying import Copying
from sattrans.metrics import copying
from sattrans.metrics.copying import Blocks, CopyFinder, room_for

SIZE, PIECE = 160, 40


def landscape_tiles(seed):
    photo = torch.from_numpy(make_landscape(2 * SIZE, 2 * SIZE, seed).photo.copy())
    return [photo[:, r : r + SIZE, c : c + SIZE] for r in (0, SIZE) for c in (0, SIZE)]


@pytest.fixture(scope="module")
def train():
    return landscape_tiles(1)


@pytest.fixture(scope="module")
def finder(train):
    count, grid = room_for(len(train), SIZE)
    blocks = Blocks.joined([Blocks.of(image, number, grid) for number, image in enumerate(train[:count])])
    return CopyFinder(blocks, train.__getitem__, (count, SIZE))


@pytest.fixture(scope="module")
def collage(train):
    """An image of pieces of 40 px, every second one mirrored, each with a brightness of its own; and their sources."""
    rng = np.random.default_rng(0)
    image, sources = torch.zeros(3, SIZE, SIZE, dtype=torch.uint8), []
    for number, (top, left) in enumerate(np.ndindex(SIZE // PIECE, SIZE // PIECE)):
        tile, row, col = rng.integers(len(train)), *rng.integers(0, SIZE - PIECE, 2)
        piece = train[tile][:, row : row + PIECE, col : col + PIECE].int()
        piece = piece.flip(-1) if number % 2 else piece
        place = np.s_[top * PIECE : top * PIECE + PIECE, left * PIECE : left * PIECE + PIECE]
        image[:, *place] = (piece + int(rng.integers(-20, 20))).clamp(0, 255).byte()
        sources.append((place, int(tile), int(row), int(col), bool(number % 2)))
    return image, sources


def shares(copies):
    return [float((copies.area >= side**2).mean()) for side in (16, 32, 64)]


def test_a_collage_is_found_at_the_size_of_its_pieces(finder, collage):
    found = shares(finder(collage[0]))
    assert found[:2] == pytest.approx([1, 1], abs=0.03)
    assert found[2] == 0


def test_each_pixel_of_a_piece_is_named(finder, collage, train):
    image, sources = collage
    copies = finder(image)
    for place, tile, row, col, mirrored in sources:
        inner = tuple(slice(part.start + 8, part.stop - 8) for part in place)
        down, across = np.mgrid[8 : PIECE - 8, 8 : PIECE - 8]
        right = copies.tile[inner] == tile
        right &= copies.row[inner] == row + down
        right &= copies.col[inner] == col + (PIECE - 1 - across if mirrored else across)
        assert right.mean() > 0.95


def test_a_training_tile_is_a_copy_and_its_mirror_image_too(finder, train):
    for image in (train[2], train[2].flip(-1)):
        assert shares(finder(image)) == pytest.approx([1, 1, 1], abs=0.01)


@pytest.mark.parametrize("change", [lambda image: noise(image, 1), lambda image: hue(image, 5)])
def test_a_copy_that_is_changed_a_little_is_still_found(finder, collage, change):
    assert shares(finder(change(collage[0])))[1] > 0.8


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8), id="noise"),
        pytest.param(torch.full((3, SIZE, SIZE), 90, dtype=torch.uint8), id="flat"),
        pytest.param(torch.zeros(3, 6, 6, dtype=torch.uint8), id="small"),
        pytest.param(landscape_tiles(2)[0], id="another place"),
        pytest.param(blur(landscape_tiles(2)[1], 4), id="another place, blurred"),
    ],
)
def test_what_is_not_copied_is_not_found(finder, image):
    assert shares(finder(image))[0] < 0.02


def test_without_blocks_nothing_is_found(train):
    flat = Blocks.of(torch.zeros_like(train[0]), 0, 4)
    assert not CopyFinder(flat, train.__getitem__, (1, SIZE))(train[0]).area.any()


def test_many_tiles_have_fewer_blocks_and_still_more_are_left_out(monkeypatch):
    each = ((SIZE - 8) // 4 + 1) ** 2
    monkeypatch.setattr(copying, "MOST_BLOCKS", 10 * each)
    assert [room_for(tiles, SIZE) for tiles in (10, 11, 1000)] == [(10, 4), (11, 8), (10 * each // 400, 8)]


def test_the_most_reused_pixel_is_counted_over_all_images(finder, train):
    piece = train[0][:, 40:120, 40:120]
    image = torch.cat([torch.cat([piece, piece.flip(-1)], 2)] * 2, 1)  # four times
    family = Copying(MetricContext(SIZE, 2, tools={"copies": finder}))
    rows = np.stack([family.measure(ImagePair(fake, fake, n)) for n, fake in enumerate((image, train[0]))])
    by_name = {m.name: family.combine(m.name, rows, np.array([[1.0, 1], [1, 0], [2, 0]])) for m in family.metrics}
    assert by_name["reuse"].tolist() == [5, 4, 8]
    assert by_name["copied64"] == pytest.approx([100, 100, 100], abs=3)
    valid = torch.ones(SIZE, SIZE, dtype=torch.bool)
    valid[:80] = False
    half = ImagePair(image, image, 0).where_valid(valid)
    assert family.measure(half)[0] == pytest.approx(100, abs=3)


def test_of_many_pixels_some_images_are_looked_at(finder, train, monkeypatch):
    monkeypatch.setattr("sattrans.evaluate.copying.MOST_PIXELS", 2 * SIZE**2)
    family = Copying(MetricContext(SIZE, 4, tools={"copies": finder}))
    rows = np.stack([family.measure(ImagePair(train[1], train[1], number)) for number in range(4)])
    assert np.isfinite(rows[:, 0]).tolist() == [True, False, True, False]
    assert family.combine("copied16", rows, np.ones((1, 4))) == pytest.approx(100)
    assert family.combine("reuse", rows, np.ones((1, 4))) == 2
