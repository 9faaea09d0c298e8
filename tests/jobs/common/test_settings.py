"""Settings: the flag, else the environment, else the file, else the default; what is no flag is refused by name."""

import argparse
import sys

import pytest

from distill import CHECKOUT
from distill.errors import BadInput
from jobs.common import settings
from jobs.common.cli import day, job_parser
from jobs.training import retrain_flags, student_flags


@pytest.fixture
def parsed(monkeypatch, tmp_path):
    """The settings of a job with a flag of each kind, from words, variables and a file."""

    def parse(*words: str, file: str | None = None, **variables: str) -> argparse.Namespace:
        parser = job_parser("A job.", "score_opinions --dt 2026-11-09")
        parser.add_argument("--dt", type=day, required=True)
        parser.add_argument("--model", default="champion")
        parser.add_argument("--share", type=float, default=0.5)
        parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
        parser.add_argument("--dry-run", action="store_true")
        parser.add_argument("--input", nargs="+", default=[])
        one = parser.add_mutually_exclusive_group(required=True)
        one.add_argument("--labelled", action="store_true")
        one.add_argument("--days", type=day, nargs="+")
        if file is not None:
            (tmp_path / "c.toml").write_text(file, encoding="utf-8")
            words = ("--config", str(tmp_path / "c.toml"), *words)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["score_opinions.py", *words])
        return parser.parse_args()

    return parse


NEEDED = ("--dt", "2026-11-09", "--labelled")


def test_the_flag_then_the_variable_then_the_file_then_the_default(parsed):
    file = '[score_opinions]\nmodel = "of-the-file"\n'
    assert parsed(*NEEDED).model == "champion"
    assert parsed(*NEEDED, file=file).model == "of-the-file"
    assert parsed(*NEEDED, file=file, OPINION_SCORE_OPINIONS_MODEL="of-the-variable").model == "of-the-variable"
    assert parsed(*NEEDED, "--model", "of-the-flag", file=file).model == "of-the-flag"  # the variable is still set
    assert parsed(*NEEDED, "--model=champion", file=file).model == "champion"  # also where it is the default


def test_a_required_flag_may_come_from_the_variable_or_the_file(parsed):
    assert parsed("--labelled", OPINION_SCORE_OPINIONS_DT="2026-11-10").dt == "2026-11-10"
    assert parsed(file="[score_opinions]\ndt = 2026-11-09\nlabelled = true\n").labelled is True


def test_every_kind_of_value(parsed):
    given = ["share = 0.25", "dry-run = true", 'input = ["甲 乙", "c"]', "days = [2026-11-09]", "dt = '2026-11-11'"]
    args = parsed(file="\n".join(["[score_opinions]", *given]))
    assert (args.share, args.dry_run, args.input, args.days) == (0.25, True, ["甲 乙", "c"], ["2026-11-09"])
    args = parsed(*NEEDED, OPINION_SCORE_OPINIONS_INPUT="'甲 乙' c", OPINION_SCORE_OPINIONS_DRY_RUN="true")
    assert (args.input, args.dry_run) == (["甲 乙", "c"], True)


def test_a_switch_can_be_turned_off_again(parsed):
    file = "[score_opinions]\ndry-run = true\n"
    assert parsed(*NEEDED, file=file).dry_run is True
    assert parsed(*NEEDED, "--no-dry-run", file=file).dry_run is False
    assert parsed(*NEEDED, file=file, OPINION_SCORE_OPINIONS_DRY_RUN="false").dry_run is False


def test_of_flags_that_exclude_each_other_the_nearer_wins(parsed):
    file = "[score_opinions]\nlabelled = true\n"
    args = parsed("--dt", "2026-11-09", "--days", "2026-11-01", file=file)
    assert (args.labelled, args.days) == (False, ["2026-11-01"])
    args = parsed("--dt", "2026-11-09", file=file, OPINION_SCORE_OPINIONS_DAYS="2026-11-01 2026-11-02")
    assert (args.labelled, args.days) == (False, ["2026-11-01", "2026-11-02"])
    with pytest.raises(BadInput, match="exclude each other"):
        parsed("--dt", "2026-11-09", file="[score_opinions]\nlabelled = true\ndays = [2026-11-01]\n")


