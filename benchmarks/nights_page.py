"""The page and the plot of the replay of nights."""

from pathlib import Path
from typing import Any

from jobs.reports import plots

COLUMNS = {
    "night": "night",
    "labels_so_far": "labels so far",
    "model": "model",
    "threshold": "threshold",
    "threshold_source": "source",
    "expected_precision": "expected precision",
    "certified_precision": "certified",
    "precision": "precision",
    "recall": "recall",
    "recall_at_95_precision": "best recall at 95%",
    "precision_at_75_recall": "precision at recall 0.75",
}
STEPS = ("scored", "labelled", "calibrated", "retrained")


def markdown(content: dict[str, Any], plot: str) -> str:
    """The page for people."""
    sections = [
        "# Nights that learn from their readers",
        f"`{content['command']}`",
        "Each night is judged by the oracle's labels of all its rows, which no step has seen; `labels so far` are "
        "those loaded before it was scored. Certified is the lower bound of the precision, with 95% confidence. From "
        "the second night on BERT is the second reader of 5% of the texts.",
        f"![Precision and recall, night by night]({plot})",
        "## With the loop",
        table([row for row in content["nights"] if row["loop"]]),
        "## Without it: the first champion at the threshold of its bundle",
        table([row for row in content["nights"] if not row["loop"]]),
        "## Seconds of a step, on 2 cores",
        costs(content["costs"]),
    ]
    return "\n\n".join(sections) + "\n"


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a table."""
    lines = [f"| {' | '.join(COLUMNS.values())} |", f"|{' --- |' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cell(row[name]) for name in COLUMNS)} |" for row in rows]
    return "\n".join(lines)


def cell(value: Any) -> str:
    """A cell of a table."""
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def costs(seconds: dict[str, int]) -> str:
    """A line for each kind of step: how often, and the longest."""
    lines = ["| step | times | longest |", "| --- | --- | --- |"]
    for step in STEPS:
        spent = [value for name, value in seconds.items() if name.endswith(step)]
        if spent:
            lines.append(f"| {step} | {len(spent)} | {max(spent)} s |")
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Precision with its promise, and recall, night by night, with the loop and without."""
    judged = [row for row in rows if row["precision"] is not None]
    with plots.figure(file, (plots.SIZE[0] * 1.4, plots.SIZE[1] * 1.7), nrows=2, sharex=True) as axes:
        for loop, colour, label in ((False, plots.ORANGE, "without the loop"), (True, plots.BLUE, "with the loop")):
            line = [row for row in judged if row["loop"] is loop]
            nights = [row["night"][5:] for row in line]
            for panel, name in zip(axes, ("precision", "recall"), strict=True):
                panel.plot(nights, [row[name] for row in line], marker="o", markersize=4, color=colour, label=label)
        promised = [row for row in judged if row["loop"] and row["expected_precision"] is not None]
        nights = [row["night"][5:] for row in promised]
        expected = [row["expected_precision"] for row in promised]
        axes[0].plot(nights, expected, "_", color=plots.GREY, markersize=12, label="expected")
        sure = [row for row in promised if row["certified_precision"] is not None]
        if sure:
            bounds = [row["certified_precision"] for row in sure]
            to_one, days = [1 - bound for bound in bounds], [row["night"][5:] for row in sure]
            axes[0].bar(days, to_one, bottom=bounds, color=plots.GREY, alpha=0.3, label="certified")
        for panel, name in zip(axes, ("precision", "recall"), strict=True):
            panel.set(ylabel=name, ylim=(0.2, 1.01))
            panel.grid()
        axes[0].legend(loc="lower right", ncols=2)
        axes[1].tick_params(axis="x", rotation=45)
