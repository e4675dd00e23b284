"""Names in a report stay text, whatever they hold: they become no element, no attribute, nothing that runs."""

import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from makers_report import HOSTILE, made_pairs, make_page
from parsed import content, parsed

from sattrans.evaluate.report.page import Page
from sattrans.evaluate.report.render import HASH, render

DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def plain(count):
    """Return names that occur nowhere else and mean nothing in HTML."""
    return [f"⟦{number}⟧" for number in range(count)]


def check(names: list[str], shown: list[str], **options) -> None:
    """Check that a page with these names is one with plain names, letter by letter, but for the names themselves."""
    expected = list(content(parsed(render(make_page(plain(len(names)), **options))).root))
    found = list(content(parsed(render(make_page(names, **options))).root))
    put = re.compile(r"⟦(\d+)⟧")
    assert any(put.search(value) for _, value in expected)
    wanted = [(kind, put.sub(lambda match: shown[int(match[1])], value)) for kind, value in expected]
    assert found == wanted


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(0, len(HOSTILE), 3))
def test_hostile_names_stay_text_wherever_they_stand(turn):
    names = [*list(HOSTILE)[turn:], *list(HOSTILE)[:turn]]
    check(names, [HOSTILE[name] for name in names])


def test_hostile_notes_and_sections_stay_text():
    names = list(HOSTILE)
    page = Page(names[0], names[1], [], [], notes=names, about={name: {name: name} for name in names})
    shown = list(HOSTILE.values())
    found = list(content(parsed(render(page)).root))
    texts = [value for kind, value in found if kind == "text"]
    for text in shown:
        assert texts.count(text) >= 4
    used = replace(page, notes=plain(len(names)), about={name: {name: name} for name in plain(len(names))})
    expected = content(parsed(render(used)).root)
    assert [pair for pair in found if pair[0] == "element"] == [pair for pair in expected if pair[0] == "element"]


def fitted(name: str) -> str:
    """Return what a page shows of a name: no controls, no halves of pairs, no non-characters, directions as codes."""
    lines = name.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        f"\\u{ord(c):04x}"
        if unicodedata.bidirectional(c) in DIRECTIONS or c in "\u061c\u200e\u200f"
        else "\ufffd"
        if (unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t")
        or ord(c) & 0xFFFE == 0xFFFE
        or 0xFDD0 <= ord(c) <= 0xFDEF
        else c
        for c in lines
    )


LETTERS = st.text(st.sampled_from("<>&\"'`{}%#/!=\\-;:() \n\tabx\x00\x0b\u2028\u202e") | st.characters(), min_size=1)


@pytest.mark.slow
@given(names=st.lists(LETTERS, min_size=4, max_size=8, unique=True))
def test_any_name_stays_text(names):
    assume(not any(HASH.fullmatch(name) for name in names))  # what looks like one is set as code
    shown = [fitted(name) for name in names]
    check(names, shown, pairs=made_pairs(1, 16), columns=1)
