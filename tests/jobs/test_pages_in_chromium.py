"""The pages in a real browser: complete, quiet, alone, and as wide as a phone or a screen."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from distill.text.normalisation import normalise
from jobs.reports import pages, retrain_page
from jobs.steps import report_day
from tests.jobs.example_facts import LONG, a_day, a_retraining

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium, which `make test` installs")

Written = dict[str, Path]  # page -> its index.html


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """One page of each kind, with hostile texts in all that people write."""
    folder = tmp_path_factory.mktemp("pages")
    day = {**a_day()}
    day["funnel"] = report_day.funnel(day)
    kinds: dict[str, tuple[Any, Callable[..., pages.Pictures], str]] = {
        "day": (day, report_day.draw, "day.html"),
        "promoted": (a_retraining(True), retrain_page.draw, "retrain.html"),
        "kept": (a_retraining(False), retrain_page.draw, "retrain.html"),
    }
    return {
        name: pages.write(folder / name, facts, lambda to, facts=facts, draw=draw: draw(facts, to), template)
        for name, (facts, draw, template) in kinds.items()
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium as Debian ships it; without its sandbox where the user is root."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, written: Written) -> Iterator[Callable[[str, int], Page]]:
    """A function that opens a page at a width, and afterwards asserts that it was quiet and asked for nothing."""
    heard: list[str] = []
    shown: list[Page] = []

    def show(name: str, width: int) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
        address = written[name].as_uri()
        page.on(
            "request",
            lambda request: request.url in (address,) or request.url.startswith("data:") or heard.append(request.url),
        )
        page.goto(address)
        shown.append(page)
        return page

    yield show
    for page in shown:
        page.close()
    assert heard == []


SAID = {
    "day": [
        "Opinions of 2026-11-09",
        "valid complaints among 1,001 opinions",
        "Highest scores",
        "7 broken json",
        "from 98 labels",
    ],
    "promoted": ["✓ Promoted: the challenger is the champion", "Model card of the challenger", "caught by both"],
    "kept": ["✗ Not promoted: the champion stays", "✗ failed", "The labels have changed since the decision"],
}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", sorted(SAID))
def test_a_page_shows_all_and_fits(opened: Callable[[str, int], Page], name: str, width: int) -> None:
    page = opened(name, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for text in SAID[name]:
        assert page.get_by_text(text).first.is_visible(), text
    pictures = page.locator("img")
    assert pictures.count() >= 1
    assert pictures.evaluate_all("all => all.every(img => img.complete && img.naturalWidth > 600 && img.alt)")
    assert page.evaluate("document.documentElement.lang") == "en"


def test_a_hostile_text_is_only_read(opened: Callable[[str, int], Page]) -> None:
    page = opened("day", 1280)
    assert page.title() == "Opinions of 2026-11-09"
    texts = page.locator("p.text").all_inner_texts()
    assert any("<script>document.title='x'</script>" in text for text in texts)
    assert page.locator("script").count() == 0
    assert page.locator("main img").count() == 3, "the plots, and no picture of a text"


def test_the_words_that_decided_are_marked_and_numbers_are_not_told(opened: Callable[[str, int], Page]) -> None:
    page = opened("day", 390)
    marks = page.locator("p.text mark[class^=p]")
    assert marks.count() > 5
    assert marks.first.evaluate("mark => getComputedStyle(mark).backgroundColor") != "rgba(0, 0, 0, 0)"
    words = page.locator("main").inner_text()
    assert "13812345678" not in words and "电话***********" in words
    assert normalise(LONG)[:40] in words


def test_chinese_is_drawn_and_not_boxes(opened: Callable[[str, int], Page]) -> None:
    """Two characters look different; where a font lacks them, both are the same box."""
    page = opened("day", 390)
    looks = []
    for character in "退款":
        page.evaluate("c => { document.querySelector('h1').textContent = c }", character)
        looks.append(page.locator("h1").screenshot())
    assert looks[0] != looks[1]
