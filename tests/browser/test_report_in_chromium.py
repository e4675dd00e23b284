"""The report in a real browser: light, dark, narrow and on paper; its swipe bars move, its names do nothing.

An installed Chromium is driven, `$CHROMIUM` or one on the PATH; without one these tests are skipped. `make browser`
runs them.
"""

import io
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from makers_report import HOSTILE, made_pairs, make_page
from PIL import Image

from sattrans.evaluate.report.page import ClassBars
from sattrans.evaluate.report.render import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: make browser installs it")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not path:
        pytest.skip("no Chromium on the PATH and none in $CHROMIUM: install one to look at the report in it")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, make_page(pairs=made_pairs(size=256)))
    return path


@contextmanager
def opened(browser, path, **options):
    """Open a page; at the end it must have raised nothing, said nothing, and asked for nothing but itself."""
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    context = browser.new_context(**options)
    page = context.new_page()
    trouble = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert trouble == []
    assert [url for url in asked if not url.startswith("data:image/")] == [path.as_uri()]
    context.close()


def shot(locator):
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)


def clip(page):
    return page.locator(".generated").first.evaluate("e => getComputedStyle(e).clipPath")


def value(page, number=0):
    return page.locator(".swipe input").nth(number).evaluate("e => e.valueAsNumber")


