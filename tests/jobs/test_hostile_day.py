"""The worst day of the stream through the real commands: every row ends in one place, and nothing personal in a log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distill.models.registry import Registry
from tests.conftest import submit
from tests.jobs import tiny_model

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAY = "2026-11-09"
PHONE, IDENTITY = "13912345678", "11010119900307123X"
SAID = f"物业乱收费退款没到账，我的电话是{PHONE}，身份证{IDENTITY}，请回电"
REPEATS = 100_000


def lines() -> Iterator[bytes]:
    """Records and what is none; `expected` says where each ends."""

    def record(identity: str, text: Any) -> bytes:
        return json.dumps({"opinion_id": identity, "text": text, "source": "网"}, ensure_ascii=False).encode()

    yield from (record(f"said-{i}", SAID * (1 + i % 2)) for i in range(20))
    yield record("long", "投诉" * (25 << 20 >> 2))  # a line of 38 MB
    yield b'{"opinion_id": "longer", "text": "' + b"x" * (50 << 20)  # and one of 50 MB that is none
    yield record("tokens", "物业 退款 " * 250_000)
    for plane in range(17):
        characters = [chr(c) for c in range(plane << 16, (plane << 16) + 0x10000) if not 0xD800 <= c < 0xE000]
        yield from (record(f"plane-{plane}-{i}", "".join(characters[i : i + 2048])) for i in range(0, 0x10000, 2048))
    yield b'{"opinion_id": "half-\\ud83d", "text": "\\ude00\\ud83d x\\udfff \\ud800"}'
    yield record("turned", "\u202e投诉\u202d物业\u200f\u2067退款\u2069\u061c")
    yield from (record("same", f"退款{i % 7}") for i in range(REPEATS))
    yield PHONE.encode()
    yield f"{SAID} is no record".encode()
    yield b"\xff" + SAID.encode()


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A home in which the day was loaded and scored, and what the two commands said."""
    home = tmp_path_factory.mktemp("hostile")
    with open(home / "day.jsonl", "wb") as file:
        file.writelines(line + b"\n" for line in lines())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPINION_HOME", str(home))
        version = tiny_model.add_model("tiny", 1)
    Registry(str(home / "registry")).promote(version, "the only one")
    load = submit("load_opinions", "--dt", DAY, "--input", str(home / "day.jsonl"), home=home, timeout=600)
    score = submit("score_opinions", "--dt", DAY, home=home, timeout=600)
    return home, [load, score]


def test_every_row_ends_in_one_place(user: tuple[Path, list[Any]]) -> None:
    _, (load, score) = user
    assert (load.returncode, score.returncode) == (0, 0), load.stderr + score.stderr
    read = sum(1 for _ in lines())
    assert f"read {read} lines = stored {read - 4} + rejected 4 (broken_json 2" in load.stdout, load.stdout
    assert f"read {read - 4} = scored " in score.stdout
    assert f"duplicate_row {-(-REPEATS // 7) - 1}, id_with_another_text {REPEATS - -(-REPEATS // 7)}" in score.stdout


def test_nothing_personal_is_printed_or_logged(user: tuple[Path, list[Any]]) -> None:
    home, done = user
    printed = "".join(run.stdout + run.stderr for run in done)
    logs = "".join(file.read_text(encoding="utf-8", errors="replace") for file in (home / "logs").iterdir())
    assert "said" in (home / "day.jsonl").read_text(encoding="utf-8", errors="replace")
    for number in (PHONE, IDENTITY):
        assert number not in printed and number not in logs
    assert SAID[:6] not in logs
    assert "\u202e" not in printed
