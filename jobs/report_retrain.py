"""Report a retraining: the decision and its reasons, champion and challenger on the held-out labels, a model card.

Written to OPINION_HOME/reports/retrain/VERSION of the challenger: index.html, facts.json, curve.png, sources.png. The
page is self-contained. Without --version the report is about the newest decision.
"""

from pathlib import Path
from typing import Any

from distill.errors import BadInput
from jobs.common.cli import job_parser
from jobs.common.failures import run_main
from jobs.common.home import home, home_registry
from jobs.training import decisions


def main() -> None:
    """Find the decision, compare again, draw, write."""
    parser = job_parser(__doc__, "report_retrain")
    parser.add_argument("--version", help="the challenger of the decision (default: the newest decision)")
    args = parser.parse_args()
    decision = decision_of(home(), args.version)
    # Late: Spark and numba take a second, which --help and a wrong flag need not wait for.
    from jobs.reports.retrain_page import report
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    report(Warehouse(spark_session("report_retrain"), args.database), decision, home_registry())


def decision_of(folder: Path, version: str | None) -> dict[str, Any]:
    """The decision about a challenger, or the newest one, in a home; raises BadInput when it is missing."""
    all_decisions = decisions.read_all(folder)
    wanted = [one for one in all_decisions if version in (None, one["challenger"])]
    if not wanted:
        about = f" about {version}" if version else ""
        raise BadInput(f"{folder} keeps no decision{about}; see opinion registry decisions, or run opinion retrain")
    return wanted[-1]


if __name__ == "__main__":
    run_main(main)
