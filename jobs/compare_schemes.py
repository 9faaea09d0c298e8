"""Run a grid of schemes and seeds, store one row per run in scheme_run, and write a report of all rows.

The grid is a TOML file (see benchmarks/*.toml). Where it has trials, they run first, and the best on valid runs with
the seeds. A run with the same flags, seed and labels in the table is skipped, so a stopped grid continues.
"""

import shlex
from pathlib import Path

from jobs.common.cli import job_parser
from jobs.common.failures import run_main
from jobs.common.home import home_registry
from jobs.training.grid import read_grid


def main() -> None:
    """Run what is missing, then report."""
    parser = job_parser(__doc__, "compare_schemes --grid benchmarks/offline.toml")
    parser.add_argument("--grid", type=Path, required=True, help="the runs, as TOML")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the report")
    parser.add_argument("--report-only", action="store_true", help="run nothing, report the rows of the table")
    args = parser.parse_args()
    grid = read_grid(args.grid)
    # Late: torch and Spark take seconds, which --help and a wrong flag need not wait for.
    from jobs.reports.scheme_protocol import differences
    from jobs.reports.scheme_report import Report, curves_of, write_report
    from jobs.training.scheme_runs import SchemeRuns
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    registry = home_registry()
    runs = SchemeRuns(Warehouse(spark_session("compare_schemes"), args.database), registry, grid)
    if not args.report_only:
        runs.run_missing()
    rows = runs.rows()
    report = Report(
        grid.experiment,
        grid.title,
        shlex.join([".venv/bin/opinion", "compare_schemes", "--grid", str(args.grid)]),
        rows,
        curves_of(registry, rows, runs.test_rows),
        differences(registry, rows, grid.reference, runs.test_rows),
        grid.reference,
        grid.budget_cpu_s,
    )
    print(write_report(report, args.out), flush=True)


if __name__ == "__main__":
    run_main(main)
