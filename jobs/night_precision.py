"""Estimate the precision and recall of scored nights from the audit samples that people labelled.

Every night draws a sample (audit_sample, and a CSV in audit/ of the home folder). Label the sample and load it with
load_labels. This job weighs the labels by stratum and stores the estimates in night_precision.
"""

import argparse
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import functions as F

from distill.errors import BadInput
from distill.evaluation.stratified import Estimate, Stratum, precision, recall
from jobs.common.cli import day, job_parser
from jobs.common.failures import run_main
from jobs.ingest.hashed_texts import hashed
from jobs.warehouse import publish
from jobs.warehouse.session import spark_session
from jobs.warehouse.tables import AUDIT_SAMPLE, LABELLED_OPINION, NIGHT_PRECISION, SCORING_RUN
from jobs.warehouse.warehouse import Warehouse


def main() -> None:
    """Estimate, publish and print day by day."""
    args = parser().parse_args()
    warehouse = Warehouse(spark_session("night_precision"), args.database)
    sampled = warehouse.days(AUDIT_SAMPLE)
    if missing := sorted(set(args.dt) - set(sampled)):
        raise BadInput(f"no sample was drawn of {', '.join(missing)}; score_opinions draws one, unless --sample 0")
    for dt in args.dt or sampled:
        print(estimate_text(estimate(warehouse, dt)), flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    flags = job_parser(__doc__, "night_precision --dt 2026-11-09")
    flags.add_argument("--dt", type=day, nargs="+", default=[], help="days (default: all with a sample)")
    return flags


def estimate(warehouse: Warehouse, dt: str) -> dict[str, Any]:
    """Publish the estimates of one day; the row that was written, with its day."""
    partitions = [(NIGHT_PRECISION, {"dt": dt})]
    with publish.run(warehouse, "night_precision", f"dt={dt}", partitions) as run:
        sample = warehouse.read(AUDIT_SAMPLE, dt=dt)
        first = sample.select("model_version", F.col("run_id").alias("sample_run_id")).first()
        strata = labelled_strata(warehouse, dt)
        row = {
            "model_version": first and first.model_version,
            "sample_run_id": first and first.sample_run_id,
            "rows_sampled": sample.count(),
            "rows_labelled": sum(stratum.labelled for stratum in strata),
            "complaints": sum(stratum.complaints for stratum in strata),
            **ratio("precision", precision(strata)),
            **ratio("recall", recall(strata)),
            "estimated": datetime.now(UTC),
            "run_id": run.id,
        }
        row |= against_promise(warehouse, dt, row)
        run.stage_rows(NIGHT_PRECISION, [row])
        run.switch(partitions)
    return {"dt": dt, **row}


def labelled_strata(warehouse: Warehouse, dt: str) -> list[Stratum]:
    """The strata of a day's sample with the labels of their rows.

    A row has the label of its text, whatever id the label was loaded with. A text with both labels is in rejected_label
    and counts as not labelled.
    """
    sample = hashed(warehouse.read(AUDIT_SAMPLE, dt=dt).select("text", "is_valid", "stratum", "stratum_rows"))
    labels = hashed(warehouse.read(LABELLED_OPINION).select("text", "label")).select("text_hash", "label")
    rows = F.broadcast(sample).join(labels, "text_hash", "left")
    counts = rows.groupBy("is_valid", "stratum", "stratum_rows").agg(
        F.count("label").alias("labelled"), F.count_if(F.col("label") == 1).alias("complaints")
    )
    return [
        Stratum(row.is_valid, row.stratum_rows, row.labelled, row.complaints)
        for row in counts.orderBy("is_valid", "stratum").collect()
    ]


def against_promise(warehouse: Warehouse, dt: str, row: dict[str, Any]) -> dict[str, Any]:
    """The precision promised by the sample's run, and whether the night's labels contradict it.

    They do when the whole interval of the night's precision is below the promised lower bound.
    """
    runs = warehouse.read(SCORING_RUN, dt=dt).where(F.col("run_id") == row["sample_run_id"])
    run = runs.select("precision_lower").first()
    promised = run.precision_lower if run else None
    known = promised is not None and row["precision_upper"] is not None
    return {
        "promised_precision": promised,
        "contradicts_promise": bool(row["precision_upper"] < promised) if known else None,
    }


def ratio(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    """The columns of an estimate."""
    values = astuple(estimate) if estimate else (None, None, None)
    return dict(zip((name, f"{name}_lower", f"{name}_upper"), values, strict=True))


def estimate_text(row: dict[str, Any]) -> str:
    """The line with a day's estimates."""
    ratios = [
        f"{name} {row[name]:.3f} (95% interval {row[f'{name}_lower']:.3f} to {row[f'{name}_upper']:.3f})"
        for name in ("precision", "recall")
        if row[name] is not None
    ]
    open_ones = [name for name in ("precision", "recall") if row[name] is None]
    if open_ones:
        ratios.append(f"no {' or '.join(open_ones)}: some stratum has too few labels, or no complaint was found")
    line = (
        f"{row['dt']}: {row['rows_labelled']} of {row['rows_sampled']} sampled rows are labelled; {', '.join(ratios)}"
    )
    if row["contradicts_promise"]:
        line += (
            f"\nwarning: {row['dt']} was promised to have precision {row['promised_precision']:.3f} or more, and its "
            "labels contradict that: run calibrate_threshold, and look at its sources"
        )
    return line


if __name__ == "__main__":
    run_main(main)
