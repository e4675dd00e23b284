"""Write the worked plan of at-scale.md, from measured rates: `python docs/make_scale.py`.

The arithmetic is here, so that a plan for another country, resolution or rate is a change of one number.
"""

from pathlib import Path

PAGE = Path(__file__).parent / "at-scale.md"
START, END = "<!-- plan: written by docs/make_scale.py -->\n", "<!-- end of plan -->\n"

AREA = 312_700  # km², Poland
METRES = 0.25  # a pixel
SIDE = 40_960  # pixels of a sheet
# Measured on 2026-11-29, two cores of an AMD EPYC with AVX-512 and bf16, both busy with other work, as well: a mask of
# LandCover.ai of 0.5 m, drawn at 0.25 m, 8272 × 9402 px, by the default model: sattrans generate mask.tif.
MEASURED_PIXELS = 8272 * 9402
CPU_SECONDS = 208.1  # user and system
OUTPUT_BYTES = 182_494_890  # the COG with its overviews
MAP_BYTES = 545_468  # the mask, at its 0.5 m
CHECK_SECONDS = 0.9  # of a dry run that are not its start: to read and check the map
MEMORY = 1.47  # GB, of a process
CORES = 640
PRICE = 0.05  # a core hour


def plan() -> list[tuple[str, str, str]]:
    """Return what is planned: what, how it is computed, and how much it is."""
    pixels = AREA * 1e6 / METRES**2
    sheet_km = SIDE * METRES / 1000
    sheets = AREA / sheet_km**2
    seconds = CPU_SECONDS / MEASURED_PIXELS
    hours = pixels * seconds / 3600
    per_sheet = SIDE**2 * seconds / 60
    output = OUTPUT_BYTES / MEASURED_PIXELS
    map_ = MAP_BYTES / MEASURED_PIXELS
    windows = pixels / (1536 - 448) ** 2
    return [
        ("pixels", f"{AREA:,} km² / ({METRES} m)²", f"{pixels / 1e12:.2f} × 10¹²"),
        ("sheets", f"{SIDE:,} px = {sheet_km:.2f} km a side; those of the border are cut", f"{sheets:,.0f} and more"),
        ("core hours", f"{seconds * 1e6:.2f} CPU s a million pixels, measured", f"{hours:,.0f}"),
        ("time", f"{CORES} cores", f"{hours / CORES:.1f} h; {per_sheet:.0f} min a sheet on one core"),
        ("cost", f"{PRICE} a core hour (set your own)", f"{hours * PRICE:,.0f}"),
        ("memory", "a process, measured", f"{MEMORY} GB"),
        ("bytes of the images", f"{output:.2f} a pixel with overviews, measured", f"{output * pixels / 1e12:.1f} TB"),
        ("the largest sheet", f"{SIDE:,}² px", f"{output * SIDE**2 / 1e9:.1f} GB"),
        ("temporary disk", "the pieces of a sheet, as large as the sheet, for each that is being made", "as above"),
        ("bytes of the map", f"{map_:.3f} a pixel, measured on a land-cover mask", f"{map_ * pixels / 1e9:.0f} GB"),
        (
            "to read the whole map once",
            f"{MEASURED_PIXELS / 1e6 / CHECK_SECONDS:.0f} million pixels a second, measured",
            f"{pixels / MEASURED_PIXELS * CHECK_SECONDS / 3600:.0f} h in one process",
        ),
        ("windows in one record", "1088² px each", f"{windows / 1e6:.1f} million, {windows * 16 / 1e6:.0f} MB"),
    ]


def table() -> str:
    """Return the plan as a table."""
    lines = ["| What | How | How much |", "|---|---|--:|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in plan())]) + "\n"


def page_with(text: str) -> str:
    """Return a page with the plan in its place."""
    before, _, rest = text.partition(START)
    return before + START + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
