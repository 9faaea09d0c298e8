"""The report of a grid: NAME.json for machines, NAME.md for people, plots as NAME-*.png, and all in one NAME.html."""

import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.packages import PACKAGES, installed
from jobs.pages import render

Rows = Sequence[Mapping[str, Any]]
Curves = Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]  # label -> recall, precision

# The article's table: AUC and recall at 95% precision of the student, AUC of the teacher.
ARTICLE = {
    "textcnn": (0.758, 0.60, None),
    "bert": (0.8057, 0.70, None),
    "offline": (0.773, 0.63, None),
    "multi-teacher": (0.767, 0.62, None),
    "joint-isolated": (0.779, 0.64, 0.795),
    "joint-coupled": (0.777, 0.65, 0.811),
    "joint-sum": (0.689, 0.52, 0.8057),
}


def write_report(rows: Rows, curves: Curves, name: str, title: str, command: str, folder: Path) -> str:
    """Write all files; returns the table as the Markdown has it."""
    folder.mkdir(parents=True, exist_ok=True)
    versions = {package: version for package in PACKAGES if (version := installed(package))}
    content = [run_of(row) for row in rows]
    (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    plots = draw(rows, curves, name, folder)
    table = "\n".join(table_of(rows))
    made = (
        f"`{command}`, Python {platform.python_version()}, {', '.join(f'{p} {v}' for p, v in versions.items())}; "
        f"labels {', '.join(sorted({row['labels_hash'] for row in rows}))}. "
        "Thresholds are chosen on valid at 95% precision, figures are of test. ± is the standard deviation over seeds. "
        "Gap closed: of the way from the `textcnn` rows to the teacher."
    )
    pictures = "\n\n".join(f"![{caption}]({path.name})" for caption, path in plots)
    (folder / f"{name}.md").write_text(f"# {title}\n\n{made}\n\n{table}\n\n{pictures}\n", encoding="utf-8")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    captions = {path.name: caption for caption, path in plots}
    page = render("scheme.html", folder, title=title, made=made, head=cells[0], rows=cells[2:], pictures=captions)
    (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return table


def run_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the JSON has it."""
    teacher = {
        "version": row["teacher_version"],
        "auc": row["teacher_auc"],
        "recall_at_95_precision": row["teacher_recall"],
    }
    return {
        "scheme": row["scheme"],
        "label": row["label"],
        "options": row["flags"],
        "seed": row["seed"],
        "labels_hash": row["labels_hash"],
        "student": {
            "version": row["model_version"],
            "auc": row["auc"],
            "recall_at_95_precision": row["recall"],
            "precision": row["precision"],
        },
        "teacher": teacher if row["teacher_version"] else None,
        "coverage": row["coverage"],
        "churn": row["churn"],
        "negative_flips": row["negative_flips"],
        "wall_s": row["wall_s"],
        "cpu_s": row["cpu_s"],
    }


def by_label(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of each line of the report, in order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["label"], []).append(row)
    return found


def mean(rows: Rows, column: str) -> float | None:
    """Mean of a column over the runs that have it."""
    values = [row[column] for row in rows if row[column] is not None]
    return statistics.fmean(values) if values else None


def spread(rows: Rows, column: str, digits: int) -> str:
    """Mean ± standard deviation, or the one value."""
    values = [row[column] for row in rows if row[column] is not None]
    if not values:
        return ""
    middle = f"{statistics.fmean(values):.{digits}f}"
    return f"{middle} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else middle


def gap_closed(rows: Rows, every: Rows, column: str) -> float | None:
    """(student - textcnn) / (teacher - textcnn) of the means; None without the two ends."""
    low = mean([row for row in every if row["scheme"] == "textcnn"], column)
    high = mean([row for row in every if row["scheme"] == "bert"], column)
    here = mean(rows, column)
    if low is None or high is None or here is None or high == low:
        return None
    return (here - low) / (high - low)


def table_of(rows: Rows) -> list[str]:
    """The table in Markdown."""
    head = ["", "runs", "AUC", "recall at 95%", "precision there", "gap closed: AUC", "recall", "teacher's AUC"]
    head += ["coverage", "churn", "negative flips", "wall s", "CPU s", "article: AUC", "recall", "teacher"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for label, runs in by_label(rows).items():
        ends = runs[0]["scheme"] in ("textcnn", "bert")
        gaps = [None if ends else gap_closed(runs, rows, column) for column in ("auc", "recall")]
        article = ARTICLE.get(runs[0]["scheme"], (None, None, None))
        cells = [
            label,
            str(len(runs)),
            spread(runs, "auc", 4),
            spread(runs, "recall", 3),
            spread(runs, "precision", 3),
            *("" if gap is None else f"{gap:.0%}" for gap in gaps),
            spread(runs, "teacher_auc", 4),
            *(spread(runs, column, 3) for column in ("coverage", "churn", "negative_flips")),
            *(f"{value:.0f}" if (value := mean(runs, column)) is not None else "" for column in ("wall_s", "cpu_s")),
            *("" if value is None else f"{value:g}" for value in article),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def draw(rows: Rows, curves: Curves, name: str, folder: Path) -> list[tuple[str, Path]]:
    """The plots: what they show, and their files."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    plots = []
    if curves:
        figure, axes = pyplot.subplots(figsize=(8, 5.5), layout="constrained")
        for label, (recall, precision) in curves.items():
            axes.plot(recall, precision, label=label, linewidth=1.2)
        axes.axhline(0.95, color="0.6", linewidth=0.8, linestyle="--")
        axes.set(
            xlim=(0.5, 1), ylim=(0.8, 1.002), xlabel="recall", ylabel="precision", title="Precision and recall on test"
        )
        axes.legend(fontsize=8, loc="lower left")
        plots.append(("Precision and recall on test", folder / f"{name}-pr.png"))
        figure.savefig(plots[-1][1], dpi=130)
        pyplot.close(figure)
    groups = by_label(rows)
    figure, panes = pyplot.subplots(1, 2, figsize=(10, 0.45 * len(groups) + 1.6), sharey=True, layout="constrained")
    places = np.arange(len(groups))[::-1]
    for pane, column, what in zip(panes, ("recall", "auc"), ("recall at 95% precision", "AUC"), strict=True):
        for place, runs in zip(places, groups.values(), strict=True):
            values = [row[column] for row in runs if row[column] is not None]
            pane.plot(values, [place] * len(values), "o", markersize=4, alpha=0.6, color="tab:blue")
            pane.plot([statistics.fmean(values)], [place], "|", markersize=16, color="black")
        for scheme, colour in (("textcnn", "0.6"), ("bert", "tab:red")):
            if (end := mean([row for row in rows if row["scheme"] == scheme], column)) is not None:
                pane.axvline(end, color=colour, linewidth=0.8, linestyle="--")
        pane.set(xlabel=what, yticks=places, yticklabels=list(groups))
        pane.grid(axis="x", alpha=0.3)
    plots.append(("Every run, and the mean of each scheme; dashed: textCNN and teacher", folder / f"{name}-gap.png"))
    figure.savefig(plots[-1][1], dpi=130)
    pyplot.close(figure)
    return plots
