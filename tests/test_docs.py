"""The pages tell the truth: each command's flags are its job's, links and targets are there, both READMEs agree."""

import importlib
import re
import shlex
import sys

import pytest

from distill import __version__, errors
from jobs.common import cli
from tests.pages import OPERATIONS, PAGES, ROOT, blocks

# What stands for something of the reader's own.
WORDS = {"ENCODER": "encoder", "PATH": "path", "ID": "id", "VERSION": "offline-20261109T000000Z-0a1b2c", "…": "text"}


def commands() -> list[tuple[str, str, tuple[str, ...]]]:
    """Page, job and flags of every line of a block that runs a job."""
    lines = set()
    for page in PAGES:
        for line in "\n".join(blocks(page, r"(?:sh|bash)?")).splitlines():
            match = re.search(r"(?:bin/opinion (?:--retry )?(?!sql\b)(\w+)|jobs/(\w+)\.py)(.*)", line)
            if match:
                words = shlex.split(match[3], comments=True)
                lines.add((page.name, match[1] or match[2], tuple(WORDS.get(word, word) for word in words)))
    return sorted(lines)


class Parsed(Exception):
    pass


@pytest.mark.parametrize(("page", "job", "flags"), commands(), ids=lambda at: at if isinstance(at, str) else "")
def test_the_flags_of_a_command_are_those_of_the_job(page, job, flags, monkeypatch):
    """The job's own parser reads them; the job goes no further."""

    def parse(parser, args=None, namespace=None):
        super(cli.Parser, parser).parse_args(args, namespace)
        raise Parsed

    monkeypatch.setattr(cli.Parser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", [f"{job}.py", *flags])
    with pytest.raises(Parsed):
        importlib.import_module(f"jobs.{job}").main()


def test_commands_were_found():
    jobs = {job for _, job, _ in commands()}
    assert {"load_opinions", "score_opinions", "retrain", "registry", "explain", "store_teacher_logits"} <= jobs


def test_the_targets_that_pages_name_are_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_the_changelog_has_the_version():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased" and headings[1].split(" ")[0] == __version__


def test_every_exit_code_has_its_first_look():
    codes = re.findall(r"^\| (\d) \|", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(code) for code in codes} == {1, *(kind.exit_code for kind in errors.OpinionError.__subclasses__())}


def test_the_settings_of_the_page_are_read(tmp_path, monkeypatch):
    (settings,) = blocks(OPERATIONS, "toml")
    (tmp_path / "c.toml").write_text(settings, encoding="utf-8")
    monkeypatch.setenv("OPINION_CONFIG", str(tmp_path / "c.toml"))
    monkeypatch.setattr(sys, "argv", ["retrain.py"])
    args = importlib.import_module("jobs.retrain").parser().parse_args()
    assert (args.database, args.init, args.num_proc) == ("opinion", "/models/bert-base-chinese", 2)


def test_both_readmes_say_the_same():
    """Blocks are equal; what is code, a number or a name of a column stands in both, row by row of the tables."""
    english, chinese = (ROOT / name for name in ("README.md", "README.zh-CN.md"))
    assert blocks(english) == blocks(chinese)
    rows = [re.findall(r"^\|.*\|$", page.read_text(encoding="utf-8"), re.MULTILINE) for page in (english, chinese)]
    assert len(rows[0]) == len(rows[1])
    for here, there in zip(*rows, strict=True):
        assert facts_of(here) == facts_of(there), there
    prose = [facts_of(page.read_text(encoding="utf-8")) for page in (english, chinese)]
    assert prose[0] == prose[1], prose[0] ^ prose[1]


def facts_of(text: str) -> set[str]:
    """Facts that are the same in every language: code, links, decimals, percentages, names with an underscore."""
    facts = re.findall(r"`[^`\n]+`|\]\([^)]+\.md\)|\d+\.\d+|\d+%|\b[a-z]+(?:_[a-z]+)+\b|\b\d+,\d+\b", text)
    return {fact for fact in facts if "README" not in fact}