LEAST_CONTRAST = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const color = channels(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  let least = [21, ""];
  for (const e of document.querySelectorAll("body *:not(script):not(.heat *):not(.tag):not(title)")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(channels(e instanceof SVGElement ? style.fill : style.color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, e.className.baseVal ?? e.className, e.textContent];
  }
  return least;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_scheme_is_the_readers_and_every_text_stands_out(browser, report, scheme):
    with opened(browser, report, color_scheme=scheme) as page:
        ground = shot(page.locator("h1"))[0, 0].mean()
        assert (ground > 200) == (scheme == "light")
        least = page.evaluate(LEAST_CONTRAST)
        assert least[0] >= 4.5, least


def test_a_phone_scrolls_the_table_and_not_the_page(browser, report):
    with opened(browser, report, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        box = page.locator(".scroll")
        assert box.evaluate("e => e.scrollWidth > e.clientWidth + 100")
        head = page.locator(".scores tbody th").first
        before = head.bounding_box()["x"]
        box.evaluate("e => { e.scrollLeft = 200 }")
        assert box.evaluate("e => e.scrollLeft") == 200
        assert head.bounding_box()["x"] == before


def lines_of(page, number):
    rows = page.locator(".bars").nth(number).locator("tr")
    return rows.evaluate_all("rows => rows.map(e => e.getBoundingClientRect().y)")


@pytest.mark.parametrize("width", [1200, 1000])
def test_classes_stand_side_by_side_in_charts_side_by_side(browser, tmp_path, width):
    names = ["a-model-of-a-long-name-256-1 ×3", "resse-landcover-128-1"]
    values = {f"class {n}": dict.fromkeys(names, 0.5) for n in range(4)}
    tiny = {title: {name: 3.2e-7 * value for name, value in of.items()} for title, of in values.items()}
    charts = [ClassBars("one", "", "↑", values), ClassBars("other", "grey levels", "↓", tiny)]
    page = make_page(names, columns=2)
    write_report(tmp_path / "report.html", replace(page, classes=charts))
    with opened(browser, tmp_path / "report.html", viewport={"width": width, "height": 900}) as page:
        assert page.locator(".bars").nth(1).bounding_box()["x"] > width / 2
        assert lines_of(page, 0) == lines_of(page, 1)


@pytest.mark.parametrize("scripted", [True, False])
def test_a_table_that_is_wider_than_the_page_says_so_until_its_end(browser, report, scripted):
    phone = {"viewport": {"width": 390, "height": 844}, "java_script_enabled": scripted}
    with opened(browser, report, **phone) as page:
        assert page.locator(".sideways").is_visible()
        box = page.locator(".scroll")
        shaded = np.median(shot(box)[:, -4:])
        box.evaluate("e => { e.scrollLeft = e.scrollWidth }")
        assert np.median(shot(box)[:, -4:]) > shaded + 10
    with opened(browser, report, viewport={"width": 2400, "height": 900}, java_script_enabled=scripted) as page:
        assert not page.locator(".sideways").is_visible()


def test_long_names_widen_no_phones_page(browser, tmp_path):
    write_report(tmp_path / "report.html", make_page(["x" * 300, "word " * 60]))
    with opened(browser, tmp_path / "report.html", viewport={"width": 360, "height": 740}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_mouse_drags_the_bar_and_what_is_painted_changes(browser, report):
    with opened(browser, report) as page:
        swipe = page.locator(".swipe").first
        swipe.scroll_into_view_if_needed()
        box = swipe.bounding_box()
        middle = box["y"] + box["height"] / 2
        before = clip(page)
        page.mouse.move(box["x"] + box["width"] / 2, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=5)
        page.mouse.up()
        assert abs(value(page) - 80) <= 1
        assert clip(page) != before
        page.mouse.click(box["x"] + 0.25 * box["width"], middle)
        assert abs(value(page) - 25) <= 1
        assert value(page, 1) == value(page)  # the bars of one tile move together,
        assert value(page, 3) == 50  # those of another do not


def test_keys_move_the_bar_and_each_side_shows_its_own_image(browser, report):
    with opened(browser, report) as page:
        bar, swipe = page.locator(".swipe input").first, page.locator(".swipe").first
        painted = {}
        bar.focus()
        for key, expected in (("Home", 0), ("End", 100)):
            page.keyboard.press(key)
            assert value(page) == expected
            painted[expected] = shot(swipe)
        bar.evaluate("e => { e.value = 50 }")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        assert value(page) == 55
        assert bar.get_attribute("aria-valuetext") == "55 % generated, 45 % real"
        half = shot(swipe)
        height, width = half.shape[:2]
        # Away from the bar, the labels and the ring of the focus.
        rows = slice(height // 5, height // 3)
        left, right = slice(width // 10, width // 3), slice(2 * width // 3, 9 * width // 10)
        assert np.array_equal(half[rows, left], painted[100][rows, left])
        assert np.array_equal(half[rows, right], painted[0][rows, right])
        assert np.abs(painted[100][rows] - painted[0][rows]).mean() > 2


def test_a_finger_moves_the_bar(browser, report):
    with opened(browser, report, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True) as page:
        swipe = page.locator(".swipe").first
        swipe.scroll_into_view_if_needed()
        box = swipe.bounding_box()
        page.touchscreen.tap(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
        page.wait_for_function("document.querySelector('.swipe input').value != 50")
        assert abs(value(page) - 20) <= 1


def side_by_side(page):
    generated, real = (page.locator(f".{half}").first.bounding_box() for half in ("generated", "real"))
    assert generated["x"] + generated["width"] <= real["x"]
    assert generated["y"] == real["y"]
    assert generated["width"] == pytest.approx(real["width"], abs=1)  # a device has no half pixels
    assert min(generated["width"], generated["height"]) > 50
    assert not page.locator(".swipe input").first.is_visible()


def test_without_its_script_both_images_are_to_be_seen(browser, report):
    with opened(browser, report, java_script_enabled=False) as page:
        side_by_side(page)


def test_on_paper_there_is_no_box_to_scroll_and_both_images_are_there(browser, report):
    with opened(browser, report, color_scheme="dark", viewport={"width": 720, "height": 1000}) as page:
        page.emulate_media(media="print")
        side_by_side(page)
        assert page.locator(".scroll").evaluate("e => getComputedStyle(e).overflowX") == "visible"
        assert page.evaluate("document.documentElement.scrollWidth") <= 720
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_hostile_names_do_nothing(browser, tmp_path):
    names = list(HOSTILE)
    write_report(tmp_path / "report.html", make_page(names))
    with opened(browser, tmp_path / "report.html") as page:
        page.wait_for_timeout(300)
        assert page.locator("script").count() == 1
        assert page.locator(".scores thead tr:last-child bdi").first.text_content() == HOSTILE[names[0]]
        page.keyboard.press("Tab")
        page.locator(".swipe input").first.focus()


def test_markup_that_slipped_through_would_not_run(browser, report):
    context = browser.new_context()
    page = context.new_page()
    page.goto(report.as_uri())
    page.evaluate(
        """() => {
          document.body.insertAdjacentHTML("beforeend", `<img src="data:," onerror="document.title = 'ran'">`);
          document.body.appendChild(document.createElement("script")).textContent = "document.title = 'ran'";
        }"""
    )
    page.wait_for_timeout(300)
    assert page.title() != "ran"
    context.close()


def open_tiles(page):
    return [number for number, e in enumerate(page.locator(".leaves .example").all()) if e.is_visible()]


def test_tiles_are_leafed_through_by_buttons_list_and_keys(browser, report):
    with opened(browser, report) as page:
        assert open_tiles(page) == [0]
        back, further, list_ = (page.locator(f".turn {e}") for e in ("button >> nth=0", "button >> nth=1", "select"))
        for press, expected in ((further, 1), (further, 2), (further, 0), (back, 2)):
            press.click()
            assert open_tiles(page) == [expected]
            assert list_.evaluate("e => e.selectedIndex") == expected
        list_.select_option(index=1)
        assert open_tiles(page) == [1]
        list_.focus()
        page.keyboard.press("ArrowDown")
        assert open_tiles(page) == [2]
    with opened(browser, report, java_script_enabled=False) as page:
        assert open_tiles(page) == [0, 1, 2]
        assert not page.locator(".turn").is_visible()


@pytest.mark.parametrize(("width", "beside"), [(1280, True), (390, False)])
def test_three_pictures_stand_in_a_row_and_the_classes_beside_them(browser, tmp_path, width, beside):
    write_report(tmp_path / "report.html", make_page(columns=1, pairs=made_pairs(size=256)))
    with opened(browser, tmp_path / "report.html", viewport={"width": width, "height": 844}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        boxes = [e.bounding_box() for e in page.locator(".row").first.locator("img").all()]
        assert len(boxes) == 3
        assert len({box["y"] for box in boxes}) == 1
        assert min(box["width"] for box in boxes) > 100
        assert boxes[0]["y"] < 844 - boxes[0]["height"]  # without scrolling
        legend = page.locator(".beside .classes").bounding_box()
        assert (legend["x"] > boxes[2]["x"] + boxes[2]["width"]) == beside
