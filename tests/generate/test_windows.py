"""The stream of windows: every size, panel, device and stop gives one image, and a change makes what it touches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_memory import Memory, Part, blends, noise, picture, plan_of

from sattrans.errors import OptionError
from sattrans.generate.stream import Stream, read_map_row
from sattrans.generate.windows import ChangedWindows, parse_overlap
from sattrans.raster.window import Window

sides = st.one_of(st.integers(1, 130), st.sampled_from([1, 2, 97, 101, 127]))


def identity(windows, origins):
    return windows.astype(np.float32)


@st.composite
def plans(draw):
    size = draw(st.sampled_from([16, 32, 64]))
    at = draw(st.tuples(st.integers(-500, 500), st.integers(-500, 500)))
    return plan_of(draw(sides), draw(sides), size, draw(st.integers(0, size * 3 // 4)), draw(blends), at)


def made(plan, pixels, network, batch_size=2, devices=1, change=None, **where):
    writer = Memory(plan.height, plan.width, **where)
    Stream(Part(pixels), plan, [network] * devices, batch_size, workers=2).write(writer, writer.missing(), change)
    return writer


@given(plans(), st.integers(1, 5))
def test_an_identity_gives_the_maps_colours_bit_for_bit(plan, batch_size):
    pixels = picture(plan.height, plan.width)
    assert np.array_equal(made(plan, pixels, identity, batch_size).image, pixels)


@pytest.mark.slow
@given(plans(), st.integers(1, 5), st.data())
def test_panels_batches_devices_and_stops_change_no_byte(plan, batch_size, data):
    pixels = picture(plan.height, plan.width)
    whole = made(plan, pixels, noise, batch_size)
    other = made(plan, pixels, noise, batch_size + 1, devices=2, panel=64, block=16)
    assert np.array_equal(whole.image, other.image)
    done = data.draw(st.sets(st.integers(0, len(whole.pieces) - 1)))
    before = np.zeros_like(whole.image)
    for number in done:
        place = (slice(None), *whole.pieces[number].slices)
        before[place] = whole.image[place]
    gone_on = made(plan, pixels, noise, batch_size, before=before, done=done)
    assert np.array_equal(gone_on.image, whole.image)
    assert len(gone_on.written) == len(whole.pieces) - len(done)


@pytest.mark.slow
@given(plans(), st.data())
def test_a_change_of_the_map_changes_the_windows_it_touches_and_no_pixel_outside(plan, data):
    pixels = picture(plan.height, plan.width)
    before = made(plan, pixels, noise).image
    row, col = data.draw(st.integers(0, plan.height - 1)), data.draw(st.integers(0, plan.width - 1))
    changed = pixels.copy()
    changed[:, row : row + 9, col : col + 7] ^= 255

    def windows(of):
        return [[read_map_row(Part(of), plan, r, c, c) for c in plan.used[1]] for r in plan.used[0]]

    differ = [
        [not np.array_equal(a, b) for a, b in zip(*row, strict=True)]
        for row in zip(windows(pixels), windows(changed), strict=True)
    ]
    change = ChangedWindows(plan, np.array(differ), lambda window: before[(slice(None), *window.slices)])
    translated = []

    def counting(maps, origins):
        translated.extend(origins)
        return noise(maps, origins)

    updated = made(plan, changed, counting, 1, change=change).image
    touched = change.pixel_mask(Window(0, 0, plan.height, plan.width))
    assert np.array_equal(updated[:, ~touched], before[:, ~touched])
    assert np.array_equal(updated, made(plan, changed, noise).image)
    near = (plan.size + plan.halo - 1) // (plan.size - plan.overlap)
    assert len(set(translated)) <= np.sum(differ) * (2 * near + 1) ** 2


@pytest.mark.parametrize(("height", "width"), [(64, 64), (176, 112), (100, 203), (5, 9)])
def test_a_model_of_finite_view_gives_the_image_of_the_whole(height, width):
    """A box filter of 5 by 5, whose view is 2 px: windows with that margin equal the filtered whole."""

    def filtered(images):
        padded = np.pad(images.astype(np.float32), [(0, 0), (0, 0), (2, 2), (2, 2)])
        size = images.shape[2:]
        parts = [padded[:, :, r : r + size[0], c : c + size[1]] for r in range(5) for c in range(5)]
        return np.sum(parts, axis=0, dtype=np.float32) / np.float32(25)

    overlap = parse_overlap("0", 64, stride=16, margin=2)
    assert overlap == 16
    plan = plan_of(height, width, 64, overlap)
    pixels = picture(height, width)
    rows, cols = plan.rows.end, plan.cols.end
    beyond = np.pad(pixels, [(0, 0), (0, rows - height), (0, cols - width)], mode="symmetric")
    whole = np.rint(filtered(beyond[np.newaxis])[0, :, :height, :width]).astype(np.uint8)
    assert np.array_equal(made(plan, pixels, lambda windows, _: filtered(windows)).image, whole)


def test_what_a_map_lacks_is_mirrored_wherever_a_panel_begins():
    plan = plan_of(5, 20, 16, 4)
    pixels = picture(5, 20)
    beyond = np.pad(pixels, [(0, 0), (0, 11), (0, 8)], mode="symmetric")
    assert np.array_equal(read_map_row(Part(pixels), plan, 0, 0, 1), beyond[:, :16])
    assert np.array_equal(read_map_row(Part(pixels), plan, 0, 1, 1), beyond[:, :16, 12:])


def test_an_error_in_the_network_ends_the_stream():
    def broken(windows, origins):
        raise RuntimeError("out of memory")

    plan = plan_of(100, 100, 32, 8, "bands")
    with pytest.raises(RuntimeError, match="out of memory"):
        made(plan, picture(100, 100), broken)


@pytest.mark.parametrize(
    ("text", "stride", "margin", "overlap"),
    [("25%", 1, None, 64), ("0", 1, None, 0), ("10", 32, None, 32), ("0", 1, 20, 40), ("0", 32, 20, 64)],
)
def test_an_overlap_fits_stride_and_margin(text, stride, margin, overlap):
    assert parse_overlap(text, 256, stride, margin) == overlap


def test_a_model_that_sees_further_than_its_tile_is_refused():
    with pytest.raises(OptionError, match="needs larger tiles"):
        parse_overlap("0", 64, margin=32)
