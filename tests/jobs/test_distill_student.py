"""jobs/distill_student.py: flags that do not fit together, and the whole chain from labels to a student that scores."""

import csv
import json
import random
import re
import runpy
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
import pytest

from distill.errors import BadInput
from distill.logits import fingerprint
from distill.registry import Registry
from distill.text import normalise
from jobs.distill_student import check_scheme, parser, plan_of, schedule
from tests.conftest import submit

HERE = Path(__file__).parent
TEACHER = runpy.run_path(str(HERE / "tiny_teacher.py"))
DAY = "2026-11-09"
BAD, GOOD = ["退款没到账", "物业乱收费", "客服打不通"], ["真好吃", "这家店的菜", "转发微博"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--scheme offline", "--scheme offline needs one --teacher"),
        ("--scheme offline --teacher bert textcnn", "--scheme offline needs one --teacher"),
        ("--scheme multi-teacher --teacher bert", "needs two or more after --teacher"),
        ("--teacher bert", "--scheme textcnn reads no stored logits"),
        (f"--scheme joint-sum --transfer-dt {DAY}", "--scheme joint-sum reads no stored logits"),
        ("--scheme joint-isolated --hint 0", "--scheme joint-isolated reads no stored logits"),
        ("--scheme textcnn --embeddings teacher", "--embeddings teacher are of --scheme offline and multi-teacher"),
        ("--scheme offline --teacher bert --temperature 0", "--temperature must be above 0"),
        ("--scheme offline --teacher bert --alpha-soft 0 --beta-hard 0", "not all 0"),
        ("--scheme offline --teacher bert --alpha-soft -1", "--alpha-soft and --beta-hard 0 or more"),
        ("--scheme multi-teacher --teacher a b --alpha-soft 1", "--alpha-soft has 1 weights for 2 teachers"),
        ("--batch 0", "--batch, --accumulate, --hint-epochs, --max-length and --layers must be 1 or more"),
        ("--learning-rate 0", "must be above 0"),
        ("--epochs 0", "--epochs and --num-proc must be 1 or more"),
        ("--train-rows 0", "--train-rows must be 1 or more"),
    ],
)
def test_flags_that_do_not_fit_together_are_refused_in_one_line(flags: str, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)) as refused:
        check_scheme(parser().parse_args(flags.split()))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--scheme online", "invalid choice: 'online'"),
        ("--route 120", "'120' is not STEP:EPOCHS, such as 120:1"),
        ("--transfer-dt 9-11-2026", "is not a day"),
    ],
)
def test_flags_that_are_misspelt_end_with_the_code_of_bad_input(flags: str, says: str, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        parser().parse_args(flags.split())
    assert left.value.code == BadInput.exit_code
    [line] = capsys.readouterr().err.splitlines()
    assert says in line


@pytest.mark.parametrize(
    "flags",
    [
        "",
        f"--scheme offline --teacher bert --transfer-dt {DAY} --route 10:1 20:2",
        "--scheme multi-teacher --teacher bert champion --alpha-soft 1 0.5",
        "--scheme offline --teacher bert --beta-hard 0",
        "--scheme offline --teacher bert --embeddings teacher --hint -1",
        "--scheme offline --teacher bert --alpha-soft 0",
    ],
)
def test_flags_that_fit_together_pass(flags: str) -> None:
    check_scheme(parser().parse_args(flags.split()))


def test_a_route_comes_before_the_epochs_of_the_teacher_itself() -> None:
    """Of two teachers the anchors stand for the first; their logits are numbered after all teachers."""
    flags = "--scheme multi-teacher --teacher bert textcnn --route 10:1 20:2 --epochs 2"
    args = parser().parse_args(flags.split())
    assert schedule(args, 2) == ((2, 1), (3, 1), (3, 1), (0, 1), (0, 1))
    plan = plan_of(args, 2)
    assert (plan.epochs, plan.alpha_soft, len(plan.schedule)) == (5, (1.0, 1.0), 5)


# From here on as their user runs them.


@pytest.mark.spark
@pytest.mark.slow
def test_a_refusal_ends_the_job_before_spark_is_asked_for_anything(tmp_path: Path) -> None:
    done = submit("distill_student", "--scheme", "offline", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "--scheme offline needs one --teacher" in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "metastore_db").exists()


def some_texts(rows: int, seed: int) -> list[tuple[str, int]]:
    """Texts and labels: one phrase that tells, in noise."""
    draw = random.Random(seed)
    noise = [chr(c) for c in range(0x5000, 0x5040)]
    labels = [draw.randrange(2) for _ in range(rows)]
    return [
        ("".join(draw.choices(noise, k=4)) + draw.choice(BAD if y else GOOD) + draw.choice(noise), y) for y in labels
    ]


LABELS, STREAM = some_texts(400, 0), [text for text, _ in some_texts(60, 1)]
CHAIN = [
    "load_labels --input labels.csv",
    f"load_opinions --dt {DAY} --input day.jsonl",
    "train_teacher --init encoder --max-length 32 --epochs 1 --precision float32 --learning-rate 1e-3 "
    "--target-precision 0.3",
    "store_teacher_logits --teacher bert --labelled",
    f"store_teacher_logits --teacher bert --dt {DAY}",
    f"distill_student --scheme offline --teacher bert --transfer-dt {DAY} --embeddings teacher --epochs 1 "
    "--target-precision 0.3",
]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A home in which labels and a day were loaded, and a teacher and a student trained; what each job said."""
    home = tmp_path_factory.mktemp("chain")
    TEACHER["tiny_encoder"](home / "encoder")
    with open(home / "labels.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["opinion_id", "text", "label", "source"])
        writer.writerows((f"l{i}", text, label, "review") for i, (text, label) in enumerate(LABELS))
    # Two that are labelled, and one that cannot be scored.
    texts = [*STREAM, *(f" {text} " for text, _ in LABELS[:2]), "！！！"]
    lines = [
        json.dumps({"opinion_id": f"s{i}", "text": text, "source": "web", "published_at": f"{DAY}T08:00:00Z"})
        for i, text in enumerate(texts)
    ]
    (home / "day.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = []
    for command in CHAIN:
        job, *flags = command.split()
        paths = [str(home / flag) if (home / flag).exists() else flag for flag in flags]
        done = submit(job, *paths, home=home)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said.append(done.stdout)
    return home, said


def manifests(home: Path) -> dict[str, Any]:
    registry = Registry(str(home / "registry"))
    return {version: registry.load(version)[1].manifest for version in registry.versions()}


@pytest.mark.spark
@pytest.mark.slow
def test_the_chain_leaves_a_teacher_its_route_and_a_student(chain: tuple[Path, list[str]]) -> None:
    home, said = chain
    found = manifests(home)
    teacher, student = Registry(str(home / "registry")).resolve("bert"), said[-1].split("saved as ")[1].split()[0]
    assert re.fullmatch(r"offline-\d{8}T\d{6}Z-[0-9a-f]{6}", student)
    anchors = [version for version in found if version.startswith(f"{teacher}-step-")]
    assert anchors and set(found) == {teacher, student, *anchors}
    assert not list((home / "train").iterdir()), "snapshots and checkpoints are gone"
    rows = found[teacher]["lineage"]["rows"]
    assert sum(rows.values()) == len({normalise(text) for text, _ in LABELS})
    assert found[teacher]["lineage"]["scheme"] == "bert"
    assert found[student]["metrics"]["test"]["rows"] == rows["test"]


@pytest.mark.spark
@pytest.mark.slow
def test_the_lineage_of_the_student_says_what_taught_it(chain: tuple[Path, list[str]]) -> None:
    home, said = chain
    registry = Registry(str(home / "registry"))
    teacher, bundle = registry.load(registry.resolve("bert"))
    lineage = registry.load(registry.resolve("offline"))[1].manifest["lineage"]
    assert lineage["scheme"] == "offline"
    [of_teacher] = lineage["teachers"]
    assert of_teacher["version"] == teacher
    assert fingerprint(bundle.digest, "float32") in of_teacher["fingerprints"]
    assert of_teacher["train_rows"] == lineage["rows"]["train"]
    assert (lineage["transfer"]["days"], lineage["transfer"]["rows"]) == ([DAY], len(set(STREAM)))
    seen = lineage["rows"]["train"] + lineage["transfer"]["rows"]
    assert [point["rows"] for point in lineage["curve"]] == [seen]
    assert f"training on {seen} texts" in said[-1]
    assert lineage["inside"] == {"teacher": teacher, "embeddings": True, "hint_layer": None, "hint_epochs": 1}
    assert lineage["training"]["temperature"] > 0 and lineage["training"]["alpha_soft"] == [1.0]


@pytest.mark.spark
@pytest.mark.slow
def test_the_student_scores_the_day(chain: tuple[Path, list[str]]) -> None:
    home, _ = chain
    student = Registry(str(home / "registry")).resolve("offline")
    done = submit("score_opinions", "--dt", DAY, "--model", student, home=home)
    assert done.returncode == 0, done.stderr
    assert f"read {len(STREAM) + 3} = scored {len(STREAM) + 2} + rejected 1" in done.stdout
    [run] = (home / "data/opinion/score_opinions" / f"dt={DAY}").glob("run=*")
    rows = pads.dataset(run / "table=opinion_score", format="parquet").to_table()
    assert set(rows["model_version"].to_pylist()) == {student} and rows.num_rows == len(STREAM) + 2
