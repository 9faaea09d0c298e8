"""The README and docs/tables.md are true: commands run, and tables and exit codes are the program's."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from distill import errors
from distill.models.registry import Registry
from jobs.warehouse.tables import TABLES
from tests.distill.tiny_encoder import tiny_encoder
from tests.jobs import tiny_model

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES_PAGE = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines() if line.strip()
]
LINE = {
    "opinion_id": "1",
    "text": "客服态度差，退款三个月没到账",
    "source": "review",
    "published_at": "2026-11-09T08:00:00Z",
}


def run(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OPINION_HOME": str(home)}
    return subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.spark
@pytest.mark.slow
def test_every_command_runs_in_the_order_of_the_page(tmp_path: Path) -> None:
    day = tmp_path / "day.jsonl"
    day.write_text(json.dumps(LINE, ensure_ascii=False) + "\n", encoding="utf-8")
    encoder = tiny_encoder(tmp_path / "encoder", positions=128)
    printed = {}
    assert "make demo" in COMMANDS and "make test" in COMMANDS
    for command in COMMANDS:
        if command != "make test":  # it is what runs this
            command = command.replace("PATH", str(day)).replace("ENCODER", str(encoder))
            if "make sql" in command:  # as an analyst pastes one: in lines, with signs of make and of the shell
                command = command.replace(" group by", "\n  and text rlike '^.+$' -- 按来源\ngroup by")
            if "--init" in command or "--teacher bert --transfer-dt" in command:
                command += " --target-precision 0.5"  # 95% is out of reach of an encoder so small
            done = run(command, tmp_path / "home")
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            printed[command] = done.stdout
    demo = printed["make demo"]
    counts = re.search(r"read (\d+) = scored (\d+) \+ rejected (\d+)", demo)
    assert counts and int(counts[1]) == int(counts[2]) + int(counts[3]) > 4000
    assert re.search(r"the 10 highest of \d+ valid complaints", demo) and "threshold" in demo
    # The one opinion of the second day is as plain a complaint as can be.
    sql = next(output for command, output in printed.items() if command.startswith("make sql"))
    assert re.search(r"^review\t1\t0\.9", sql, re.MULTILINE), sql


def test_the_python_of_the_page_scores_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINION_HOME", str(tmp_path / "var"))
    Registry(tmp_path / "var" / "registry").promote(tiny_model.add_model("tiny", 1), "the test's")
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    command, path = [sys.executable, "-c", snippet], os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and re.fullmatch(r"\[\d\S*\]\n", done.stdout), done.stderr


def test_make_alone_explains_the_targets_that_the_readme_names() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    listed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("make ")}
    named = set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", README, re.MULTILINE))
    assert {a or b for a, b in named} <= listed and {"setup", "demo", "test", "test-fast", "bench", "sql"} <= listed


@pytest.mark.parametrize(
    "table", [t for t in TABLES if t.name not in ("rejected_label", "scoring_run", "scheme_run")], ids=lambda t: t.name
)
def test_the_columns_are_those_of_the_tables(table) -> None:  # type: ignore[no-untyped-def]
    row = re.search(rf"^\| `{table.name}` \|(.*?)\|(.*?)\|$", TABLES_PAGE, re.MULTILINE)
    assert row, f"{table.name} is not in docs/tables.md"
    assert [p for p in row[1].strip().split(", ") if p] == list(table.partitions)
    assert [column.split(" (")[0] for column in re.split(r", (?![^(]*\))", row[2].strip())] == list(table.columns)


def test_the_exit_codes_are_those_of_the_errors() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d) \|", TABLES_PAGE, re.MULTILINE)}
    kinds = errors.OpinionError.__subclasses__()
    assert documented == {0, 1} | {kind.exit_code for kind in kinds}
    assert len({kind.exit_code for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
