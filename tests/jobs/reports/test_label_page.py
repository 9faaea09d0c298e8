"""The labelling page in a real browser: keys label, a closed tab loses nothing, and load_labels reads the saved CSV."""

import csv
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from jobs.ingest.inputs import csv_records
from jobs.reports.label_page import write_page
from jobs.scoring.audit_sample import CSV_COLUMNS, write_csv

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium, which `make test` installs")

DAY, RUN = "2026-11-09", "20261110T020000Z-0a1b2c3d"
HOSTILE = "</script><script>document.title='x'</script><img src=https://example.invalid/x.png>"
TEXTS = ["退款一直不到账", '他说："好",\n再等等', "=1+1", HOSTILE, "\u202e倒着看 \x1b[31m红\u2028换行", "今天天气不错"]
ROWS = [
    {"opinion_id": f"-{n}", "text": text, "source": None if n == 3 else "weibo", "dt": DAY, "run_id": RUN}
    | {"score": 0.987, "stratum": "s"}
    for n, text in enumerate(TEXTS)
]


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    path = tmp_path / f"{DAY}.{RUN}.csv"
    write_csv(path, ROWS)
    return write_page(path, DAY, ROWS)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser with a profile on disk, as a person has, so that what it stores outlives a tab."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=flags, locale="en-GB", accept_downloads=True
        )
        yield started
        started.close()


@pytest.fixture
def opened(context: BrowserContext, page_file: Path) -> Iterator[Callable[[], Page]]:
    """Opens the page in a new tab; afterwards asserts that no tab complained or asked for another address."""
    complaints: list[str] = []

    def show() -> Page:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: request.url == page_file.as_uri() or complaints.append(request.url))
        page.goto(page_file.as_uri())
        return page

    yield show
    assert [one for one in complaints if not one.startswith("blob:")] == []


def saved(page: Page) -> list[dict[str, str]]:
    """The rows of the CSV that the key S saves."""
    with page.expect_download() as download:
        page.keyboard.press("s")
    content = Path(download.value.path()).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_keys_label_and_the_next_text_follows(opened: Callable[[], Page]) -> None:
    page = opened()
    assert page.locator("#text").inner_text() == TEXTS[0]
    for key in ("1", "0", " "):
        page.keyboard.press(key)
    assert page.locator("#position").inner_text() == "4 of 6"
    assert page.locator("#counts").inner_text() == "1 complaints, 1 junk, 1 skipped, 3 left"
    assert page.locator(".bar").get_attribute("aria-valuenow") == "3"
    assert [row["label"] for row in saved(page)] == ["1", "0", "", "", "", ""]


def test_going_back_shows_the_label_and_changes_it(opened: Callable[[], Page]) -> None:
    page = opened()
    page.keyboard.press("1")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#complaint.chosen").count() == 1
    page.keyboard.press("0")
    page.keyboard.press("Backspace")
    assert page.locator("#junk.chosen").count() == 1
    assert page.locator("#position").inner_text() == "1 of 6"
    assert saved(page)[0]["label"] == "0"


def test_buttons_do_what_keys_do(opened: Callable[[], Page]) -> None:
    page = opened()
    for button in ("#complaint", "#junk", "#skip", "#back", "#complaint"):
        page.click(button)
    assert [row["label"] for row in saved(page)][:3] == ["1", "0", "1"]


def test_a_closed_tab_loses_nothing(opened: Callable[[], Page]) -> None:
    page = opened()
    page.keyboard.press("1")
    page.keyboard.press("0")
    page.close()
    again = opened()
    assert again.locator("#position").inner_text() == "3 of 6"
    assert [row["label"] for row in saved(again)][:2] == ["1", "0"]


def test_the_file_saved_is_the_sample_csv_with_labels(opened: Callable[[], Page], page_file: Path) -> None:
    page = opened()
    with open(page_file.with_suffix(".csv"), encoding="utf-8-sig", newline="") as file:
        before = list(csv.DictReader(file))
    for _ in TEXTS:
        page.keyboard.press("1")
    assert "All texts have a label" in page.locator("#text").inner_text()
    page.keyboard.press("1")  # past the end nothing happens
    assert saved(page) == [row | {"label": "1"} for row in before]


def test_load_labels_reads_the_file(opened: Callable[[], Page]) -> None:
    page = opened()
    page.keyboard.press("1")
    with page.expect_download() as download:
        page.keyboard.press("s")
    lines = Path(download.value.path()).read_bytes().splitlines(keepends=True)
    rows = list(csv_records("labels.csv", lines, CSV_COLUMNS, 3))
    assert [row["label"] for row in rows] == [b"1", *[None] * 5]
    assert rows[1]["text"] == TEXTS[1].encode()


def test_two_people_save_two_files(opened: Callable[[], Page], page_file: Path) -> None:
    page = opened()
    page.fill("#labeller", "小王 10")  # its digits are no labels
    assert page.locator("#position").inner_text() == "1 of 6"
    page.locator("#text").click()
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == f"{page_file.stem}.小王-10.csv"


def test_nothing_tells_what_the_model_says(page_file: Path) -> None:
    content = page_file.read_text(encoding="utf-8")
    assert "0.987" not in content and "stratum" not in content


def test_a_hostile_text_is_only_shown(opened: Callable[[], Page]) -> None:
    page = opened()
    for _ in range(3):
        page.keyboard.press(" ")
    assert page.locator("#text").inner_text() == HOSTILE
    assert page.title() == f"Label the opinions of {DAY}"
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("width", [390, 1280])
def test_it_speaks_two_languages_and_fits(opened: Callable[[], Page], width: int) -> None:
    page = opened()
    page.set_viewport_size({"width": width, "height": 800})
    page.click("#language")
    assert page.locator("h1").inner_text() == f"{DAY} 的舆情：有效投诉还是垃圾？"
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("1")
    assert page.locator("#counts").inner_text() == "投诉 1，垃圾 0，跳过 0，剩余 5"
