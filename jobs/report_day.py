"""Report a scored day: one HTML page, its plots as PNG, and the same numbers as JSON.

Written to OPINION_HOME/reports/day/DT: index.html, facts.json, histogram.png, trend.png, ngrams.png. The page is
self-contained, so it can be mailed. The report can be repeated at any time and changes no table.
"""

from jobs.common.cli import Parser, day, job_parser
from jobs.common.failures import run_main
from jobs.common.home import home_registry


def main() -> None:
    """Report the day."""
    args = parser().parse_args()
    # Late: Spark and numba take a second, which --help and a wrong flag need not wait for.
    from jobs.steps.report_day import report
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    report(Warehouse(spark_session("report_day"), args.database), args.dt, home_registry())


def parser() -> Parser:
    """The command line."""
    flags = job_parser(__doc__, "report_day --dt 2026-11-09")
    flags.add_argument("--dt", type=day, required=True, help="a scored day")
    return flags


if __name__ == "__main__":
    run_main(main)
