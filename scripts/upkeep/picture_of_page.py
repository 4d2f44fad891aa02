#!/usr/bin/env python3
"""Take the picture of a round's page that the README shows; needs Chromium and playwright.

scripts/upkeep/picture_of_page.py demo-round/report/report.html
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

PICTURE = Path(__file__).resolve().parents[2] / "settlement" / "report" / "page" / "example.png"
WIDTH, HEIGHT = 1000, 1180


def main() -> int:
    """Open the page and keep what its first screens show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page.resolve()
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("Chromium is not installed; scripts/install_browser.py installs it.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        shown.goto(page.as_uri())
        shown.wait_for_selector("#verdict.right")
        shown.screenshot(path=PICTURE)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
