"""The tables of docs/benchmark.md, from the measurements in docs/benchmark.json."""

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
TABLES = re.compile(r"(<!-- tables -->\n).*?(<!-- end of tables -->)", re.DOTALL)

TITLES = {
    "projected": "projected (default)",
    "projected-exemplar": "projected, sketch=exemplar",
    "exemplar": "exemplar",
    "pix2pix": "pix2pix, width 32",
    "pix2pix-paper": "pix2pix, the paper's settings, width 32",
    "resse": "resse, width 32",
    "wgan": "wgan, width 32",
    "spade": "spade, width 16",
    "spade-projected": "spade, projected discriminator, width 16",
    "cyclegan": "cyclegan, width 16, 6 blocks",
}
DATA = {"korea_s2": "Korea, 10 m", "banepa": "Banepa, 0.15 m"}
SCORES = {
    "kid_lite1": "KID-L1",
    "kid_lite0": "KID-L0",
    "class_color": "class colour",
    "class_spread": "class spread",
    "swd": "SWD",
    "spectrum": "spectrum, dB",
    "phase": "phase",
    "checkerboard": "checkerboard, dB",
    "line_recall": "line recall, %",
    "copied32": "copied 32², %",
    "seams": "seams",
}
COSTS = {"steps": "steps", "cpu": "CPU s", "cpu_mpx": "CPU s a Mpx", "memory": "GB", "parameters": "parameters"}

GOOD_KID, GOOD_MIOU = 2, 0.95
"""Multiples of the KID-L1 of real images of other places, at most, and of their mIoU, at least, of a good model."""

TIME = """### Time to quality

CPU minutes of training after which KID-L1 is at most {kid} × that of real images of other places, and mIoU at least
{miou} × that of real images. *Not in* says how long it was tried; exemplar does not get better with time.

"""

Entry = Mapping[str, Any]


def median(values: Iterable[float | None]) -> str:
    """Return the median of the values that are known, with three digits."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    middle = statistics.median(known)
    return f"{middle:,.0f}" if abs(middle) >= 100 else f"{middle:.3g}"


def ratio(entry: Entry, key: str) -> float | None:
    """Return how many times a score is that of real images: KID of other places, mIoU of the same."""
    if key == "miou":
        value, floor = entry["scores"]["miou"], entry["floors"]["real"]
    else:
        value, floor = entry["scores"][f"{key}_all"], entry["scores"][f"{key}_all_other"]
    return None if value is None or not floor else value / floor


def table(models: Mapping[str, Sequence[Entry]]) -> str:
    """Return the rows of one dataset at one training time, in the order of the first score."""
    titles = ["KID-L1, ×", "KID-L0, ×", "mIoU, ×", *SCORES.values(), *COSTS.values(), "splits"]
    lines = [f"| | {' | '.join(titles)} |", f"|---|{'--:|' * len(titles)}"]
    order = sorted(models, key=lambda model: statistics.median(ratio(of, "kid_lite1") or 0 for of in models[model]))
    for model in order:
        entries = models[model]
        cells = [median(ratio(of, key) for of in entries) for key in ("kid_lite1", "kid_lite0", "miou")]
        cells += [median(of["scores"].get(key) for of in entries) for key in SCORES]
        cells += [median(of.get(key) for of in entries) for key in COSTS]
        lines.append(f"| {TITLES[model]} | {' | '.join(cells)} | {len(entries)} |")
    return "\n".join(lines) + "\n"


def time_to_quality(found: Mapping[str, Entry]) -> str:
    """Return a table of the shortest training after which a model is near real images, for each dataset."""
    budgets: dict[str, dict[str, dict[int, list[Entry]]]] = {}
    for name, entry in found.items():
        data, _, model, seconds = name.split("/")
        budgets.setdefault(model, {}).setdefault(data, {}).setdefault(int(seconds), []).append(entry)
    lines = [f"| | {' | '.join(DATA.values())} |", f"|---|{'--:|' * len(DATA)}"]
    for model in TITLES:
        if model in budgets:
            cells = [_reached(budgets[model].get(data, {})) for data in DATA]
            lines.append(f"| {TITLES[model]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _reached(budgets: Mapping[int, Sequence[Entry]]) -> str:
    """Return the shortest of the times at which the medians are good enough."""
    for seconds, entries in sorted(budgets.items()):
        kid, miou = ([ratio(of, key) for of in entries] for key in ("kid_lite1", "miou"))
        if None not in kid + miou and statistics.median(kid) <= GOOD_KID and statistics.median(miou) >= GOOD_MIOU:
            cpu = statistics.median(of["cpu"] or seconds for of in entries)
            return f"{cpu:.0f} s" if cpu < 60 else f"{cpu / 60:.0f} min"
    return f"not in {max(budgets) // 60} min" if budgets else "–"


def tables(found: Mapping[str, Entry]) -> str:
    """Return all tables, each under a heading."""
    groups: dict[tuple[str, int], dict[str, list[Entry]]] = {}
    for name, entry in found.items():
        data, _, model, seconds = name.split("/")
        groups.setdefault((data, int(seconds)), {}).setdefault(model, []).append(entry)
    text = ""
    for (data, seconds), models in sorted(groups.items(), key=lambda item: (list(DATA).index(item[0][0]), item[0][1])):
        dates = sorted(entry["date"] for entries in models.values() for entry in entries)
        when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
        text += f"### {DATA[data]}, {seconds // 60} CPU minutes\n\n{table(models)}\nMedians; {when}.\n\n"
    return text + TIME.format(kid=GOOD_KID, miou=GOOD_MIOU) + time_to_quality(found) + "\n"


def pictures() -> str:
    """Return the sheets of all models, the first dataset first."""
    text = ""
    for data, title in DATA.items():
        for model, name in TITLES.items():
            path = DOCS / "images" / "benchmark" / f"{data}-{model}.jpg"
            if path.exists():
                text += f"{title}, {name}:\n\n![Map, generated and real tiles](images/benchmark/{path.name})\n\n"
    return text


def write() -> None:
    """Put the tables into the page."""
    page, found = DOCS / "benchmark.md", json.loads((DOCS / "benchmark.json").read_text(encoding="utf-8"))
    text = page.read_text(encoding="utf-8")
    page.write_text(TABLES.sub(lambda match: match[1] + tables(found) + pictures() + match[2], text), encoding="utf-8")


if __name__ == "__main__":
    write()
