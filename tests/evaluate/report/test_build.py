"""The report, parsed as by a browser: what it contains, what it leaves out, and that it loads nothing."""

import base64
import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from makers_report import make_page
from parsed import elements, parsed, said

from sattrans.evaluate.report.page import Page, PageColumn, ScoreCell, ScoreRow
from sattrans.evaluate.report.render import HERE, render, write_report

EMPTY = Page("Nothing yet", "", [], [])


@pytest.fixture(scope="module")
def page():
    return make_page()


@pytest.fixture(scope="module")
def document(page):
    return parsed(render(page))


def ids(document):
    return Counter(element.attrs["id"] for element in elements(document.root) if "id" in element.attrs)


def test_ids_are_unique_and_all_that_is_referred_to_is_there(document):
    known = ids(document)
    assert max(known.values()) == 1
    asked = set()
    for element in elements(document.root):
        for name in ("aria-labelledby", "aria-describedby", "for"):
            asked.update((element.attrs.get(name) or "").split())
        if element.name == "a":
            assert element.attrs["href"].startswith("#")
            asked.add(element.attrs["href"][1:])
    assert len(asked) > 20
    assert asked <= set(known)


def test_the_page_asks_for_nothing_outside_of_itself(document):
    for element in elements(document.root):
        assert element.name not in ("link", "iframe", "object", "embed", "base", "form")
        for name, value in element.attrs.items():
            assert not name.startswith("on")
            assert name not in ("style", "srcset", "xlink:href")
            if name == "src":
                assert re.match(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+$", value)
    style = document.query_one("style").to_text()
    assert not re.search(r"url\(|@import|https?:|//", style)
    assert "http" not in document.query_one("script").children[0].data


def test_the_policy_lets_in_this_style_and_this_script_alone(document):
    (policy,) = (e.attrs["content"] for e in document.query("meta") if "http-equiv" in e.attrs)
    told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert told["default-src"] == "'none'"
    assert told["img-src"] == "data:"
    for kind in ("style", "script"):
        (element,) = document.query(kind)
        digest = base64.b64encode(hashlib.sha256(element.children[0].data.encode()).digest()).decode()
        assert told[f"{kind}-src"] == f"'sha256-{digest}'"


def test_the_page_reads_without_seeing_it(document):
    assert document.query_one("html").attrs["lang"] == "en"
    for landmark in ("main", "header", "nav"):
        assert len(document.query(landmark)) == 1
    levels = [int(e.name[1]) for e in elements(document.root) if re.fullmatch(r"h[1-6]", e.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    tables = document.query("table")
    assert len(tables) == 5
    for table in tables:
        assert said(table.query_one("caption"))
        assert all(head.attrs.get("scope") in ("col", "row", "colgroup", "rowgroup") for head in table.query("th"))
    images = document.query("img")
    assert len(images) == 3 * (1 + 3 + 1) + 3 * (1 + 3 + 3)  # at the top, and with bars to swipe
    assert all(len(image.attrs["alt"]) > 10 for image in images)
    ranges = document.query("input")
    assert len({bar.attrs["aria-label"] for bar in ranges}) == len(ranges) == 3 * 3
    for drawing in (e for e in elements(document.root) if e.attrs.get("role") == "img"):
        assert len(drawing.attrs["aria-label"]) > 10


def test_every_row_of_the_table_has_a_cell_under_every_head(document):
    table = document.query_one("table.scores")
    heads = table.query("thead tr")
    assert [said(cell) for cell in heads[1].query("th")][3:] == ["shuffled", "real", "class colours"]
    width = sum(int(cell.attrs.get("colspan", 1)) for cell in heads[0].query("th"))
    for row in table.query("tbody tr"):
        assert sum(int(cell.attrs.get("colspan", 1)) for cell in row.children if cell.name in ("td", "th")) == width


def test_the_table_says_in_words_what_it_shows():
    rows = [
        ScoreRow(
            "mae",
            "MAE",
            "grey levels",
            "↓",
            "how it is",
            [ScoreCell("24.5", "20 to 30", "24 to 25", True), ScoreCell("31")],
        ),
        ScoreRow("ssim", "SSIM", "", "↑", "", [ScoreCell("0.3"), ScoreCell("")], {"real": "1"}, ignores_pairing=True),
        ScoreRow("fid", "FID", "", "↓", "", missing="needs --weights"),
        ScoreRow("nearest", "nearest tile", "", "→ real", "", [ScoreCell("3")]),
    ]
    document = parsed(render(replace(EMPTY, columns=[PageColumn("a"), PageColumn("b", "3 runs")], rows=rows)))
    told = [[said(cell) for cell in row.query("th,td")] for row in document.query("tbody tr")]
    assert told[0] == [
        "MAE ↓ lower is better grey levels",
        "24.5 (best) interval 20 to 30 seeds 24 to 25",
        "31",
        "– no value",
    ]
    assert told[1] == [
        "SSIM ↑ higher is better ~ does not distinguish pairs from shuffled ones",
        "0.3",
        "– no value",
        "1",
    ]
    assert told[2] == ["FID ↓ lower is better", "Not measured: needs --weights"]
    assert told[3][0] == "nearest tile → real nearer to real is better"
    assert [said(e) for e in document.query("strong") if e.parent.name == "td"] == ["24.5"]
    hint = said(document.query_one(".hint"))
    assert "Bold: clearly the best; the 95 % intervals of its paired differences" in hint
    assert "Small and grey: the 95 % interval over images." in hint
    assert "After seeds: the lowest and the highest of the runs whose mean is given." in hint
    assert [said(e) for e in document.query("dl.methods dt")] == ["MAE, grey levels"]
    (link,) = document.query("tbody a")
    assert link.attrs["title"] == "how it is"


def test_the_page_says_how_the_examples_were_chosen(page, document):
    section = document.query_one("#examples").parent
    assert next(said(e) for e in section.query("p.hint")) == page.selection
    assert not [e for e in parsed(render(replace(page, examples=()))).query("p") if said(e) == page.selection]


def test_the_page_opens_with_the_verdict_and_pictures(page, document):
    order = [e for e in elements(document.query_one("body")) if e.name in ("h1", "p", "img", "table")]
    assert [e.name for e in order if e.attrs.get("class") in (None, "verdict")][:2] == ["h1", "p"]
    assert said(document.query_one(".verdict")) == page.verdict
    names = [e.name for e in order]
    assert names.index("img") < names.index("table")
    captions = [[said(e) for e in row.query("figcaption")] for row in document.query(".row")]
    assert captions[0] == ["Map", "pix2pix MAE 8.0", "ResSE MAE 11.0", "WGAN MAE 14.0", "Real"]
    assert [said(row.parent.query_one("h3")) for row in document.query(".row")] == ["Best", "Median", "Worst"]


def test_the_pictures_of_a_single_run_are_the_map_the_generated_and_the_real_one():
    document = parsed(render(make_page(columns=1)))
    assert [said(e) for e in document.query_one(".row").query("figcaption")] == ["Map", "Generated MAE 8.0", "Real"]


def test_the_classes_of_the_maps_have_their_colours_beside_them(page, document):
    for legend in document.query(".classes"):
        assert [said(e) for e in legend.query("li")] == [entry.name for entry in page.legend]
        fills = [rect.attrs["fill"] for rect in legend.query("rect")]
        assert fills == ["#{:02x}{:02x}{:02x}".format(*entry.color) for entry in page.legend]
    assert len(document.query(".classes")) == 2  # at the top, and where tiles are leafed through
    assert not parsed(render(replace(page, legend=()))).query(".classes")


def test_tiles_are_leafed_through_by_a_list_and_a_single_one_is_not(page, document):
    (list_,) = document.query(".leaves select")
    assert [said(e) for e in list_.query("option")] == [
        f"{number} of 3: {tile.tile}" for number, tile in enumerate(page.tiles, 1)
    ]
    assert len(document.query(".leaves button")) == 2
    assert not parsed(render(replace(page, tiles=page.tiles[:1]))).query(".turn")


def test_both_bars_of_a_single_run_are_labelled():
    page = make_page(columns=1)
    with_real = {c: {**values, "real": 0.5} for c, values in page.classes[0].values.items()}
    document = parsed(render(replace(page, classes=[replace(page.classes[0], values=with_real), page.classes[1]])))
    both, single = document.query("table.bars")
    heads = [said(e) for e in both.query("th") if e.attrs["scope"] != "col"]
    assert heads[:3] == [next(iter(with_real)), page.columns[0].name, "real"]
    assert [said(e) for e in single.query("th") if e.attrs["scope"] == "row"] == list(with_real)


def test_the_bars_of_all_charts_have_columns_of_the_same_width(document):
    told = [[column.attrs for column in table.query("col")] for table in document.query("table.bars")]
    assert told == [[{"class": "bar-name"}, {}, {"class": "bar-value"}]] * 2


SECTIONS = {
    "rows": ("scores", "method-1"),
    "notes": ("notes",),
    "classes": ("classes",),
    "examples": ("examples", "example-1"),
    "tiles": ("tiles", "tile-1"),
    "scenes": ("errors", "scene-1"),
    "curves": ("losses", "run-1"),
}


@pytest.mark.parametrize("part", SECTIONS)
def test_a_section_that_has_nothing_is_left_out(page, part):
    document = parsed(render(replace(page, **{part: ()})))
    there = set(ids(document))
    assert not there & set(SECTIONS[part])
    others = {anchor for name, anchors in SECTIONS.items() if name != part for anchor in anchors}
    assert others <= there
    linked = {e.attrs["href"][1:] for e in document.query("nav a")}
    assert linked <= there


def test_an_empty_page_is_a_heading():
    document = parsed(render(EMPTY))
    told = [element.name for element in elements(document.query_one("body"))]
    assert told == ["a", "header", "h1", "main", "script"]
    assert said(document.query_one("h1")) == said(document.query_one("title")) == "Nothing yet"
    assert set(ids(document)) == {"main"}


def test_methods_are_listed_at_the_end_and_hashes_are_code(document, page):
    told = [said(entry) for entry in document.query("dl.methods dd")]
    assert told == [row.method for row in page.rows]
    facts = {said(t.query_one("caption")): t for t in document.query("table.facts")}
    assert list(facts) == list(page.about)
    (code,) = document.query("code")
    assert len(code.to_text()) == 64


def test_the_same_page_gives_the_same_bytes(tmp_path, page):
    code = (
        "import sys; from makers_report import make_page; from sattrans.evaluate.report.render import render; "
        "sys.stdout.buffer.write(render(make_page()).encode())"
    )
    by_seed = [
        {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2] / "support")}
        for seed in "12"
    ]
    first, second = (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=env).stdout for env in by_seed
    )
    write_report(tmp_path / "new" / "report.html", page)
    assert first == second == (tmp_path / "new" / "report.html").read_bytes()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


def test_the_wheel_brings_the_templates(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True, cwd=Path(__file__).parents[3])
    (wheel,) = tmp_path.glob("*.whl")
    brought = set(ZipFile(wheel).namelist())
    files = {path.name for path in HERE.iterdir() if path.suffix in (".j2", ".css", ".js")}
    assert len(files) >= 5
    assert {f"sattrans/evaluate/report/{name}" for name in files} <= brought
