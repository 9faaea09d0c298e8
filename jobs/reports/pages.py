"""Self-contained HTML pages: filled templates, every value escaped, pictures embedded."""

import base64
import functools
import html
import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from jobs.common.failures import print_stderr
from jobs.common.time_zones import BEIJING, shown
from jobs.reports.console import one_line
from jobs.reports.plots import chinese_font

TEMPLATES = Path(__file__).parent / "templates"
LEVELS = 4  # of highlighting, for either sign

Pictures = Mapping[str, str]  # PNG file name -> what it shows


@functools.cache
def templates() -> jinja2.Environment:
    """The templates; every value is escaped and loses control and invisible characters."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: one_line(value) if type(value) is str else value,
    )
    environment.filters |= {
        "count": lambda value: f"{value:,}",
        "share": lambda value: "–" if value is None else f"{value:.1%}",
        "fixed": lambda value, digits=4: "–" if value is None else f"{value:.{digits}f}",
        "signed": lambda value, digits=2: f"{value:+.{digits}f}".replace("-", "−"),
        "picture": picture,
        "highlighted": highlighted,
        "shown": shown,
    }
    environment.globals["beijing"] = BEIJING.key
    return environment


def render(template: str, folder: Path, **content: Any) -> str:
    """A page of a template; `folder` is where its pictures are."""
    return templates().get_template(template).render(folder=folder, **content)


def picture(name: str, folder: Path) -> Markup:
    """A PNG file as a data URI."""
    return Markup("data:image/png;base64,") + base64.b64encode((folder / name).read_bytes()).decode()


def highlighted(text: str, weights: list[float]) -> Markup:
    """The text with marks in LEVELS strengths by each character's signed weight, (characters,)."""
    largest = max(map(abs, weights), default=0) or 1
    levels = [round(LEVELS * weight / largest) for weight in weights]
    pieces, start = [], 0
    for end in range(1, len(text) + 1):
        if end == len(text) or levels[end] != levels[start]:
            # A space at the edge of a piece stays; invisible characters go.
            piece = html.escape("".join(c if c.isprintable() else " " if c.isspace() else "" for c in text[start:end]))
            sign = "p" if levels[start] > 0 else "n"
            pieces.append(f'<mark class="{sign}{abs(levels[start])}">{piece}</mark>' if levels[start] else piece)
            start = end
    return Markup("".join(pieces))


def write(folder: Path, facts: Any, draw: Callable[[Path], Pictures], template: str) -> Path:
    """Write a report (facts.json, PNGs and index.html), replacing the previous folder; returns the page's path.

    The template gets `facts` and `pictures`. A reader never sees half of a report.
    """
    if not chinese_font():
        print_stderr("warning: no font with Chinese is installed, so plots show boxes; apt-get install fonts-noto-cjk")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    staged.mkdir()
    try:
        (staged / "facts.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        pictures = draw(staged)
        page = render(template, staged, facts=facts, pictures=pictures)
        (staged / "index.html").write_text(page, encoding="utf-8", errors="replace")
        shutil.rmtree(folder, ignore_errors=True)
        staged.rename(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return folder / "index.html"
