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
from jobs.reports import plots
from jobs.reports.console import fit_width
from jobs.reports.pages import Pictures, write
from jobs.reports.retrain_facts import Models, retrain_facts
from jobs.training import decisions
from jobs.training.snapshot import held_out
from jobs.warehouse.session import spark_session
from jobs.warehouse.warehouse import Warehouse

COLOURS = {"champion": plots.BLUE, "challenger": plots.ORANGE}
MARKS = {"champion": "o", "challenger": "D"}


def main() -> None:
    """Find the decision, compare again, draw, write."""
    parser = job_parser(__doc__, "report_retrain")
    parser.add_argument("--version", help="the challenger of the decision (default: the newest decision)")
    args = parser.parse_args()
    decision = decision_of(home(), args.version)
    registry = home_registry()
    roles = [role for role in ("champion", "challenger") if decision[role]]
    models: Models = {role: registry.load(decision[role]) for role in roles}
    rows, labels_hash = held_out(Warehouse(spark_session("report_retrain"), args.database), "report_retrain")
    facts = retrain_facts(decision, models, rows, labels_hash)
    folder = home() / "reports" / "retrain" / decision["challenger"]
    print(f"report: {write(folder, facts, lambda to: draw(facts, to), 'retrain.html')}")


def decision_of(folder: Path, version: str | None) -> dict[str, Any]:
    """The decision about a challenger, or the newest one, in a home; raises BadInput when it is missing."""
    all_decisions = decisions.read_all(folder)
    wanted = [one for one in all_decisions if version in (None, one["challenger"])]
    if not wanted:
        about = f" about {version}" if version else ""
        raise BadInput(f"{folder} keeps no decision{about}; see opinion registry decisions, or run opinion retrain")
    return wanted[-1]


def draw(facts: dict[str, Any], folder: Path) -> Pictures:
    """Draw the plots of a retraining; returns their captions."""
    pictures = {"curve.png": curves(facts, folder / "curve.png")}
    if any(one["judged"] for one in facts["sources"]):
        pictures["sources.png"] = sources(facts, folder / "sources.png")
    return pictures


def curves(facts: dict[str, Any], file: Path) -> str:
    """Precision and recall of both models, and their thresholds."""
    with plots.figure(file) as axes:
        lowest = 1.0
        for role, model in facts["models"].items():
            reached = model["reached"]
            recall, precision = (reached["curve"][name] for name in ("recall", "precision"))
            axes.plot(recall, precision, color=COLOURS[role], linewidth=1.4, label=role)
            if reached["precision"] is not None:
                axes.plot(reached["recall"], reached["precision"], MARKS[role], color=COLOURS[role], markersize=6)
                lowest = min(lowest, reached["precision"])
        target = facts["models"]["challenger"]["target_precision"]
        if target:
            axes.axhline(target, color=plots.GREY, linewidth=0.8, linestyle="--", label=f"precision {target:g}")
        axes.set(xlim=(0, 1.01), ylim=(min(0.5, lowest - 0.05), 1.01), xlabel="recall", ylabel="precision")
        axes.grid()
        axes.legend(loc="lower left")
    return "Precision and recall at every threshold on the held-out labels; the marks are the models' own thresholds."


def sources(facts: dict[str, Any], file: Path) -> str:
    """Recall of each source with enough complaints."""
    judged = [one for one in facts["sources"] if one["judged"]][::-1]
    names = [fit_width(one["source"], 16).rstrip() for one in judged]
    with plots.figure(file, (plots.SIZE[0], 0.9 + 0.3 * len(judged))) as axes:
        for one, place in zip(judged, range(len(judged)), strict=True):
            axes.plot(
                list(one["recall"].values()), [place] * len(one["recall"]), color="#c3c9d1", linewidth=2, zorder=1
            )
        for role in facts["models"]:
            recall = [one["recall"][role] for one in judged]
            axes.plot(recall, range(len(judged)), MARKS[role], color=COLOURS[role], label=role, markersize=5)
        axes.set(xlabel="recall at the model's own threshold", yticks=range(len(judged)), yticklabels=names)
        axes.set_ylim(-0.6, len(judged) - 0.4)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return "Recall by source, where there are complaints enough to judge by."


if __name__ == "__main__":
    run_main(main)
