"""The page of a retraining: its numbers, plots of them, and both written."""

from pathlib import Path
from typing import Any

from distill.models.registry import Registry
from jobs.common.home import home
from jobs.reports import plots
from jobs.reports.console import fit_width
from jobs.reports.pages import Pictures, write
from jobs.reports.retrain_facts import Models, retrain_facts
from jobs.training.snapshot import held_out
from jobs.warehouse.warehouse import Warehouse

COLOURS = {"champion": plots.BLUE, "challenger": plots.ORANGE}
MARKS = {"champion": "o", "challenger": "D"}


def report(warehouse: Warehouse, decision: dict[str, Any], registry: Registry) -> None:
    """Compare the models of a decision again, draw, write, and print where."""
    roles = [role for role in ("champion", "challenger") if decision[role]]
    models: Models = {role: registry.load(decision[role]) for role in roles}
    rows, labels_hash = held_out(warehouse, "report_retrain")
    facts = retrain_facts(decision, models, rows, labels_hash)
    folder = home() / "reports" / "retrain" / decision["challenger"]
    print(f"report: {write(folder, facts, lambda to: draw(facts, to), 'retrain.html')}")


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
