"""Write the pictures of a report on docs/evaluating.md: `python docs/make_report.py evaluations/RUN-test/report.html`.

They are screenshots by an installed Chromium (`$CHROMIUM`, or one on the PATH; `pip install 'sattrans[browser]'` drives
it). The report on the page is that of the default model on `korea_s2`, by the commands of docs/realism.md.
"""

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1100, 980


def write_pictures(report: Path) -> None:
    """Write the top of a report, and its section of tiles to leaf through."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(report.resolve().as_uri())
        _write("report.jpg", page.screenshot())
        _write("report-tiles.jpg", page.locator(".leaves").screenshot())
        browser.close()


def _write(name: str, png: bytes) -> None:
    Image.open(io.BytesIO(png)).convert("RGB").save(IMAGES / name, quality=85, optimize=True)


if __name__ == "__main__":
    write_pictures(Path(sys.argv[1]))
