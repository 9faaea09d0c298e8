"""On all pages a text stays text, and a mark has the strength of its margin."""

import re
from pathlib import Path

from markupsafe import Markup

from jobs.reports import pages

HOSTILE = "<script>alert('坏')</script>\x00\u202e\"&amp;</style>{{ 7 * 7 }}"


def test_what_a_text_holds_is_escaped_and_shows_or_moves_nothing_hidden() -> None:
    tables = {HOSTILE: ([HOSTILE], [[HOSTILE]])}
    page = pages.render("scheme.html", Path(), title=HOSTILE, made=HOSTILE, tables=tables, pictures={})
    assert page.count("<script") == 0 and page.count("</style>") == 1
    assert not re.search("[\x00\u202e]", page)
    shown = "&lt;script&gt;alert(&#39;坏&#39;)&lt;/script&gt;&#34;&amp;amp;&lt;/style&gt;{{ 7 * 7 }}"
    assert page.count(shown) == 6  # the title twice


def test_marks_have_the_strength_of_what_each_character_adds() -> None:
    text, weights = "退款<没到 账", [4.0, 4.0, 0.0, -2.0, -2.0, 1.0, 0.1]
    marked = pages.highlighted(text, weights)
    assert marked == ('<mark class="p4">退款</mark>&lt;<mark class="n2">没到</mark><mark class="p1"> </mark>账')
    assert re.sub("<.*?>", "", marked).replace("&lt;", "<") == text
    assert pages.highlighted("无", [0.0]) == "无" and pages.highlighted("", []) == ""
    assert isinstance(marked, Markup)
