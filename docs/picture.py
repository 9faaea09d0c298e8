"""Draw docs/day-page.png, the picture of a scored day's page in the READMEs.

.venv/bin/python docs/picture.py var/reports/day/DAY/index.html
"""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

with sync_playwright() as playwright:
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
    page = browser.new_page(viewport={"width": 1180, "height": 1000})
    page.goto(Path(sys.argv[1]).resolve().as_uri())
    page.screenshot(path=Path(__file__).with_name("day-page.png"))
    browser.close()