def test_the_database_is_set_for_all_jobs_or_for_one(parsed):
    file = 'database = "shared"\n'
    assert parsed(*NEEDED, file=file).database == "shared"
    assert parsed(*NEEDED, file=f'{file}[score_opinions]\ndatabase = "own"\n').database == "own"
    assert parsed(*NEEDED, file=file, OPINION_DATABASE="of_all").database == "of_all"
    assert parsed(*NEEDED, file=file, OPINION_SCORE_OPINIONS_DATABASE="of_one").database == "of_one"


@pytest.mark.parametrize(
    ("file", "variables", "message"),
    [
        ("[score_opinions]\nmodle = 'x'", {}, r"c.toml: \[score_opinions\] modle: .* did you mean --model\?"),
        ("[score_opinion]\nmodel = 'x'", {}, "no job score_opinion; did you mean score_opinions"),
        ("[snapshot]\nx = 1", {}, "c.toml: there is no job snapshot"),
        ("[tabels]\nx = 1", {}, "c.toml: there is no job tabels$"),
        ("[reports_day]\nx = 1", {}, r"no job reports_day; did you mean report_day\?"),
        ("model = 'x'", {}, "model is not a flag of every job"),
        ("[score_opinions]\nshare = 'half'", {}, "share: 'half' is not of the kind float"),
        ("[score_opinions]\nshare = [0.1, 0.2]", {}, "is not one value of --share"),
        ("[score_opinions]\ndry-run = 3", {}, "dry-run: 3 is neither true nor false"),
        ("[score_opinions]\nmodel = true", {}, "is not one value of --model"),
        ("[score_opinions", {}, "c.toml: .*it is TOML"),
        (None, {"OPINION_SCORE_OPINIONS_MODLE": "x"}, "OPINION_SCORE_OPINIONS_MODLE: .* did you mean --model"),
        (None, {"OPINION_SCORE_OPINIONS_DAYS": "2026-1-1"}, "OPINION_SCORE_OPINIONS_DAYS: '2026-1-1' is not a day"),
        (None, {"OPINION_SCORE_OPINIONS_FORMAT": "cvs"}, "none of csv, parquet; did you mean csv"),
        (None, {"OPINION_SCORE_OPINIONS_INPUT": "'a"}, "OPINION_SCORE_OPINIONS_INPUT: .*quot"),
        (None, {"OPINION_CONFIG": "/nowhere.toml"}, "--config /nowhere.toml: No such file"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(parsed, file, variables, message):
    with pytest.raises(BadInput, match=message):
        parsed("--dt", "2026-11-09", file=file, **variables)


def test_the_jobs_are_the_commands_and_nothing_else():
    """Files of jobs/ that are started, not the modules beside them."""
    started = {file.stem for file in (CHECKOUT / "jobs").glob("*.py") if "run_main(main)" in file.read_text("utf-8")}
    assert set(settings.JOBS) == started and len(settings.JOBS) == len(started)
    readme = (CHECKOUT / "README.md").read_text("utf-8")
    assert all(job in readme for job in started)


def test_another_job_is_not_meant(parsed):
    args = parsed(*NEEDED, OPINION_RETRAIN_INIT="x", OPINION_HOME="/tmp", file='[retrain]\nanything = "x"\n')
    assert args.model == "champion"


def test_a_command_line_that_a_job_builds_is_not_filled_up(monkeypatch):
    """A grid has flags of distill_student; the user's settings are of the user's job."""
    monkeypatch.setenv("OPINION_DISTILL_STUDENT_EPOCHS", "99")
    assert student_flags.parser().parse_args([]).epochs != 99
    monkeypatch.setattr(sys, "argv", ["distill_student.py"])
    assert student_flags.parser().parse_args().epochs == 99


def test_an_unknown_flag_is_named_before_one_that_is_missing(capsys):
    with pytest.raises(SystemExit):
        retrain_flags.parser().parse_args(["--dry-rum"])
    assert "there is no flag --dry-rum; did you mean --dry-run?" in capsys.readouterr().err
