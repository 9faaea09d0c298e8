"""Explain a score: what each n-gram adds to the margin, for one model or for two side by side.

The score is 1 / (1 + exp(-margin)), so a margin above that of the threshold is a valid complaint. The parts are exact:
they sum to the margin. --text needs no Spark; an opinion of a loaded day is read from its table.
"""

import argparse
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from distill.errors import BadInput
from distill.models.registry import CHAMPION
from distill.scoring.explain import Explanation, Span, explain, largest
from distill.scoring.scorer import Scorer, margin_of
from jobs.common.cli import day, job_parser
from jobs.common.failures import run_main
from jobs.common.home import home_registry
from jobs.reports.console import fit_width, mask_digits, one_line

TOP = 12
NGRAM_WIDTH = 28


def main() -> None:
    """Find the text, explain its score by each model, print."""
    args = parser().parse_args()
    if (args.opinion_id is None) != (args.dt is None):
        raise BadInput("--opinion-id and --dt belong together: an opinion is found by its id in its day")
    if args.top < 1:
        raise BadInput(f"--top must be 1 or more, not {args.top}")
    registry = home_registry()
    text, stored = args.text, None
    if args.opinion_id is not None:
        text, stored = stored_opinion(args.database, args.dt, args.opinion_id)
    explained: dict[str, tuple[Scorer, Explanation]] = {}
    wanted = args.model or (stored["version"] if stored else CHAMPION)
    for name in (wanted, *([args.against] if args.against else [])):
        saved = registry.load(registry.resolve(name))
        scorer = Scorer(saved.bundle, saved.operating)
        explained[saved.version] = scorer, explain(scorer, text)
    # The text up to the limit of the model that reads most of it.
    shown = max((explanation.text for _, explanation in explained.values()), key=len)
    content = facts(mask_digits(shown) if args.text is None else shown, stored, explained, args.top)
    print(
        json.dumps(content, ensure_ascii=False, indent=1) if args.json else "\n".join(explanation_lines(content)),
        flush=True,
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    alone = '.venv/bin/opinion explain --text "…" --against VERSION'
    flags = job_parser(__doc__, "explain --opinion-id ID --dt 2026-11-09", alone)
    which = flags.add_mutually_exclusive_group(required=True)
    which.add_argument("--text", help="a text of your own")
    which.add_argument("--opinion-id", metavar="ID", help="an opinion of the day --dt; long numbers in it are masked")
    flags.add_argument("--dt", type=day, help="the day of the opinion")
    flags.add_argument("--model", help="a version (default: the one that scored the opinion, or else the champion)")
    flags.add_argument("--against", metavar="VERSION", help="another version, or champion, to compare with")
    flags.add_argument("--top", type=int, default=TOP, help="n-grams to show")
    flags.add_argument("--json", action="store_true", help="print JSON for machines")
    return flags


def stored_opinion(database: str, dt: str, opinion_id: str) -> tuple[str, dict[str, Any] | None]:
    """The text of an opinion, with the version and score of its day; None for an opinion without a score.

    Raises BadInput when the opinion is missing, or when the job was not started by spark-submit.
    """
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        raise BadInput("--opinion-id reads the tables: start it with spark-submit, as --help shows")
    from pyspark.sql import functions as F

    from jobs.warehouse.session import spark_session
    from jobs.warehouse.tables import OPINION_SCORE, RAW_OPINION, SCORING_RUN
    from jobs.warehouse.warehouse import Warehouse

    warehouse = Warehouse(spark_session("explain"), database)
    raw = warehouse.read(RAW_OPINION, dt=dt).where(F.col("opinion_id") == opinion_id)
    # The row of a repeated id that is scored.
    row = raw.orderBy(F.col("published_at").asc_nulls_last(), "text", "source").select("text").first()
    if row is None:
        raise BadInput(f"{warehouse.name(RAW_OPINION)} has no opinion {opinion_id} on {dt}; see its rejected_opinion")
    scored = warehouse.read(OPINION_SCORE, dt=dt).where(F.col("opinion_id") == opinion_id).first()
    if scored is None:
        return row.text or "", None
    readers = {"student_score": scored.student_score, "reader_score": scored.reader_score}
    reader = None
    if scored.reader_score is not None:
        run = warehouse.read(SCORING_RUN, dt=dt).where(F.col("run_id") == scored.run_id).select("second_reader").first()
        reader = run and run.second_reader
    return row.text or "", {"version": scored.model_version, "score": scored.score, **readers, "second_reader": reader}


def facts(
    shown: str, stored: dict[str, Any] | None, explained: Mapping[str, tuple[Scorer, Explanation]], top: int
) -> dict[str, Any]:
    """The content of --json. shown: the text, perhaps masked, that the n-grams are cut from."""
    spans = largest([explanation for _, explanation in explained.values()], top)
    models = [model_facts(shown, version, *one, spans) for version, one in explained.items()]
    return {"text": shown, "stored": stored, "models": models}


def model_facts(
    shown: str, version: str, scorer: Scorer, explanation: Explanation, spans: list[Span]
) -> dict[str, Any]:
    """One model's score and n-grams; every model lists the same n-grams, with 0 for those that it lacks."""
    margins = {(part.start, part.end): part.margin for part in explanation.parts}
    threshold = float(scorer.threshold)
    ngrams = [
        {"ngram": shown[start:end], "start": start, "end": end, "margin": margins.get((start, end), 0.0)}
        for start, end in spans
    ]
    others = [margin for span, margin in margins.items() if span not in spans]
    return {
        "version": version,
        "score": explanation.score,
        "threshold": threshold,
        "is_valid": bool(explanation.score >= threshold),
        "margin": explanation.margin,
        "threshold_margin": margin_of(threshold),
        "base": explanation.base,
        "ngrams": ngrams,
        "others": {"count": len(others), "margin": sum(others)},
    }


def stored_lines(stored: dict[str, Any]) -> list[str]:
    """The score of the day; where a second reader decided, also what each of the two gave."""
    lines = [f"score of the day: {stored['score']:.4f} by {stored['version']}"]
    if stored["reader_score"] is not None:
        lines.append(
            f"decided with the second reader {stored['second_reader']}: it gave {stored['reader_score']:.4f}, "
            f"the student {stored['student_score']:.4f}"
        )
    return lines


def explanation_lines(content: dict[str, Any]) -> list[str]:
    """The content as text: the models, then one column of numbers per model and the n-grams."""
    models = dict(zip("AB", content["models"], strict=False))
    stored = content["stored"]

    def line(cells: Iterable[str], what: str) -> str:
        return f"{''.join(cell.rjust(10) for cell in cells)}  {what}".rstrip()

    def numbers(name: str, what: str) -> str:
        return line((f"{model[name]:+.4f}" for model in models.values()), what)

    decided = {True: "a valid complaint", False: "junk"}
    return [
        f"text: {one_line(content['text'])}",
        *(stored_lines(stored) if stored else []),
        *(
            f"{name}: {model['version']}, {decided[model['is_valid']]}, "
            f"score {model['score']:.4f}, threshold {model['threshold']:.4f}"
            for name, model in models.items()
        ),
        "",
        line(models, ""),
        numbers("threshold_margin", "margin from which it is a valid complaint"),
        numbers("margin", "margin here, the sum of what follows"),
        *(
            line(
                (f"{model['ngrams'][i]['margin']:+.4f}" for model in models.values()),
                fit_width(one["ngram"], NGRAM_WIDTH),
            )
            for i, one in enumerate(content["models"][0]["ngrams"])
        ),
        line((f"{model['others']['margin']:+.4f}" for model in models.values()), "(all other n-grams)"),
        numbers("base", "(what no character accounts for)"),
    ]


if __name__ == "__main__":
    run_main(main)
