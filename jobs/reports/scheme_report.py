"""The report of a grid: NAME.json, NAME.md, plots as NAME-*.png, and everything in one NAME.html."""

import json
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve

from distill.data.labelled import TextRows
from distill.evaluation.paired import Difference
from distill.models.packages import PACKAGES, installed
from distill.models.registry import Registry
from distill.scoring.scorer import Scorer
from distill.training.scheme_table import BERT, SCHEMES
from jobs.reports import plots
from jobs.reports.pages import Pictures, render
from jobs.reports.scheme_json import COSTS, json_row
from jobs.reports.scheme_protocol import MEASURES, TRIALS_HEAD, differences_table, finals, trials_table

Rows = Sequence[Mapping[str, Any]]
Curves = Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]  # label -> recall, precision

# The article's table: AUC and recall at 95% precision of the student, AUC of the teacher.
ARTICLE = {
    "textcnn": (0.758, 0.60, None),
    BERT: (0.8057, 0.70, None),
    "offline": (0.773, 0.63, None),
    "multi-teacher": (0.767, 0.62, None),
    "joint-isolated": (0.779, 0.64, 0.795),
    "joint-coupled": (0.777, 0.65, 0.811),
    "joint-sum": (0.689, 0.52, 0.8057),
}


HEAD = (
    *("", "runs", "AUC", "recall at 95%", "precision there", "gap closed: AUC", "recall", "teacher's AUC"),
    *(
        "coverage",
        "churn",
        "negative flips",
        "wall s",
        "CPU s",
        "with all that it learned from",
        "article: AUC",
        "recall",
        "teacher",
    ),
)


@dataclass(frozen=True)
class Report:
    """The facts of a grid that its report shows; differences: `scheme_protocol.differences`; budget: of the trials."""

    name: str
    title: str
    command: str
    rows: Rows
    curves: Curves
    differences: Mapping[str, Mapping[str, Difference]] = field(default_factory=dict)
    reference: str | None = None
    budget: float | None = None

    def tables(self) -> dict[str, tuple[Sequence[str], list[list[str]]]]:
        """Caption -> head and body, of the tables that have rows."""
        limit = "" if self.budget is None else f" within {self.budget:g} CPU seconds"
        tables = {
            "": (HEAD, table_of(finals(self.rows))),
            f"Differences to {self.reference}, with 95% intervals": (
                ("", *MEASURES),
                differences_table(self.differences),
            ),
            f"Trials: of each line the best AUC on valid{limit} was chosen, and no trial was measured on test": (
                TRIALS_HEAD,
                trials_table(self.rows, self.budget),
            ),
        }
        return {caption: table for caption, table in tables.items() if table[1]}


def write_report(report: Report, folder: Path) -> str:
    """Write all files; returns the tables in Markdown."""
    rows, name, title = report.rows, report.name, report.title
    folder.mkdir(parents=True, exist_ok=True)
    content = [json_row(row) for row in rows]
    (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    pictures = draw(finals(rows), report.curves, name, folder)
    made, tables = provenance(rows, report.command), report.tables()
    table = "\n\n".join(
        f"{f'## {caption}' if caption else ''}\n\n{markdown(*cells)}".strip() for caption, cells in tables.items()
    )
    shown = "\n\n".join(f"![{caption}]({file})" for file, caption in pictures.items())
    (folder / f"{name}.md").write_text(f"# {title}\n\n{made}\n\n{table}\n\n{shown}\n", encoding="utf-8")
    page = render("scheme.html", folder, title=title, made=made, tables=tables, pictures=pictures)
    (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return table


def provenance(rows: Rows, command: str) -> str:
    """The command, versions and labels behind the figures, and how to read them."""
    versions = {package: version for package in PACKAGES if (version := installed(package))}
    return (
        f"`{command}`, Python {platform.python_version()}, {', '.join(f'{p} {v}' for p, v in versions.items())}; "
        f"labels {', '.join(sorted({row['labels_hash'] for row in rows}))}. "
        "Thresholds are chosen on valid at 95% precision, figures are of test. ± is the standard deviation over seeds. "
        "Gap closed: of the way from the `textcnn` rows to the teacher. CPU seconds with all that it "
        "learned from: steps of the student and of its teachers, and the teachers' stored logits, without validation."
    )


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def curves_of(registry: Registry, rows: Rows, test_rows: Callable[[], TextRows]) -> Curves:
    """Recall and precision on test, of the first student of each label in the registry."""
    versions = set(registry.versions())
    curves: dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {}
    for row in finals(rows):
        if row["label"] not in curves and row["scheme"] in SCHEMES and row["model_version"] in versions:
            test, scorer = test_rows(), Scorer(registry.load(row["model_version"]).bundle)
            precision, recall, _ = precision_recall_curve(test.labels, scorer.score_normalised(test.texts))
            curves[row["label"]] = (recall, precision)
    return curves


def by_label(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of each line of the report, in order."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["label"], []).append(row)
    return groups


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
    """(student - textcnn) / (teacher - textcnn) of the means; None when an end is missing."""
    low = mean([row for row in every if row["scheme"] == "textcnn"], column)
    high = mean([row for row in every if row["scheme"] == BERT], column)
    here = mean(rows, column)
    if low is None or high is None or here is None or high == low:
        return None
    return (here - low) / (high - low)


def table_of(rows: Rows) -> list[list[str]]:
    """The cells below HEAD, one list per line of the report."""
    body = []
    for label, runs in by_label(rows).items():
        ends = runs[0]["scheme"] in ("textcnn", BERT)
        gaps = [None if ends else gap_closed(runs, rows, column) for column in ("auc", "recall")]
        article = ARTICLE.get(runs[0]["scheme"], (None, None, None))
        body.append(
            [
                label,
                str(len(runs)),
                spread(runs, "auc", 4),
                spread(runs, "recall", 3),
                spread(runs, "precision", 3),
                *("" if gap is None else f"{gap:.0%}" for gap in gaps),
                spread(runs, "teacher_auc", 4),
                *(spread(runs, column, 3) for column in ("coverage", "churn", "negative_flips")),
                *("" if (value := mean(runs, column)) is None else f"{value:.0f}" for column in COSTS),
                *("" if value is None else f"{value:g}" for value in article),
            ]
        )
    return body


def draw(rows: Rows, curves: Curves, name: str, folder: Path) -> Pictures:
    """Write the plots; returns what each shows."""
    pictures = {}
    if curves:
        pictures[f"{name}-pr.png"] = draw_curves(curves, folder / f"{name}-pr.png")
    pictures[f"{name}-gap.png"] = draw_runs(rows, folder / f"{name}-gap.png")
    return pictures


def draw_curves(curves: Curves, file: Path) -> str:
    """Precision and recall of one student per label."""
    with plots.figure(file, (8, 5.5)) as axes:
        for label, (recall, precision) in curves.items():
            axes.plot(recall, precision, label=label, linewidth=1.2)
        axes.axhline(0.95, color=plots.GREY, linewidth=0.8, linestyle="--")
        axes.set(xlim=(0.5, 1), ylim=(0.8, 1.002), xlabel="recall", ylabel="precision")
        axes.legend(loc="lower left")
    return "Precision and recall on test"


def draw_runs(rows: Rows, file: Path) -> str:
    """Recall and AUC of every run, a line for each label."""
    groups = by_label(rows)
    places = np.arange(len(groups))[::-1]
    with plots.figure(file, (10, 0.45 * len(groups) + 1.6), ncols=2, sharey=True) as panes:
        for pane, column, name in zip(panes, ("recall", "auc"), ("recall at 95% precision", "AUC"), strict=True):
            for place, runs in zip(places, groups.values(), strict=True):
                values = [row[column] for row in runs if row[column] is not None]
                pane.plot(values, [place] * len(values), "o", markersize=4, alpha=0.6, color=plots.BLUE)
                pane.plot([statistics.fmean(values)], [place], "|", markersize=16, color="black")
            for scheme, colour in (("textcnn", plots.GREY), (BERT, plots.ORANGE)):
                if (end := mean([row for row in rows if row["scheme"] == scheme], column)) is not None:
                    pane.axvline(end, color=colour, linewidth=0.8, linestyle="--")
            pane.set(xlabel=name, yticks=places, yticklabels=list(groups))
            pane.grid(axis="x")
    return "Every run, and the mean of each scheme; dashed: textCNN and teacher"
